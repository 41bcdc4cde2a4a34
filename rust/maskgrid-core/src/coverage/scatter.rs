//! Dense latent masks of forks.

use super::layout::Layout;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::parallel;

/// Writes the dense latent mask of each fork: 0, and the mask of fork `i`'s cell, `cells[i]`, at its place.
///
/// `masks` is what [`cell_masks`](super::cell_masks) wrote; `out` is (forks, latent height, latent width).
///
/// # Errors
/// When a cell does not exist, or `masks` or `out` has another size.
pub fn scatter<U: Element>(grid: &Grid, layout: &Layout, masks: &[f32], cells: &[u32], out: &mut [U]) -> Result<()> {
    if masks.len() != layout.len() {
        let expected = format!("({}, {}, {})", layout.count(), layout.height(), layout.width());
        return Err(Error::shape("the latent masks", &[masks.len()], expected));
    }
    let latent = grid.latent_size();
    let (height, width) = (latent.height as usize, latent.width as usize);
    if out.len() != cells.len() * height * width {
        return Err(Error::shape("out", &[out.len()], format!("({}, 1, {height}, {width})", cells.len())));
    }
    let places = cells.iter().map(|&cell| layout.place(cell)).collect::<Result<Vec<_>>>()?;
    let masks: Vec<U> = masks.iter().map(|&value| U::from_unit(value)).collect();
    parallel::for_each_chunk(out, height * width, |fork, out| {
        let (rect, index) = places[fork];
        out.fill(U::ZERO);
        let size = (rect.width() as usize, layout.width());
        let rows = masks[index * layout.height() * size.1..].chunks_exact(size.1);
        for (row, mask) in (rect.top as usize..rect.bottom as usize).zip(rows) {
            out[row * width + rect.left as usize..][..size.0].copy_from_slice(&mask[..size.0]);
        }
    });
    Ok(())
}
