//! A sheet cut into its cells.

use super::Sheet;
use super::copy::{Pixel, copy_rect, for_rows};
use super::shape::{expect, expect_len, of_cells, of_sheets};
use crate::error::Result;
use crate::grid::Grid;

/// Writes the cells of a sheet (1, planes, H, W, samples), row by row, to (cells, planes, h, w, samples).
///
/// # Errors
/// When a shape does not fit the grid.
pub fn split<T: Copy + Send + Sync>(sheet: Sheet<'_, T>, grid: &Grid, out: &mut [T]) -> Result<()> {
    let [_, planes, .., samples] = sheet.shape();
    expect("sheet", sheet.shape(), of_sheets(grid, 1, planes, samples))?;
    let shape = of_cells(grid, grid.cells() as usize, planes, samples);
    expect_len(out, shape)?;
    let (columns, width) = (grid.columns() as usize, grid.cell().width as usize);
    for_rows(out, shape, |rows, out| {
        let top = grid.top((rows.image / columns) as u32) as usize;
        let left = grid.left((rows.image % columns) as u32) as usize;
        let from = Pixel { image: 0, plane: rows.plane, row: top + rows.rows.start, column: left };
        copy_rect(&sheet, from, (rows.rows.len(), width), out, width * samples);
    });
    Ok(())
}
