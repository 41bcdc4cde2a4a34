//! A sheet cut into its cells.

use super::Sheet;
use super::check_shapes::{expect, expect_len, of_cells, of_sheets};
use super::copy_lines::{Lines, PIECE, Pixel, SIDE_BY_SIDE};
use crate::error::Result;
use crate::grid::Grid;
use crate::parallel::for_each_chunk;
use crate::scratch;

/// Writes the cells of a sheet (1, planes, H, W, samples), row by row, to (cells, planes, h, w, samples).
///
/// # Errors
/// When a shape does not fit the grid.
pub fn split<T: Copy + Send + Sync>(sheet: Sheet<'_, T>, grid: &Grid, out: &mut [T]) -> Result<()> {
    let [_, planes, .., samples] = sheet.shape();
    expect("sheet", sheet.shape(), of_sheets(grid, 1, planes, samples))?;
    let shape = of_cells(grid, grid.cell_count() as usize, planes, samples);
    expect_len(out, shape)?;
    if out.is_empty() {
        return Ok(());
    }
    let [_, _, height, width, _] = shape;
    let (columns, line) = (grid.columns() as usize, width * samples);
    let bytes_per_line = columns * line * size_of::<T>();
    let count = (PIECE / bytes_per_line.max(1)).clamp(1, height);
    let mut strips = strips(out, [planes, height, line], columns, count)?;
    for_each_chunk(&mut strips, 1, count * bytes_per_line, |_, strips| {
        strips.iter_mut().try_for_each(|strip| strip.write(&sheet, grid, line))
    })
}

/// Some lines of all cells of one row of cells.
struct Strip<'a, T> {
    row: u32,
    plane: usize,
    top: usize,
    targets: Vec<&'a mut [T]>,
}

/// The output in strips of `count` lines.
fn strips<T>(
    out: &mut [T],
    [planes, height, line]: [usize; 3],
    columns: usize,
    count: usize,
) -> Result<Vec<Strip<'_, T>>> {
    let per_cell = height.div_ceil(count);
    let per_row = planes * per_cell;
    let rows = (out.len() / (height * line * planes)).div_ceil(columns);
    let mut strips: Vec<Strip<'_, T>> = scratch::with_room(rows * per_row)?;
    for (part, lines) in out.chunks_mut(height * line).enumerate() {
        let (cell, plane) = (part / planes, part % planes);
        let row = cell / columns;
        for (piece, target) in lines.chunks_mut(count * line).enumerate() {
            let strip = row * per_row + plane * per_cell + piece;
            if strip == strips.len() {
                let targets = scratch::with_room(columns)?;
                strips.push(Strip { row: row as u32, plane, top: piece * count, targets });
            }
            strips[strip].targets.push(target);
        }
    }
    Ok(strips)
}

impl<T: Copy> Strip<'_, T> {
    fn write(&mut self, sheet: &Sheet<'_, T>, grid: &Grid, line: usize) -> Result<()> {
        let row = grid.top(self.row) as usize + self.top;
        let left = |column| Pixel { image: 0, plane: self.plane, row, column: grid.left(column) as usize };
        let sources = scratch::collected((0..grid.columns()).map(|column| Lines::new(sheet, left(column))))?;
        let lines = self.targets[0].len() / line;
        for (targets, sources) in self.targets.chunks_mut(SIDE_BY_SIDE).zip(sources.chunks(SIDE_BY_SIDE)) {
            for y in 0..lines {
                for (target, source) in targets.iter_mut().zip(sources) {
                    source.copy(y, 0, &mut target[y * line..(y + 1) * line]);
                }
            }
        }
        Ok(())
    }
}
