//! Latent coverage: from pixel masks to noise masks.

use half::{bf16, f16};
use maskgrid_core::latent_coverage::{self, Coverage, DistinctCoverages};
use maskgrid_core::{Element, Flag, Grid, View};
use pyo3::prelude::*;

use crate::buffer::{Array, Dtype, Item, Kind, Output, tuple};
use crate::errors::{InvalidBufferError, InvalidValueError, to_py};
use crate::grid::PyGrid;
use crate::mask_array::{MaskArray, UseMask, no_mask_dtype, write_units};
use crate::parse_arguments::{cells_or, choice, place, whole};
use crate::thread_pool::BYTES_PER_NS;

const COVERAGES: [(&str, Coverage); 5] = [
    ("center", Coverage::Center),
    ("nearest", Coverage::Nearest),
    ("area", Coverage::Area),
    ("max", Coverage::Max),
    ("min", Coverage::Min),
];

/// Which distinct latent coverages a grid has, and which of them each cell has.
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
#[pyclass(name = "DistinctCoverages", module = "maskgrid._native", frozen, eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyDistinctCoverages(DistinctCoverages);

#[pymethods]
impl PyDistinctCoverages {
    #[new]
    fn new(grid: &PyGrid, mask_count: &Bound<'_, PyAny>) -> PyResult<Self> {
        let count = whole(mask_count, "mask_count", 1..=grid.0.cell_count())?;
        DistinctCoverages::new(&grid.0, count as usize).map(Self).map_err(to_py)
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

    /// Distinct latent coverages.
    #[getter]
    fn count(&self) -> usize {
        self.0.count()
    }

    /// Rows of the largest latent coverage, in latent cells.
    #[getter]
    fn height(&self) -> usize {
        self.0.height()
    }

    /// Columns of the largest latent coverage, in latent cells.
    #[getter]
    fn width(&self) -> usize {
        self.0.width()
    }

    /// Whether there are latent cells that several cells touch.
    #[getter]
    fn shared(&self) -> bool {
        self.0.shared()
    }

    /// Which of the latent coverages a cell has.
    fn index(&self, cell: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.0.index(place(cell, "cell", self.0.grid().cell_count() as usize)?).map_err(to_py)
    }

    fn __repr__(&self) -> String {
        let (count, height, width) = (self.count(), self.height(), self.width());
        format!("<DistinctCoverages: {count} latent coverages of {height} x {width}>")
    }

    fn __getnewargs__(&self) -> (PyGrid, usize) {
        (self.grid(), self.mask_count())
    }
}

/// About how many nanoseconds it takes on one thread to read the blocks of all latent coverages.
fn work(distinct: &DistinctCoverages, mask: &Array<'_>) -> usize {
    let stride = distinct.grid().stride() as usize;
    let pixels = distinct.len().saturating_mul(stride * stride);
    pixels.saturating_mul(usize::from(mask.dtype().bytes)) / BYTES_PER_NS
}

/// Height and width that a stencil has.
fn cell_size(grid: &Grid) -> [usize; 2] {
    [grid.cell().height as usize, grid.cell().width as usize]
}

/// The distinct latent coverages of single cells; returns for each mask given whether it has a pixel above 0.
#[pyfunction]
#[pyo3(signature = (grid, mask, coverage, out, /))]
pub(crate) fn cover_cells(
    py: Python<'_>,
    grid: &PyGrid,
    mask: &Bound<'_, PyAny>,
    coverage: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<Vec<bool>> {
    let coverage = choice(coverage, "coverage", &COVERAGES)?;
    let mask = MaskArray::borrow(mask, Some(cell_size(&grid.0)))?;
    let out = Output::borrow(out, "out", &[&mask.array])?;
    out.expect_dtype(Dtype::FLOAT32)?;
    let distinct = DistinctCoverages::new(&grid.0, mask.count()).map_err(to_py)?;
    out.expect_shape(&[distinct.count(), distinct.height(), distinct.width()])?;
    let work = work(&distinct, &mask.array);
    mask.use_by(CoverCells { py, grid: &grid.0, coverage, out, work })
}

struct CoverCells<'g, 'py> {
    py: Python<'py>,
    grid: &'g Grid,
    coverage: Coverage,
    out: Output<'static>,
    work: usize,
}

impl<'a> UseMask<'a> for CoverCells<'_, '_> {
    type Output = Vec<bool>;

    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<Vec<bool>> {
        let Self { py, grid, coverage, out, work } = self;
        out.write::<f32, _>(py, work, |out| latent_coverage::cover_cells(grid, masks, coverage, out))
    }
}

/// The latent coverage of the sheet whose cells all hold their mask.
#[pyfunction]
#[pyo3(signature = (grid, mask, coverage, out, /))]
pub(crate) fn cover_sheet(
    py: Python<'_>,
    grid: &PyGrid,
    mask: &Bound<'_, PyAny>,
    coverage: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let coverage = choice(coverage, "coverage", &COVERAGES)?;
    let mask = MaskArray::borrow(mask, Some(cell_size(&grid.0)))?;
    let out = Output::borrow(out, "out", &[&mask.array])?;
    let latent = grid.0.latent_size();
    out.expect_shape(&[latent.height as usize, latent.width as usize])?;
    let distinct = DistinctCoverages::new(&grid.0, mask.count()).map_err(to_py)?;
    let work = work(&distinct, &mask.array) + out.bytes() / BYTES_PER_NS;
    mask.use_by(CoverSheet { py, grid: &grid.0, coverage, out, work })
}

struct CoverSheet<'g, 'py> {
    py: Python<'py>,
    grid: &'g Grid,
    coverage: Coverage,
    out: Output<'static>,
    work: usize,
}

impl<'a> UseMask<'a> for CoverSheet<'_, '_> {
    type Output = ();

    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<()> {
        let Self { py, grid, coverage, out, work } = self;
        write_units(py, out, work, |out| latent_coverage::cover_sheet(grid, masks, coverage, out))
    }
}

/// Noise masks (n, 1, h, w): zeros, and each cell's latent coverage at its place.
#[pyfunction]
#[pyo3(signature = (distinct, coverages, cells, out, /))]
pub(crate) fn lay_noise_masks(
    py: Python<'_>,
    distinct: &PyDistinctCoverages,
    coverages: &Bound<'_, PyAny>,
    cells: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let distinct = &distinct.0;
    let grid = distinct.grid();
    let coverages = Array::borrow(coverages, "the latent coverages")?;
    let out = Output::borrow(out, "out", &[&coverages])?;
    let latent = grid.latent_size();
    coverages.expect_dtype(Dtype::FLOAT32)?;
    coverages.expect_shape(&[distinct.count(), distinct.height(), distinct.width()])?;
    let forks = out.shape().first().copied().unwrap_or(0);
    let cells = cells_or(cells, grid.cell_count() as usize, forks, || {
        let shape = tuple(out.shape());
        InvalidValueError::new_err(format!("out has shape {shape}; allowed: a mask for each cell, more than {forks}"))
    })?;
    out.expect_shape(&[cells.len(), 1, latent.height as usize, latent.width as usize])?;
    let view = coverages.view::<f32, 3>([coverages.axis(0), coverages.axis(1), coverages.axis(2)])?;
    let dense = view.as_slice().ok_or_else(|| {
        InvalidBufferError::new_err(
            "the latent coverages have strides; allowed: dense memory, as cover_cells writes it",
        )
    })?;
    write_noise_masks(py, distinct, dense, &cells, out)
}

fn write_noise_masks(
    py: Python<'_>,
    distinct: &DistinctCoverages,
    coverages: &[f32],
    cells: &[u32],
    out: Output<'_>,
) -> PyResult<()> {
    let write = match (out.dtype().kind, out.dtype().bytes) {
        (Kind::Bool, 1) => write_noise_masks_of::<Flag>,
        (Kind::Unsigned, 1) => write_noise_masks_of::<u8>,
        (Kind::Float, 2) => write_noise_masks_of::<f16>,
        (Kind::Brain, 2) => write_noise_masks_of::<bf16>,
        (Kind::Float, 4) => write_noise_masks_of::<f32>,
        (Kind::Float, 8) => write_noise_masks_of::<f64>,
        _ => return Err(no_mask_dtype("out", out.dtype())),
    };
    write(py, distinct, coverages, cells, out)
}

fn write_noise_masks_of<U: Element + Item>(
    py: Python<'_>,
    distinct: &DistinctCoverages,
    coverages: &[f32],
    cells: &[u32],
    out: Output<'_>,
) -> PyResult<()> {
    let work = out.bytes() / BYTES_PER_NS;
    out.write::<U, _>(py, work, |out| latent_coverage::lay_noise_masks(distinct, coverages, cells, out))
}
