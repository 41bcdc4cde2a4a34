//! A mask that was checked, with what to skip and what to copy found out beforehand.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::mask_element::Element;
use crate::simd::vectorized;
use crate::strided_view::View;

/// Columns that are looked at together: a run of zeros or ones is found where it fills a block.
const BLOCK: usize = 32;
/// Mask pixels that one worker checks at a time.
const PIECE: usize = 1 << 16;

/// What happens to the pixels of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The mask is 0: they stay.
    Keep,
    /// The mask is 1: they are replaced.
    Replace,
    /// They are mixed.
    Mix,
}

/// Neighbouring columns of one row that are treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    kind: Kind,
    start: u32,
    end: u32,
}

/// Reads mask values from (mask, row, column) on.
type Reader<'a> = dyn Fn([usize; 3], &mut [f32]) + Send + Sync + 'a;

/// Masks to paste through, (count, height, width): 0 keeps the original, 1 takes the patch, between is mixed.
///
/// Made once for any number of patches. It borrows the masks and holds a list of their runs of zeros and ones.
pub struct SoftMask<'a> {
    shape: [usize; 3],
    read: Box<Reader<'a>>,
    runs: Vec<Run>,
    /// Where the runs of each row begin, and where the last ends.
    first: Vec<usize>,
}

impl<'a> SoftMask<'a> {
    /// Checks masks of any number type.
    ///
    /// # Errors
    /// When a value is NaN or lies outside 0..=1.
    pub fn new<M: Element>(masks: View<'a, M, 3>) -> Result<Self> {
        let shape = masks.shape();
        let [count, height, width] = shape;
        let rows = count * height;
        let step = (PIECE / width.max(1)).max(1);
        let pieces = rows.div_ceil(step);
        let scan = |piece: usize| scan(&masks, piece * step..((piece + 1) * step).min(rows));
        let found: Vec<_> =
            if pieces > 1 { (0..pieces).into_par_iter().map(scan).collect() } else { (0..pieces).map(scan).collect() };
        let (mut runs, mut first) = (Vec::new(), vec![0]);
        for piece in found {
            let piece = piece.map_err(|index| mask_value(&masks, index))?;
            first.extend(piece.ends.iter().map(|end| runs.len() + end));
            runs.extend(piece.runs);
        }
        let read: Box<Reader<'a>> = Box::new(move |index, out| read_units(&masks, index, out));
        Ok(Self { shape, read, runs, first })
    }

    /// Count, height and width.
    #[must_use]
    pub const fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The runs of a row from left to right; together they are the whole row.
    pub(super) fn runs(&self, mask: usize, row: usize) -> impl Iterator<Item = (Kind, Range<usize>)> + '_ {
        let row = mask * self.shape[1] + row;
        let runs = &self.runs[self.first[row]..self.first[row + 1]];
        runs.iter().map(|run| (run.kind, run.start as usize..run.end as usize))
    }

    /// The values of one row from `column` on.
    pub(super) fn values(&self, mask: usize, row: usize, column: usize, out: &mut [f32]) {
        (self.read)([mask, row, column], out);
    }
}

/// The runs of some rows.
struct Found {
    runs: Vec<Run>,
    /// Where the runs of each row end.
    ends: Vec<usize>,
}

impl Found {
    /// Adds a block to the last run of the row that begins at run `begin`, or begins another.
    fn extend(&mut self, begin: usize, kind: Kind, start: usize, end: usize) {
        let (start, end) = (start as u32, end as u32);
        match self.runs[begin..].last_mut() {
            Some(last) if last.kind == kind => last.end = end,
            _ => self.runs.push(Run { kind, start, end }),
        }
    }
}

/// The runs of some rows, or the row and column that the first bad value lies at or behind.
fn scan<M: Element>(masks: &View<'_, M, 3>, rows: Range<usize>) -> std::result::Result<Found, [usize; 3]> {
    let [_, height, width] = masks.shape();
    let dense = masks.dense_from(2);
    let mut found = Found { runs: Vec::new(), ends: Vec::with_capacity(rows.len()) };
    let mut buffer = [M::ZERO; BLOCK];
    vectorized(|| {
        for row in rows {
            let begin = found.runs.len();
            for start in (0..width).step_by(BLOCK) {
                let (index, len) = ([row / height, row % height, start], BLOCK.min(width - start));
                let block = if dense {
                    masks.run(index, len)
                } else {
                    buffer[..len].iter_mut().zip(masks.line(index)).for_each(|(out, value)| *out = value);
                    &buffer[..len]
                };
                let kind = kind_of(block).ok_or(index)?;
                found.extend(begin, kind, start, start + len);
            }
            found.ends.push(found.runs.len());
        }
        Ok(found)
    })
}

/// What to do with a block; None where a value is not allowed.
#[inline(always)]
fn kind_of<M: Element>(block: &[M]) -> Option<Kind> {
    let (mut zeros, mut ones, mut fine) = (true, true, true);
    for &value in block {
        zeros &= value == M::ZERO;
        ones &= value == M::ONE;
        fine &= value.is_unit();
    }
    fine.then_some(if zeros {
        Kind::Keep
    } else if ones {
        Kind::Replace
    } else {
        Kind::Mix
    })
}

fn read_units<M: Element>(masks: &View<'_, M, 3>, index: [usize; 3], out: &mut [f32]) {
    if masks.dense_from(2) {
        let values = masks.run(index, out.len());
        vectorized(|| out.iter_mut().zip(values).for_each(|(out, value)| *out = value.narrow()));
    } else {
        out.iter_mut().zip(masks.line(index)).for_each(|(out, value)| *out = value.narrow());
    }
}

/// The error for the first bad value of a row from `column` on.
fn mask_value<M: Element>(masks: &View<'_, M, 3>, [index, row, column]: [usize; 3]) -> Error {
    let bad = masks.line([index, row, column]).position(|value| value.unit().is_none());
    let column = column + bad.unwrap_or(0);
    Error::MaskValue { value: masks.get([index, row, column]).to_f64(), index, row, column }
}
