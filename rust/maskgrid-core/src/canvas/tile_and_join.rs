//! One cell, or one for each place, laid out as a sheet.

use super::check_shapes::{expect, expect_len, of_cells, of_sheets};
use super::paint_by_cell::{Source, paint};
use super::{Background, Sheet};
use crate::error::Result;
use crate::grid::Grid;

/// Writes the cell (1, planes, h, w, samples) into every place of a sheet (1, planes, H, W, samples).
///
/// # Errors
/// When a shape does not fit the grid.
pub fn tile<T: Copy + Send + Sync>(
    cell: Sheet<'_, T>,
    grid: &Grid,
    background: Background<'_, T>,
    out: &mut [T],
) -> Result<()> {
    let [_, planes, .., samples] = cell.shape();
    expect("cell", cell.shape(), of_cells(grid, 1, planes, samples))?;
    lay_out(&cell, grid, &background, out, |_| 0)
}

/// Writes cell i of (cells, planes, h, w, samples) into place i of a sheet (1, planes, H, W, samples); the inverse of
/// [`split`](super::split).
///
/// # Errors
/// When a shape does not fit the grid.
pub fn join<T: Copy + Send + Sync>(
    cells: Sheet<'_, T>,
    grid: &Grid,
    background: Background<'_, T>,
    out: &mut [T],
) -> Result<()> {
    let [_, planes, .., samples] = cells.shape();
    expect("cells", cells.shape(), of_cells(grid, grid.cell_count() as usize, planes, samples))?;
    lay_out(&cells, grid, &background, out, |cell| cell)
}

/// Writes image `image(i)` of `cells` into place i.
fn lay_out<T: Copy + Send + Sync>(
    cells: &Sheet<'_, T>,
    grid: &Grid,
    background: &Background<'_, T>,
    out: &mut [T],
    image: impl Fn(usize) -> usize + Sync + Send,
) -> Result<()> {
    let [_, planes, .., samples] = cells.shape();
    let shape = of_sheets(grid, 1, planes, samples);
    if let Background::Sheet(sheet) = background {
        expect("background", sheet.shape(), shape)?;
    }
    expect_len(out, shape)?;
    let columns = grid.columns() as usize;
    paint(grid, shape, out, |cell| match cell {
        None => Source::background(background),
        Some(cell) => Source::Image {
            sheet: cells,
            image: image(cell),
            top: grid.top((cell / columns) as u32) as usize,
            left: grid.left((cell % columns) as u32) as usize,
        },
    })
}
