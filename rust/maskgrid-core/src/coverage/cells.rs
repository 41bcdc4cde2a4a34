//! The latent masks of cells.

use super::Coverage;
use super::layout::{Layout, Source};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::mask::ingest;
use crate::view::View;

/// Writes the distinct latent masks of a grid's cells, as [`Layout`] lists them.
///
/// `out` is (count, height, width) of the layout; what a mask does not need at its end is 0.
///
/// # Returns
/// For each input mask whether it has a pixel above 0.
///
/// # Errors
/// When the masks are not 1 or one per cell of exactly the cell's size, `out` has another size, or a value is outside
/// 0..=1; what `out` holds then is not defined.
pub fn cell_masks<T: Element>(
    grid: &Grid,
    mask: View<'_, T, 3>,
    coverage: Coverage,
    out: &mut [f32],
) -> Result<Vec<bool>> {
    let [count, height, width] = mask.shape();
    let cell = grid.cell();
    if (height, width) != (cell.height as usize, cell.width as usize) || (count != 1 && count != grid.cells() as usize)
    {
        let expected = format!("(1 or {}, {}, {}): the cells of the grid", grid.cells(), cell.height, cell.width);
        return Err(Error::shape("the mask", &mask.shape(), expected));
    }
    let layout = Layout::new(grid, count)?;
    if out.len() != layout.len() {
        let expected = format!("({}, {}, {})", layout.count(), layout.height(), layout.width());
        return Err(Error::shape("out", &[out.len()], expected));
    }
    let units = ingest::units(mask)?;
    let size = layout.height() * layout.width();
    for (index, out) in out.chunks_exact_mut(size).enumerate() {
        let source = layout.source(index);
        let pixels = &units[source.mask * height * width..][..height * width];
        reduce(grid, pixels, source, coverage, layout.width(), out);
    }
    Ok(units.chunks_exact(height * width).map(|pixels| pixels.iter().any(|&value| value > 0.0)).collect())
}

fn reduce(grid: &Grid, pixels: &[f32], source: Source, coverage: Coverage, width: usize, out: &mut [f32]) {
    let (cell, stride) = (grid.cell(), grid.stride() as i64);
    let at = |y: i64, x: i64| {
        let inside = (0..cell.height.into()).contains(&y) && (0..cell.width.into()).contains(&x);
        if inside { pixels[(y * i64::from(cell.width) + x) as usize] } else { 0.0 }
    };
    for (index, out) in out.iter_mut().enumerate() {
        let top = (index / width) as i64 * stride - i64::from(source.top);
        let left = (index % width) as i64 * stride - i64::from(source.left);
        let block = || (0..stride * stride).map(|i| at(top + i / stride, left + i % stride));
        *out = match coverage {
            Coverage::Nearest => at(top, left),
            Coverage::Center => {
                let (low, high) = ((stride - 1) / 2, stride / 2);
                let first = at(top + low, left + low) + at(top + low, left + high);
                (first + (at(top + high, left + low) + at(top + high, left + high))) * 0.25
            }
            Coverage::Area => (block().map(f64::from).sum::<f64>() / (stride * stride) as f64) as f32,
            Coverage::Max => block().fold(0.0, f32::max),
            Coverage::Min => block().fold(1.0, f32::min),
        };
    }
}
