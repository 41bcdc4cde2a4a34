//! The latent coverages of cells.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Coverage;
use super::distinct_coverages::{DistinctCoverages, Source};
use super::reduce_blocks::{Outside, Reduction};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::mask_element::Element;
use crate::parallel;
use crate::pixel_mask::read_mask::{OnesAlone, first_bad, for_each_row};
use crate::scratch;
use crate::simd::vectorized;
use crate::strided_view::View;

/// Writes the distinct latent coverages of a grid's cells, as [`DistinctCoverages`] lists them.
///
/// `out` is (count, height, width) of the distinct ones; what a mask does not need at its end is 0. The result says for each
/// input mask whether it has a pixel above 0.
///
/// # Errors
/// When the masks are not 1 or one per cell of exactly the cell's size, `out` has another size, or a value is outside
/// 0..=1; what `out` holds then is not defined.
pub fn cover_cells<T: Element>(
    grid: &Grid,
    mask: View<'_, T, 3>,
    coverage: Coverage,
    out: &mut [f32],
) -> Result<Vec<bool>> {
    let distinct = check_masks(grid, mask)?;
    if out.len() != distinct.len() {
        let expected = format!("({}, {}, {})", distinct.count(), distinct.height(), distinct.width());
        return Err(Error::shape("out", &[out.len()], expected));
    }
    write_masks(&distinct, mask, coverage, Outside::Zero, out)
}

/// The distinct coverages of masks, once they have the grid's cell size.
pub(super) fn check_masks<T: Element>(grid: &Grid, mask: View<'_, T, 3>) -> Result<DistinctCoverages> {
    let [count, height, width] = mask.shape();
    let (cells, cell) = (grid.cell_count() as usize, grid.cell());
    if (height, width) != (cell.height as usize, cell.width as usize) || (count != 1 && count != cells) {
        let expected = format!("(1 or {cells}, {}, {}): the cells of the grid", cell.height, cell.width);
        return Err(Error::shape("the mask", &mask.shape(), expected));
    }
    DistinctCoverages::new(grid, count)
}

/// [`cover_cells`] without checks of the shapes.
pub(super) fn write_masks<T: Element>(
    distinct: &DistinctCoverages,
    mask: View<'_, T, 3>,
    coverage: Coverage,
    outside: Outside,
    out: &mut [f32],
) -> Result<Vec<bool>> {
    let [count, _, width] = mask.shape();
    let stride = distinct.grid().stride() as usize;
    let occupied = scratch::collected((0..count).map(|_| AtomicBool::new(false)))?;
    let ones = OnesAlone::new();
    let bad = AtomicBool::new(false);
    let (rows, len) = (distinct.height(), distinct.width());
    parallel::for_each_piece(out, len, stride * width * size_of::<T>(), |first, out| {
        vectorized(
            #[inline(always)]
            || {
                let mut reduction = Reduction::new(coverage, outside, stride, len)?;
                for (index, out) in out.chunks_exact_mut(len).enumerate() {
                    let (source, row) = (distinct.source((first + index) / rows), (first + index) % rows);
                    let scan = write_row(mask, source, row, &ones, &mut reduction, out)?;
                    bad.fetch_or(scan.bad, Ordering::Relaxed);
                    if scan.any {
                        occupied[source.mask].store(true, Ordering::Relaxed);
                    }
                }
                Ok(())
            },
        )
    })?;
    if bad.into_inner() {
        return Err(first_bad(mask, 0..count));
    }
    ones.check()?;
    scratch::collected(occupied.into_iter().map(AtomicBool::into_inner))
}

/// What was found in some pixels.
#[derive(Debug, Clone, Copy, Default)]
struct Scan {
    /// A value outside 0..=1.
    bad: bool,
    /// A value above 0.
    any: bool,
}

impl Scan {
    #[inline(always)]
    fn row<T: Element>(&mut self, pixels: &[T]) {
        self.bad |= pixels.iter().fold(false, |bad, value| bad | !value.is_unit());
        self.any |= pixels.iter().fold(false, |any, value| any | (value.key() > T::ZERO.key()));
    }
}

/// Writes one row of a latent coverage; the first latent coverage of an input mask has all of its pixels scanned.
#[inline(always)]
fn write_row<T: Element>(
    mask: View<'_, T, 3>,
    source: Source,
    row: usize,
    ones: &OnesAlone,
    reduction: &mut Reduction,
    out: &mut [f32],
) -> Result<Scan> {
    let [_, height, width] = mask.shape();
    let block = row * reduction.stride;
    let inside = |rows: Range<usize>| {
        let local = |row: usize| (block + row).saturating_sub(source.top as usize).min(height);
        local(rows.start)..local(rows.end)
    };
    let read = inside(reduction.taps.clone());
    let mut scan = Scan::default();
    reduction.begin(source.left as usize, width);
    let rows = if source.first { inside(0..reduction.stride) } else { read.clone() };
    for_each_row(
        mask,
        source.mask,
        rows,
        #[inline(always)]
        |row, pixels| {
            if source.first {
                ones.look(pixels);
                scan.row(pixels);
            }
            if read.contains(&row) {
                reduction.add(pixels);
            }
        },
    )?;
    reduction.finish(read.len(), out);
    Ok(scan)
}
