//! `Grid`, where the cells of a sheet lie, as an immutable Python object. Its doc comments are the public docstrings.

use maskgrid_core::{Grid, MAX_CELLS, MAX_SIDE, Pixel, Size};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::errors::{InvalidValueError, to_py};
use crate::parse_arguments::{pair, place, whole};
use crate::rect::{PyRect, PySize};

const SIDES: std::ops::RangeInclusive<u32> = 1..=MAX_SIDE;
const SPACES: std::ops::RangeInclusive<u32> = 0..=MAX_SIDE;
const COUNTS: std::ops::RangeInclusive<u32> = 1..=MAX_CELLS;

/// Where the cells of a sheet lie: rows x columns equal rectangles, numbered row by row.
///
/// Give the size of a cell, of the canvas, or both. Nothing has to divide:
///
/// - With a canvas alone the cells are the largest equal ones that fit. What they leave over lies at the bottom and at
///   the right and belongs to no cell.
/// - A canvas side that the stride does not divide is thought of as continued to the next multiple (`padded_canvas`):
///   the latent side is `ceil(side / stride)`.
/// - `latent_rect` rounds a cell outward, so neighbours may share latent cells; `write_rect` gives each latent cell to
///   the cell that its centre lies in, so those are disjoint.
///
/// Grids compare by value, can be hashed and pickled, and never change. `len(grid)` is the number of cells.
///
/// Args:
///     rows: Rows of cells, 1 to 4096.
///     columns: Columns of cells, 1 to 4096; not more than 4096 cells in all.
///     cell: Height and width of a cell in pixels, or one number for both; 1 to 65536.
///     canvas: Height and width of the sheet in pixels, or one number for both; 1 to 65536.
///     gap: Pixels between neighbouring cells, vertical and horizontal, or one number for both; default 0.
///     margin: Pixels before the first and after the last cell, likewise; default 0. With cell and canvas both given, what
///         lies after the last cell is what the canvas has left.
///     stride: Pixels per latent cell, 1 to 65536: 8 for most models (default), 16 or 32 for some, 1 for pixel models.
///
/// Raises:
///     InvalidTypeError: No whole number (floats and bools are refused).
///     InvalidValueError: A number outside its range, neither cell nor canvas, or cells that do not fit; the message
///         names the nearest size that works.
///
/// Example:
///     >>> grid = Grid(3, 4, cell=64)
///     >>> grid.canvas, grid.latent_size
///     (Size(height=192, width=256), Size(height=24, width=32))
///     >>> grid.cell_rect(5)
///     Rect(top=64, left=64, bottom=128, right=128)
#[pyclass(name = "Grid", module = "maskgrid", frozen, eq, hash)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyGrid(pub(crate) Grid);

#[pymethods]
impl PyGrid {
    #[new]
    #[pyo3(signature = (rows, columns, *, cell=None, canvas=None, gap=None, margin=None, stride=None))]
    fn new(
        rows: &Bound<'_, PyAny>,
        columns: &Bound<'_, PyAny>,
        cell: Option<&Bound<'_, PyAny>>,
        canvas: Option<&Bound<'_, PyAny>>,
        gap: Option<&Bound<'_, PyAny>>,
        margin: Option<&Bound<'_, PyAny>>,
        stride: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let size = |object: &Bound<'_, PyAny>, name, allowed| {
            pair(object, name, allowed).map(|(height, width)| Size::new(height, width))
        };
        let mut builder = Grid::builder(whole(rows, "rows", COUNTS)?, whole(columns, "columns", COUNTS)?);
        if let Some(gap) = gap {
            builder = builder.gap(size(gap, "gap", SPACES)?);
        }
        if let Some(margin) = margin {
            builder = builder.margin(size(margin, "margin", SPACES)?);
        }
        if let Some(stride) = stride {
            builder = builder.stride(whole(stride, "stride", SIDES)?);
        }
        let cell = cell.map(|cell| size(cell, "cell", SIDES)).transpose()?;
        let canvas = canvas.map(|canvas| size(canvas, "canvas", SIDES)).transpose()?;
        let grid = match (cell, canvas) {
            (Some(cell), None) => builder.from_cell(cell),
            (None, Some(canvas)) => builder.from_canvas(canvas),
            (Some(cell), Some(canvas)) => builder.from_cell_and_canvas(cell, canvas),
            (None, None) => {
                return Err(InvalidValueError::new_err("a grid needs cell=, canvas= or both; neither was given"));
            }
        };
        grid.map(Self).map_err(to_py)
    }

    /// The grid of the largest equal cells that fit into a canvas; arguments as for `Grid`.
    #[classmethod]
    #[pyo3(signature = (canvas, rows, columns, *, gap=None, margin=None, stride=None))]
    fn from_canvas(
        _class: &Bound<'_, PyType>,
        canvas: &Bound<'_, PyAny>,
        rows: &Bound<'_, PyAny>,
        columns: &Bound<'_, PyAny>,
        gap: Option<&Bound<'_, PyAny>>,
        margin: Option<&Bound<'_, PyAny>>,
        stride: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Self::new(rows, columns, None, Some(canvas), gap, margin, stride)
    }

    /// The grid of a sheet, found in its pixels: by edges, by empty lines between cells, and by repeats.
    ///
    /// Rows and columns of up to 64 cells from 8 px on. Where the edges of cells can be seen the grid has them, to the
    /// pixel. Where they can't, as with sprites on one common ground, every sprite lies in a cell of its own.
    ///
    /// Args:
    ///     image: (H, W), (H, W, C) or (C, H, W), C of 1 to 4: uint8, bool or floats in [0, 1]; an array, a tensor, or
    ///         a PIL image. Alpha counts.
    ///     stride: Pixels per latent cell of the grids that come back; default 8.
    ///
    /// Returns:
    ///     A `maskgrid.geometry.DetectedGrid`: the best grid, its confidence, and the runners-up.
    ///
    /// Raises:
    ///     GridError: No more than a single cell can be seen.
    ///     InvalidTypeError: No image, or another dtype.
    ///     InvalidValueError: A shape that is no image, or floats outside [0, 1].
    #[classmethod]
    #[pyo3(signature = (image, *, stride=None))]
    fn detect<'py>(
        class: &Bound<'py, PyType>,
        image: &Bound<'py, PyAny>,
        stride: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stride = stride.map_or(Ok(8), |stride| whole(stride, "stride", SIDES))?;
        let detect = class.py().import("maskgrid.geometry.detect_grid")?.getattr("detect_grid")?;
        detect.call1((image, stride))
    }

    /// Rows of cells.
    #[getter]
    fn rows(&self) -> u32 {
        self.0.rows()
    }

    /// Columns of cells.
    #[getter]
    fn columns(&self) -> u32 {
        self.0.columns()
    }

    /// Size of one cell in pixels.
    #[getter]
    fn cell(&self) -> PySize {
        self.0.cell().into()
    }

    /// Pixels between neighbouring cells, vertical and horizontal.
    #[getter]
    fn gap(&self) -> PySize {
        self.0.gap().into()
    }

    /// Pixels before the first and after the last cell, vertical and horizontal.
    #[getter]
    fn margin(&self) -> PySize {
        self.0.margin().into()
    }

    /// Size of the whole sheet in pixels.
    #[getter]
    fn canvas(&self) -> PySize {
        self.0.canvas().into()
    }

    /// Pixels per latent cell.
    #[getter]
    fn stride(&self) -> u32 {
        self.0.stride()
    }

    /// Size of the whole sheet in latent cells, rounded up.
    #[getter]
    fn latent_size(&self) -> PySize {
        self.0.latent_size().into()
    }

    /// Size in pixels of the canvas continued to whole latent cells.
    #[getter]
    fn padded_canvas(&self) -> PySize {
        self.0.padded_canvas().into()
    }

    fn __len__(&self) -> usize {
        self.0.cell_count() as usize
    }

    /// Row and column of a cell; negative numbers count from the end.
    fn position(&self, index: &Bound<'_, PyAny>) -> PyResult<(u32, u32)> {
        self.0.position(self.index(index)?).map_err(to_py)
    }

    /// Number of the cell at a row and a column; negative ones count from the end.
    fn index_of(&self, row: &Bound<'_, PyAny>, column: &Bound<'_, PyAny>) -> PyResult<usize> {
        let columns = self.0.columns() as usize;
        Ok(place(row, "row", self.0.rows() as usize)? * columns + place(column, "column", columns)?)
    }

    /// The pixels of a cell; negative numbers count from the end.
    fn cell_rect(&self, index: &Bound<'_, PyAny>) -> PyResult<PyRect> {
        self.0.cell_rect(self.index(index)?).map(PyRect::from).map_err(to_py)
    }

    /// The latent cells that touch a cell (rounded outward); negative numbers count from the end.
    fn latent_rect(&self, index: &Bound<'_, PyAny>) -> PyResult<PyRect> {
        self.0.latent_rect(self.index(index)?).map(PyRect::from).map_err(to_py)
    }

    /// The latent cells whose centre lies in a cell, disjoint for all cells; negative numbers count from the end.
    fn write_rect(&self, index: &Bound<'_, PyAny>) -> PyResult<PyRect> {
        self.0.write_rect(self.index(index)?).map(PyRect::from).map_err(to_py)
    }

    /// The pixel rectangles of all cells, row by row.
    #[getter]
    fn cell_rects(&self) -> Vec<PyRect> {
        self.0.cell_rects().map(PyRect::from).collect()
    }

    fn __repr__(&self) -> String {
        let grid = &self.0;
        let mut text = format!("Grid({}, {}", grid.rows(), grid.columns());
        for (name, size, default) in [
            ("cell", grid.cell(), None),
            ("canvas", grid.canvas(), None),
            ("gap", grid.gap(), Some(Size::new(0, 0))),
            ("margin", grid.margin(), Some(Size::new(0, 0))),
        ] {
            if Some(size) != default {
                text += &format!(", {name}=({}, {})", size.height, size.width);
            }
        }
        text + &format!(", stride={})", grid.stride())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let restore = slf.py().import("maskgrid.geometry.grid")?.getattr("restore_grid")?;
        let grid = &slf.get().0;
        let pair = |size: Size<Pixel>| (size.height, size.width);
        let state = (
            grid.rows(),
            grid.columns(),
            pair(grid.cell()),
            pair(grid.canvas()),
            pair(grid.gap()),
            pair(grid.margin()),
            grid.stride(),
        );
        Ok((restore, state.into_pyobject(slf.py())?.into_any()))
    }
}

impl PyGrid {
    fn index(&self, index: &Bound<'_, PyAny>) -> PyResult<usize> {
        place(index, "cell", self.0.cell_count() as usize)
    }
}
