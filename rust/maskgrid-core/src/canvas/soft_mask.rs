//! A mask that was checked, with what to skip and what to copy found out beforehand.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::mask_element::Element;
use crate::parallel;
use crate::pixel_mask::read_mask::OnesAlone;
use crate::scratch;
use crate::simd::vectorized;
use crate::strided_view::View;

/// Columns that are looked at together: a run of zeros or ones is found where it fills a block.
const BLOCK: usize = 32;
/// Mask pixels that one worker checks at a time.
const PIECE: usize = 1 << 16;

/// What a soft mask does to a run of pixels: leave, copy or mix.
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
    /// Checks soft masks of any number type.
    ///
    /// # Errors
    /// When a value is NaN or lies outside 0..=1, bytes are 1 at most, or there is not enough memory.
    pub fn new<M: Element>(masks: View<'a, M, 3>) -> Result<Self> {
        let shape = masks.shape();
        let [count, height, width] = shape;
        let rows = count * height;
        let step = (PIECE / width.max(1)).max(1);
        let pieces = rows.div_ceil(step);
        let ones = OnesAlone::new();
        let mut found = scratch::collected((0..pieces).map(|_| Found::default()))?;
        parallel::for_each_chunk(&mut found, 1, step * width * size_of::<M>(), |piece, found| {
            found[0] = scan(&masks, piece * step..((piece + 1) * step).min(rows), &ones)?;
            Ok(())
        })?;
        ones.check()?;
        let mut runs = scratch::with_room(found.iter().map(|piece| piece.runs.len()).sum())?;
        let mut first = scratch::with_room(rows + 1)?;
        first.push(0);
        for piece in found {
            first.extend(piece.ends.iter().map(|end| runs.len() + end));
            runs.extend(piece.runs);
        }
        let read: Box<Reader<'a>> = Box::new(move |index, out| read_units(&masks, index, out));
        Ok(Self { shape, read, runs, first })
    }

    /// Count, height and width of the soft masks.
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
#[derive(Default)]
struct Found {
    runs: Vec<Run>,
    /// Where the runs of each row end.
    ends: Vec<usize>,
}

impl Found {
    /// Adds a block to the last run of the row that begins at run `begin`, or begins another.
    fn extend(&mut self, begin: usize, kind: Kind, start: usize, end: usize) -> Result<()> {
        let (start, end) = (start as u32, end as u32);
        match self.runs[begin..].last_mut() {
            Some(last) if last.kind == kind => last.end = end,
            _ => {
                scratch::make_room(&mut self.runs, 1)?;
                self.runs.push(Run { kind, start, end });
            }
        }
        Ok(())
    }
}

/// The runs of some rows.
fn scan<M: Element>(masks: &View<'_, M, 3>, rows: Range<usize>, ones: &OnesAlone) -> Result<Found> {
    let [_, height, width] = masks.shape();
    let dense = masks.dense_from(2);
    let mut found = Found { runs: Vec::new(), ends: scratch::with_room(rows.len())? };
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
                let kind = kind_of(block).ok_or_else(|| mask_value(masks, index))?;
                ones.look(block);
                found.extend(begin, kind, start, start + len)?;
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
