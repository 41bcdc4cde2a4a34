//! Sizes, rectangles, grids and plan geometry as immutable Python objects.

use maskgrid_core::{Grid, Pixel, Plan, PlanOptions, Rect, Size, Unit};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::errors::{InvalidTypeError, InvalidValueError, to_py};

/// Height and width; whether they are pixels or latent cells is said where a size is returned.
#[pyclass(name = "Size", module = "maskgrid", frozen, eq, ord, hash)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PySize {
    #[pyo3(get)]
    height: u32,
    #[pyo3(get)]
    width: u32,
}

impl<U: Unit> From<Size<U>> for PySize {
    fn from(size: Size<U>) -> Self {
        Self { height: size.height, width: size.width }
    }
}

#[pymethods]
impl PySize {
    #[new]
    fn new(height: Coordinate, width: Coordinate) -> Self {
        Self { height: height.0, width: width.0 }
    }

    fn __len__(&self) -> usize {
        2
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyTuple::new(py, [self.height, self.width])?.into_any().try_iter().map(Bound::into_any)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        PyTuple::new(py, [self.height, self.width])?.as_any().get_item(index)
    }

    fn __repr__(&self) -> String {
        format!("Size(height={}, width={})", self.height, self.width)
    }

    fn __getnewargs__(&self) -> (u32, u32) {
        (self.height, self.width)
    }
}

/// A half-open rectangle: rows top to bottom - 1, columns left to right - 1.
#[pyclass(name = "Rect", module = "maskgrid", frozen, eq, ord, hash)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PyRect {
    #[pyo3(get)]
    top: u32,
    #[pyo3(get)]
    left: u32,
    #[pyo3(get)]
    bottom: u32,
    #[pyo3(get)]
    right: u32,
}

impl<U: Unit> From<Rect<U>> for PyRect {
    fn from(rect: Rect<U>) -> Self {
        Self { top: rect.top, left: rect.left, bottom: rect.bottom, right: rect.right }
    }
}

impl From<&PyRect> for Rect<Pixel> {
    fn from(rect: &PyRect) -> Self {
        Self::new(rect.top, rect.left, rect.bottom, rect.right)
    }
}

#[pymethods]
impl PyRect {
    #[new]
    fn new(top: Coordinate, left: Coordinate, bottom: Coordinate, right: Coordinate) -> PyResult<Self> {
        let (top, left, bottom, right) = (top.0, left.0, bottom.0, right.0);
        if bottom < top || right < left {
            return Err(InvalidValueError::new_err(format!(
                "a rectangle from ({top}, {left}) to ({bottom}, {right}) ends before it starts; \
                 allowed is bottom >= top and right >= left"
            )));
        }
        Ok(Self { top, left, bottom, right })
    }

    #[getter]
    fn height(&self) -> u32 {
        self.bottom - self.top
    }

    #[getter]
    fn width(&self) -> u32 {
        self.right - self.left
    }

    #[getter]
    fn size(&self) -> PySize {
        Rect::<Pixel>::from(self).size().into()
    }

    #[getter]
    fn area(&self) -> u64 {
        Rect::<Pixel>::from(self).size().area()
    }

    /// `(slice(top, bottom), slice(left, right))`, to index an array with.
    #[getter]
    fn slices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let slice = |start: u32, stop: u32| pyo3::types::PySlice::new(py, start as isize, stop as isize, 1);
        PyTuple::new(py, [slice(self.top, self.bottom), slice(self.left, self.right)])
    }

    /// Whether all of `other` lies inside; an empty rectangle lies inside every one.
    fn contains(&self, other: &Self) -> bool {
        Rect::<Pixel>::from(self).contains(other.into())
    }

    /// What both have in common; empty where they do not meet.
    fn intersect(&self, other: &Self) -> Self {
        Rect::<Pixel>::from(self).intersect(other.into()).into()
    }

    fn __bool__(&self) -> bool {
        !Rect::<Pixel>::from(self).is_empty()
    }

    fn __len__(&self) -> usize {
        4
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyTuple::new(py, [self.top, self.left, self.bottom, self.right])?.into_any().try_iter().map(Bound::into_any)
    }

    fn __repr__(&self) -> String {
        format!("Rect(top={}, left={}, bottom={}, right={})", self.top, self.left, self.bottom, self.right)
    }

    fn __getnewargs__(&self) -> (u32, u32, u32, u32) {
        (self.top, self.left, self.bottom, self.right)
    }
}

/// A whole number that may be too large or negative on Python's side: refused with its value.
struct Coordinate(u32);

impl<'py> FromPyObject<'_, 'py> for Coordinate {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let not_whole = |_| {
            let kind = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
            InvalidTypeError::new_err(format!("expected a whole number, got {kind}"))
        };
        // __index__ takes ints and numpy's integers, and refuses floats and strings.
        let whole = object.call_method0("__index__").map_err(not_whole)?;
        whole.extract::<u32>().map(Self).map_err(|_| {
            InvalidValueError::new_err(format!("the number {whole} is not allowed; allowed are 0 to {}", u32::MAX))
        })
    }
}

/// One number for both axes, or (vertical, horizontal); a `Size` too.
struct Pair(u32, u32);

impl<'py> FromPyObject<'_, 'py> for Pair {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if !object.hasattr("__len__")? {
            let Coordinate(both) = object.extract()?;
            return Ok(Self(both, both));
        }
        let sides = object.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        match sides.as_slice() {
            [height, width] => Ok(Self(height.extract::<Coordinate>()?.0, width.extract::<Coordinate>()?.0)),
            _ => Err(InvalidValueError::new_err(format!(
                "expected one number or (height, width), got {} numbers",
                sides.len()
            ))),
        }
    }
}

impl From<Pair> for Size<Pixel> {
    fn from(pair: Pair) -> Self {
        Self::new(pair.0, pair.1)
    }
}

/// Where the cells of a sheet lie.
#[pyclass(name = "Grid", module = "maskgrid", frozen, eq, hash)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyGrid(pub(crate) Grid);

#[pymethods]
impl PyGrid {
    #[new]
    #[pyo3(signature = (rows, columns, *, cell=None, canvas=None, gap=None, margin=None, stride=None))]
    #[expect(clippy::too_many_arguments, reason = "the keyword arguments of the Python constructor")]
    fn new(
        rows: Coordinate,
        columns: Coordinate,
        cell: Option<Pair>,
        canvas: Option<Pair>,
        gap: Option<Pair>,
        margin: Option<Pair>,
        stride: Option<Coordinate>,
    ) -> PyResult<Self> {
        let builder = Grid::builder(rows.0, columns.0)
            .gap(gap.map_or(Size::new(0, 0), Size::from))
            .margin(margin.map_or(Size::new(0, 0), Size::from))
            .stride(stride.map_or(8, |stride| stride.0));
        let grid = match (cell, canvas) {
            (Some(cell), None) => builder.from_cell(cell.into()),
            (None, Some(canvas)) => builder.from_canvas(canvas.into()),
            (Some(cell), Some(canvas)) => builder.from_cell_and_canvas(cell.into(), canvas.into()),
            (None, None) => {
                return Err(InvalidValueError::new_err("a grid needs cell=, canvas= or both; neither was given"));
            }
        };
        grid.map(Self).map_err(to_py)
    }

    /// The grid of the largest equal cells that fit into a canvas.
    #[classmethod]
    #[pyo3(signature = (canvas, rows, columns, *, gap=None, margin=None, stride=None))]
    fn from_canvas(
        _class: &Bound<'_, PyType>,
        canvas: Pair,
        rows: Coordinate,
        columns: Coordinate,
        gap: Option<Pair>,
        margin: Option<Pair>,
        stride: Option<Coordinate>,
    ) -> PyResult<Self> {
        Self::new(rows, columns, None, Some(canvas), gap, margin, stride)
    }

    #[getter]
    fn rows(&self) -> u32 {
        self.0.rows()
    }

    #[getter]
    fn columns(&self) -> u32 {
        self.0.columns()
    }

    #[getter]
    fn cell(&self) -> PySize {
        self.0.cell().into()
    }

    #[getter]
    fn gap(&self) -> PySize {
        self.0.gap().into()
    }

    #[getter]
    fn margin(&self) -> PySize {
        self.0.margin().into()
    }

    #[getter]
    fn canvas(&self) -> PySize {
        self.0.canvas().into()
    }

    #[getter]
    fn stride(&self) -> u32 {
        self.0.stride()
    }

    #[getter]
    fn latent_size(&self) -> PySize {
        self.0.latent_size().into()
    }

    #[getter]
    fn padded_canvas(&self) -> PySize {
        self.0.padded_canvas().into()
    }

    fn __len__(&self) -> usize {
        self.0.cells() as usize
    }

    /// Row and column of a cell.
    fn position(&self, index: isize) -> PyResult<(u32, u32)> {
        self.0.position(self.index(index)).map_err(to_py)
    }

    /// Number of the cell at a row and a column.
    fn index_of(&self, row: isize, column: isize) -> PyResult<usize> {
        let inside = |value: isize, count: u32, name: &str| {
            usize::try_from(value).ok().filter(|&value| value < count as usize).ok_or_else(|| {
                InvalidValueError::new_err(format!("{name} {value} does not exist; there are {count}, numbered from 0"))
            })
        };
        let row = inside(row, self.0.rows(), "row")?;
        Ok(row * self.0.columns() as usize + inside(column, self.0.columns(), "column")?)
    }

    /// The pixels of a cell.
    fn cell_rect(&self, index: isize) -> PyResult<PyRect> {
        self.0.cell_rect(self.index(index)).map(PyRect::from).map_err(to_py)
    }

    /// The latent cells that touch a cell.
    fn latent_rect(&self, index: isize) -> PyResult<PyRect> {
        self.0.latent_rect(self.index(index)).map(PyRect::from).map_err(to_py)
    }

    /// The latent cells whose centre lies in a cell.
    fn write_rect(&self, index: isize) -> PyResult<PyRect> {
        self.0.write_rect(self.index(index)).map(PyRect::from).map_err(to_py)
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
    /// Negative numbers count from the end, as everywhere in Python; what is outside stays outside.
    fn index(&self, index: isize) -> usize {
        let wrapped = if index < 0 { index + self.0.cells() as isize } else { index };
        usize::try_from(wrapped).unwrap_or(usize::MAX)
    }
}

/// The geometry of a fork plan; `maskgrid.ForkPlan` adds the masks.
#[pyclass(name = "Plan", module = "maskgrid._native", frozen, eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyPlan(pub(crate) Plan);

#[pymethods]
impl PyPlan {
    #[new]
    #[pyo3(signature = (grid, cells, *, halo, align))]
    fn new(grid: &PyGrid, cells: Vec<u32>, halo: Coordinate, align: Coordinate) -> PyResult<Self> {
        let options = PlanOptions { halo: halo.0, align: align.0 };
        Plan::new(grid.0.clone(), cells, options).map(Self).map_err(to_py)
    }

    #[getter]
    fn cells(&self) -> Vec<u32> {
        self.0.cells().to_vec()
    }

    #[getter]
    fn window_size(&self) -> PySize {
        self.0.window_size().into()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn window(&self, fork: usize) -> PyResult<PyRect> {
        self.0.window(fork).map(PyRect::from).map_err(to_py)
    }

    fn place(&self, fork: usize) -> PyResult<PyRect> {
        self.0.place(fork).map(PyRect::from).map_err(to_py)
    }

    fn write(&self, fork: usize) -> PyResult<PyRect> {
        self.0.write(fork).map(PyRect::from).map_err(to_py)
    }
}
