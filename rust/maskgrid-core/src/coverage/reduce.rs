//! From a block of pixels to one number.

use std::ops::Range;

use super::Coverage;
use crate::element::Element;

/// What the pixels around a cell are.
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
    pub(super) fn new(coverage: Coverage, outside: Outside, stride: usize, count: usize) -> Self {
        let taps = match coverage {
            Coverage::Nearest => 0..1,
            Coverage::Center => (stride - 1) / 2..stride / 2 + 1,
            Coverage::Area | Coverage::Max | Coverage::Min => 0..stride,
        };
        let (columns, sums) = (vec![0.0; count * stride], vec![0.0; count]);
        Self { coverage, outside, stride, taps, columns, cell: 0..0, rows: 0, sums }
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

    /// Adds a row of pixels.
    #[inline(always)]
    pub(super) fn add<T: Element>(&mut self, pixels: &[T]) {
        let pairs = self.columns[self.cell.clone()].iter_mut().zip(pixels);
        match self.coverage {
            Coverage::Max => pairs.for_each(|(column, value)| *column = larger(*column, value.narrow())),
            Coverage::Min => pairs.for_each(|(column, value)| *column = smaller(*column, value.narrow())),
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
        let (stride, taps) = (self.stride, self.taps.clone());
        let blocks = self.columns.chunks_exact(stride);
        match self.coverage {
            Coverage::Max => {
                out.iter_mut().zip(blocks).for_each(|(out, block)| *out = block.iter().copied().fold(0.0, larger));
            }
            Coverage::Min if rows < stride && self.outside == Outside::Zero => out.fill(0.0),
            Coverage::Min => {
                out.iter_mut().zip(blocks).for_each(|(out, block)| *out = block.iter().copied().fold(1.0, smaller));
            }
            _ => {
                self.flush();
                let count = (taps.len() * taps.len()) as f64;
                out.iter_mut().zip(&self.sums).for_each(|(out, sum)| *out = (sum / count) as f32);
            }
        }
    }
}

/// The larger of two numbers that are no NaN; one instruction, unlike `f32::max`.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller of two numbers that are no NaN.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
