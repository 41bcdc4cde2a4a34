//! From a block of pixels to one number.

use std::ops::Range;

use super::Coverage;
use crate::error::Result;
use crate::mask_element::Element;
use crate::scratch;

/// What the pixels around a cell are, when blocks are reduced to latent cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    /// 0, as on a sheet where nothing else is.
    Zero,
    /// Unknown: blocks are reduced over the cell's own pixels.
    Ignored,
}

/// Sums are kept in f32 for this many numbers, then added up in f64.
const SHORT: usize = 32;

/// Reduces the rows of pixels in a row of blocks: first along the columns, many at once, then along the row.
#[derive(Debug)]
pub(super) struct Reduction {
    coverage: Coverage,
    outside: Outside,
    pub(super) stride: usize,
    /// Which rows and columns of a block are read.
    pub(super) taps: Range<usize>,
    /// One number for each column of the blocks.
    columns: Vec<f32>,
    spare: Vec<f32>,
    /// Where the cell's pixels lie in `columns`.
    cell: Range<usize>,
    /// Rows that are in `columns`.
    rows: usize,
    /// Sums of each block that are in `columns` no more.
    sums: Vec<f64>,
}

impl Reduction {
    /// For rows of `count` blocks of `stride` columns.
    #[inline(always)]
    pub(super) fn new(coverage: Coverage, outside: Outside, stride: usize, count: usize) -> Result<Self> {
        let taps = match coverage {
            Coverage::Nearest => 0..1,
            Coverage::Center => (stride - 1) / 2..stride / 2 + 1,
            Coverage::Area | Coverage::Max | Coverage::Min => 0..stride,
        };
        let (columns, sums) = (scratch::filled(0.0, count * stride)?, scratch::filled(0.0, count)?);
        let spare = scratch::with_room(columns.len())?;
        Ok(Self { coverage, outside, stride, taps, columns, spare, cell: 0..0, rows: 0, sums })
    }

    /// Begins with pixels whose first column is the blocks' column `left`.
    #[inline(always)]
    pub(super) fn begin(&mut self, left: usize, width: usize) {
        let neutral = if self.coverage == Coverage::Min { 1.0 } else { 0.0 };
        let around = if self.outside == Outside::Ignored { neutral } else { 0.0 };
        self.cell = left..left + width;
        self.columns[..left].fill(around);
        self.columns[left..left + width].fill(neutral);
        self.columns[left + width..].fill(around);
        self.sums.fill(0.0);
        self.rows = 0;
    }

    /// Adds a row of pixels to the blocks that are reduced.
    #[inline(always)]
    pub(super) fn add<T: Element>(&mut self, pixels: &[T]) {
        let pairs = self.columns[self.cell.clone()].iter_mut().zip(pixels);
        match self.coverage {
            Coverage::Max => pairs.for_each(|(column, value)| *column = column.max(value.narrow())),
            Coverage::Min => pairs.for_each(|(column, value)| *column = column.min(value.narrow())),
            _ => {
                pairs.for_each(|(column, value)| *column += value.narrow());
                self.rows += 1;
                if self.rows == SHORT {
                    self.flush();
                }
            }
        }
    }

    /// Moves the sums of the columns into those of the blocks.
    #[inline(always)]
    fn flush(&mut self) {
        for (sum, block) in self.sums.iter_mut().zip(self.columns.chunks_exact(self.stride)) {
            let taps = block[self.taps.clone()].chunks(SHORT);
            *sum += taps.map(|part| f64::from(part.iter().sum::<f32>())).sum::<f64>();
        }
        self.columns.fill(0.0);
        self.rows = 0;
    }

    /// Writes a number for each block, of which `rows` rows were added.
    #[inline(always)]
    pub(super) fn finish(&mut self, rows: usize, out: &mut [f32]) {
        match self.coverage {
            Coverage::Max => self.fold(f32::max, out),
            Coverage::Min if rows < self.stride && self.outside == Outside::Zero => out.fill(0.0),
            Coverage::Min => self.fold(f32::min, out),
            _ => {
                self.flush();
                let count = (self.taps.len() * self.taps.len()) as f64;
                out.iter_mut().zip(&self.sums).for_each(|(out, sum)| *out = (sum / count) as f32);
            }
        }
    }

    /// Reduces the columns of each block to one number.
    #[inline(always)]
    fn fold(&mut self, pick: impl Fn(f32, f32) -> f32, out: &mut [f32]) {
        let mut stride = self.stride;
        // Neighbours in pairs, all blocks at once, for as long as no pair lies in two blocks.
        while stride.is_multiple_of(2) {
            let (pairs, _) = self.columns[..stride * out.len()].as_chunks::<2>();
            self.spare.clear();
            self.spare.extend(pairs.iter().map(|&[a, b]| pick(a, b)));
            std::mem::swap(&mut self.columns, &mut self.spare);
            stride /= 2;
        }
        for (out, block) in out.iter_mut().zip(self.columns.chunks_exact(stride)) {
            *out = block[1..].iter().fold(block[0], |best, &value| pick(best, value));
        }
        self.columns.resize(self.stride * out.len(), 0.0);
    }
}
