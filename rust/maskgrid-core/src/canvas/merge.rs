//! Cells of many forks put together to one sheet.

use super::Sheet;
use super::check_shapes::{expect, expect_len, of_sheets};
use super::paint_by_cell::{Source, paint};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::scratch;

/// Writes one sheet (1, planes, H, W, samples): cell `cells[i]` from fork i of (forks, planes, H, W, samples), all
/// else from `background`, or from fork 0 without one.
///
/// # Errors
/// When a shape does not fit the grid, a cell does not exist or is named twice, or there is nothing to take the rest
/// from.
pub fn merge<T: Copy + Send + Sync>(
    forks: Sheet<'_, T>,
    grid: &Grid,
    cells: &[u32],
    background: Option<Sheet<'_, T>>,
    out: &mut [T],
) -> Result<()> {
    let [count, planes, .., samples] = forks.shape();
    let shape = of_sheets(grid, 1, planes, samples);
    expect("forks", forks.shape(), of_sheets(grid, cells.len(), planes, samples))?;
    if let Some(sheet) = &background {
        expect("background", sheet.shape(), shape)?;
    } else if count == 0 {
        return Err(Error::shape("forks", &forks.shape(), "at least one fork, or a background"));
    }
    expect_len(out, shape)?;
    let owners = owners(grid, cells)?;
    let whole = |sheet, image| Source::Image { sheet, image, top: 0, left: 0 };
    let rest = background.as_ref().map_or(whole(&forks, 0), |sheet| whole(sheet, 0));
    paint(grid, shape, out, |cell| match cell.and_then(|cell| owners[cell]) {
        None => rest,
        Some(fork) => whole(&forks, fork),
    })
}

/// For each cell of the grid the fork that it comes from, if any.
fn owners(grid: &Grid, cells: &[u32]) -> Result<Vec<Option<usize>>> {
    let mut owners = scratch::filled(None, grid.cell_count() as usize)?;
    for (fork, &cell) in cells.iter().enumerate() {
        grid.position(cell as usize)?;
        if let Some(first) = owners[cell as usize].replace(fork) {
            let value = format!("cell {cell} for fork {first} and fork {fork}");
            return Err(Error::out_of_range("cells", value, "each cell at most once"));
        }
    }
    Ok(owners)
}
