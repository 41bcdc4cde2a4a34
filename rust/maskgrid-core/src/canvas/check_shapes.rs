//! Shapes that must fit: each refusal names the argument, what it is and what it should be.

use crate::error::{Error, Result, tuple};
use crate::grid::Grid;

/// Refuses an input whose shape is not the expected one.
pub(super) fn expect<const D: usize>(name: &'static str, shape: [usize; D], expected: [usize; D]) -> Result<()> {
    if shape == expected { Ok(()) } else { Err(Error::shape(name, &shape, tuple(&expected))) }
}

/// Refuses an output that does not hold exactly the elements of its shape.
pub(super) fn expect_len<T>(out: &[T], shape: [usize; 5]) -> Result<()> {
    let needed = shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
    if needed == Some(out.len()) {
        return Ok(());
    }
    Err(Error::shape("out", &[out.len()], format!("the elements of {}, dense", tuple(&shape))))
}

/// The shape of `images` whole sheets of a grid.
pub(super) fn of_sheets(grid: &Grid, images: usize, planes: usize, samples: usize) -> [usize; 5] {
    [images, planes, grid.canvas().height as usize, grid.canvas().width as usize, samples]
}

/// The shape of `images` cells of a grid.
pub(super) fn of_cells(grid: &Grid, images: usize, planes: usize, samples: usize) -> [usize; 5] {
    [images, planes, grid.cell().height as usize, grid.cell().width as usize, samples]
}
