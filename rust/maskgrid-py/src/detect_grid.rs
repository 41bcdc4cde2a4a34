//! Finding the cells of a sheet.

use maskgrid_core::detect_grid::detect_grids;
use pyo3::prelude::*;

use crate::buffer::Dtype;
use crate::canvas_images::{Channels, Images};
use crate::grid::PyGrid;
use crate::thread_pool;

/// The grids that an image (H, W) or (H, W, C) of uint8 may have and how much speaks for each, the likeliest first.
#[pyfunction]
#[pyo3(signature = (image, /))]
pub(crate) fn detect(py: Python<'_>, image: &Bound<'_, PyAny>) -> PyResult<Vec<(PyGrid, f64)>> {
    let image = Images::borrow(image, "image", Channels::Last, false)?;
    image.array.expect_dtype(Dtype::UINT8)?;
    let [_, _, height, width, samples] = image.axes;
    let view = image.array.view::<u8, 3>([height, width, samples])?;
    let found = thread_pool::run(py, image.array.bytes(), || detect_grids(view))?;
    Ok(found.into_iter().map(|found| (PyGrid(found.grid), found.confidence)).collect())
}
