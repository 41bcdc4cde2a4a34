//! The geometry of a fork plan; `maskgrid.ForkPlan` adds the masks.

use maskgrid_core::{Plan, PlanOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::to_py;
use crate::grid::PyGrid;
use crate::parse_arguments::{cells as numbers_of_cells, place, whole};
use crate::rect::{PyRect, PySize};

/// Positional arguments of `Plan`.
type NewArguments = (PyGrid, Vec<u32>);

/// Per fork its cell, its read window and its write rectangle, in latent cells.
///
/// Args:
///     grid: Where the cells lie.
///     cells: The cell of each fork, each at most once.
///     halo: Latent cells around a cell that its window reads as well.
///     align: What starts and sides of windows are multiples of, in latent cells.
///
/// Raises:
///     InvalidTypeError: No whole number.
///     InvalidValueError: A cell that does not exist or is named twice, a number outside its range, an alignment that
///         does not divide the latent size.
#[pyclass(name = "Plan", module = "maskgrid._native", frozen, eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyPlan(Plan);

#[pymethods]
impl PyPlan {
    #[new]
    #[pyo3(signature = (grid, cells, *, halo, align))]
    fn new(
        grid: &PyGrid,
        cells: &Bound<'_, PyAny>,
        halo: &Bound<'_, PyAny>,
        align: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let options =
            PlanOptions { halo: whole(halo, "halo", 0..=u32::MAX)?, align: whole(align, "align", 1..=u32::MAX)? };
        let most = grid.0.cell_count() as usize;
        let cells = numbers_of_cells(cells, most, most)?;
        Plan::new(grid.0.clone(), cells, options).map(Self).map_err(to_py)
    }

    /// Where the cells lie.
    #[getter]
    fn grid(&self) -> PyGrid {
        PyGrid(self.0.grid().clone())
    }

    /// The cell of each fork.
    #[getter]
    fn cells(&self) -> Vec<u32> {
        self.0.cells().to_vec()
    }

    /// Latent cells around a cell that its window reads as well.
    #[getter]
    fn halo(&self) -> u32 {
        self.0.options().halo
    }

    /// What starts and sides of windows are multiples of, in latent cells.
    #[getter]
    fn align(&self) -> u32 {
        self.0.options().align
    }

    /// The shape of all windows in latent cells; 0 x 0 without forks.
    #[getter]
    fn window_size(&self) -> PySize {
        self.0.window_size().into()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// What a fork's network call reads.
    fn window(&self, fork: &Bound<'_, PyAny>) -> PyResult<PyRect> {
        self.0.window(self.fork(fork)?).map(PyRect::from).map_err(to_py)
    }

    /// The latent cells that a fork's mask lies in.
    fn place(&self, fork: &Bound<'_, PyAny>) -> PyResult<PyRect> {
        self.0.place(self.fork(fork)?).map(PyRect::from).map_err(to_py)
    }

    /// The latent cells that are the fork's own.
    fn write(&self, fork: &Bound<'_, PyAny>) -> PyResult<PyRect> {
        self.0.write(self.fork(fork)?).map(PyRect::from).map_err(to_py)
    }

    fn __repr__(&self) -> String {
        format!("<Plan: {} forks of {} cells>", self.0.len(), self.0.grid().cell_count())
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(NewArguments, Bound<'py, PyDict>)> {
        let options = PyDict::new(py);
        options.set_item("halo", self.halo())?;
        options.set_item("align", self.align())?;
        Ok(((self.grid(), self.cells()), options))
    }
}

impl PyPlan {
    fn fork(&self, fork: &Bound<'_, PyAny>) -> PyResult<usize> {
        place(fork, "fork", self.0.len())
    }
}
