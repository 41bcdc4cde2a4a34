//! Latent coverage: from pixel masks to latent masks.

use maskgrid_core::coverage::{self, Coverage, Layout};
use pyo3::prelude::*;

use crate::arguments::{cells as numbers_of_cells, choice, place, whole};
use crate::buffer::{Array, Output};
use crate::errors::{InvalidBufferError, to_py};
use crate::extent::Dtype;
use crate::geometry::PyGrid;
use crate::masks::{by_element, stacked, write_units};
use crate::threads::BYTES_PER_NS;

const COVERAGES: [(&str, Coverage); 5] = [
    ("center", Coverage::Center),
    ("nearest", Coverage::Nearest),
    ("area", Coverage::Area),
    ("max", Coverage::Max),
    ("min", Coverage::Min),
];

/// Which distinct latent masks a grid has, and which of them each cell has.
///
/// With one mask for all cells there is one for each distinct phase, the place of a cell's corner inside its block of
/// stride x stride pixels; with one mask per cell there is one for each cell.
///
/// Args:
///     grid: Where the cells lie.
///     mask_count: 1, or the number of cells.
///
/// Raises:
///     InvalidValueError: Another count.
#[pyclass(name = "Layout", module = "maskgrid._native", frozen, eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyLayout(Layout);

#[pymethods]
impl PyLayout {
    #[new]
    fn new(grid: &PyGrid, mask_count: &Bound<'_, PyAny>) -> PyResult<Self> {
        let count = whole(mask_count, "mask_count", 1..=grid.0.cells())?;
        Layout::new(&grid.0, count as usize).map(Self).map_err(to_py)
    }

    /// Where the cells lie.
    #[getter]
    fn grid(&self) -> PyGrid {
        PyGrid(self.0.grid().clone())
    }

    /// Masks that it was made for: 1 for all cells, or one for each.
    #[getter]
    fn mask_count(&self) -> usize {
        self.0.mask_count()
    }

    /// Distinct latent masks.
    #[getter]
    fn count(&self) -> usize {
        self.0.count()
    }

    /// Rows of the largest latent mask, in latent cells.
    #[getter]
    fn height(&self) -> usize {
        self.0.height()
    }

    /// Columns of the largest latent mask, in latent cells.
    #[getter]
    fn width(&self) -> usize {
        self.0.width()
    }

    /// Whether there are latent cells that several cells touch.
    #[getter]
    fn shared(&self) -> bool {
        self.0.shared()
    }

    /// Which of the latent masks a cell has.
    fn index(&self, cell: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.0.index(place(cell, "cell", self.0.grid().cells() as usize)?).map_err(to_py)
    }

    fn __repr__(&self) -> String {
        let (count, height, width) = (self.count(), self.height(), self.width());
        format!("<Layout: {count} latent masks of {height} x {width}>")
    }

    fn __getnewargs__(&self) -> (PyGrid, usize) {
        (self.grid(), self.mask_count())
    }
}

/// About how many nanoseconds it takes on one thread to read the blocks of all latent masks.
fn work(layout: &Layout, mask: &Array<'_>) -> usize {
    let stride = layout.grid().stride() as usize;
    let pixels = layout.len().saturating_mul(stride * stride);
    pixels.saturating_mul(usize::from(mask.dtype().bytes)) / BYTES_PER_NS
}

/// The distinct latent masks of single cells; returns for each mask given whether it has a pixel above 0.
#[pyfunction]
#[pyo3(signature = (grid, mask, coverage, out, /))]
pub(crate) fn cell_masks(
    py: Python<'_>,
    grid: &PyGrid,
    mask: &Bound<'_, PyAny>,
    coverage: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<Vec<bool>> {
    let coverage = choice(coverage, "coverage", &COVERAGES)?;
    let array = Array::borrow(mask, "the mask")?;
    let out = Output::borrow(out, "out", &[&array])?;
    out.expect_dtype(Dtype::FLOAT32)?;
    by_element!(array.name(), array.dtype(), T => {
        let view = stacked::<T>(&array)?;
        let layout = Layout::new(&grid.0, view.shape()[0]).map_err(to_py)?;
        out.expect_shape(&[layout.count(), layout.height(), layout.width()])?;
        let work = work(&layout, &array);
        out.write::<f32, _>(py, work, |out| coverage::cell_masks(&grid.0, view, coverage, out))
    })
}

/// The latent mask of the sheet whose cells all hold their mask.
#[pyfunction]
#[pyo3(signature = (grid, mask, coverage, out, /))]
pub(crate) fn sheet_mask(
    py: Python<'_>,
    grid: &PyGrid,
    mask: &Bound<'_, PyAny>,
    coverage: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let coverage = choice(coverage, "coverage", &COVERAGES)?;
    let array = Array::borrow(mask, "the mask")?;
    let out = Output::borrow(out, "out", &[&array])?;
    let latent = grid.0.latent_size();
    out.expect_shape(&[latent.height as usize, latent.width as usize])?;
    by_element!(array.name(), array.dtype(), T => {
        let view = stacked::<T>(&array)?;
        let work = work(&Layout::new(&grid.0, view.shape()[0]).map_err(to_py)?, &array) + out.bytes() / BYTES_PER_NS;
        write_units(py, out, work, |out| coverage::sheet(&grid.0, view, coverage, out))
    })
}

/// Dense latent masks (n, 1, h, w): zeros, and each cell's mask at its place.
#[pyfunction]
#[pyo3(signature = (layout, masks, cells, out, /))]
pub(crate) fn scatter(
    py: Python<'_>,
    layout: &PyLayout,
    masks: &Bound<'_, PyAny>,
    cells: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let layout = &layout.0;
    let grid = layout.grid();
    let cells = numbers_of_cells(cells, grid.cells() as usize)?;
    let masks = Array::borrow(masks, "the latent masks")?;
    let out = Output::borrow(out, "out", &[&masks])?;
    let latent = grid.latent_size();
    masks.expect_dtype(Dtype::FLOAT32)?;
    masks.expect_shape(&[layout.count(), layout.height(), layout.width()])?;
    out.expect_shape(&[cells.len(), 1, latent.height as usize, latent.width as usize])?;
    let view = masks.view::<f32, 3>([masks.axis(0), masks.axis(1), masks.axis(2)])?;
    let dense = view.as_slice().ok_or_else(|| {
        InvalidBufferError::new_err("the latent masks have strides; allowed is dense memory, as cell_masks writes it")
    })?;
    let work = out.bytes() / BYTES_PER_NS;
    by_element!("out", out.dtype(), U => {
        out.write::<U, _>(py, work, |out| coverage::scatter(layout, dense, &cells, out))
    })
}
