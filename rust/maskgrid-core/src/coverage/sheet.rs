//! The latent mask of the whole sheet.

use super::Coverage;
use super::cells::cell_masks;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::geometry::{Pixel, Rect, Size};
use crate::grid::Grid;
use crate::mask::ingest;
use crate::view::View;

/// Writes the coverage of the sheet whose cells all hold their mask, (latent height, latent width).
///
/// The same as tiling the masks into a full-size pixel mask first, blocks that several cells share included.
///
/// # Errors
/// When the masks are not 1 or one per cell of exactly the cell's size, `out` has another size, or a value is outside
/// 0..=1; what `out` holds then is not defined.
pub fn sheet<T: Element>(grid: &Grid, mask: View<'_, T, 3>, coverage: Coverage, out: &mut [f32]) -> Result<()> {
    let [count, height, width] = mask.shape();
    let cell = grid.cell();
    if (height, width) != (cell.height as usize, cell.width as usize) || (count != 1 && count != grid.cells() as usize)
    {
        let expected = format!("(1 or {}, {}, {}): the cells of the grid", grid.cells(), cell.height, cell.width);
        return Err(Error::shape("the mask", &mask.shape(), expected));
    }
    let latent = grid.latent_size();
    if out.len() as u64 != latent.area() {
        return Err(Error::shape("out", &[out.len()], format!("({}, {})", latent.height, latent.width)));
    }
    let units = ingest::units(mask)?;
    let canvas: Size<Pixel> = grid.canvas();
    let mut tiled = vec![0.0_f32; canvas.area() as usize];
    for (index, rect) in grid.cell_rects().enumerate() {
        let pixels = &units[if count == 1 { 0 } else { index * height * width }..];
        for (row, line) in pixels.chunks_exact(width).take(height).enumerate() {
            let Rect { top, left, .. } = rect;
            tiled[(top as usize + row) * canvas.width as usize + left as usize..][..width].copy_from_slice(line);
        }
    }
    let whole = Grid::builder(1, 1).stride(grid.stride()).from_cell(canvas)?;
    cell_masks(&whole, View::dense(&tiled, [1, canvas.height as usize, canvas.width as usize])?, coverage, out)?;
    Ok(())
}
