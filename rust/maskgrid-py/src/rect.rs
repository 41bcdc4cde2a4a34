//! `Size` and `Rect` as immutable Python objects. Their doc comments are the public docstrings.

use maskgrid_core::{Pixel, Rect, Size, Unit};
use pyo3::prelude::*;
use pyo3::types::{PySlice, PyTuple};

use crate::errors::InvalidValueError;
use crate::parse_arguments::whole;

/// What coordinates may be before a grid is there to say more.
const ANY: std::ops::RangeInclusive<u32> = 0..=u32::MAX;

/// Python's `Size`: height and width, in that order.
///
/// In pixels or in latent cells, as whatever returns it says. Unpacks like a tuple; compares by value, can be hashed
/// and pickled, never changes.
///
/// Args:
///     height: Rows, 0 or more.
///     width: Columns, 0 or more.
///
/// Raises:
///     InvalidTypeError: No whole number (floats and bools are refused).
///     InvalidValueError: A negative number, or one of more than 32 bits.
#[pyclass(name = "Size", module = "maskgrid", frozen, eq, ord, hash)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PySize {
    /// Rows.
    #[pyo3(get)]
    height: u32,
    /// Columns.
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
    fn new(height: &Bound<'_, PyAny>, width: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { height: whole(height, "height", ANY)?, width: whole(width, "width", ANY)? })
    }

    /// Height times width.
    #[getter]
    fn area(&self) -> u64 {
        Size::<Pixel>::new(self.height, self.width).area()
    }

    fn __len__(&self) -> usize {
        2
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(py)?.into_any().try_iter().map(Bound::into_any)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(py)?.as_any().get_item(index)
    }

    fn __repr__(&self) -> String {
        format!("Size(height={}, width={})", self.height, self.width)
    }

    fn __getnewargs__(&self) -> (u32, u32) {
        (self.height, self.width)
    }
}

impl PySize {
    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [self.height, self.width])
    }
}

/// A half-open rectangle: rows top to bottom - 1, columns left to right - 1.
///
/// In pixels or in latent cells, as whatever returns it says. Unpacks like a tuple; compares by value, can be hashed
/// and pickled, never changes. An empty rectangle is false.
///
/// Args:
///     top: First row, 0 or more.
///     left: First column, 0 or more.
///     bottom: One past the last row, `top` or more.
///     right: One past the last column, `left` or more.
///
/// Raises:
///     InvalidTypeError: No whole number (floats and bools are refused).
///     InvalidValueError: A negative number, one of more than 32 bits, or an end before its start.
#[pyclass(name = "Rect", module = "maskgrid", frozen, eq, ord, hash)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PyRect {
    /// First row.
    #[pyo3(get)]
    top: u32,
    /// First column.
    #[pyo3(get)]
    left: u32,
    /// One past the last row.
    #[pyo3(get)]
    bottom: u32,
    /// One past the last column.
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
    fn new(
        top: &Bound<'_, PyAny>,
        left: &Bound<'_, PyAny>,
        bottom: &Bound<'_, PyAny>,
        right: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (top, left) = (whole(top, "top", ANY)?, whole(left, "left", ANY)?);
        let (bottom, right) = (whole(bottom, "bottom", ANY)?, whole(right, "right", ANY)?);
        if bottom < top || right < left {
            return Err(InvalidValueError::new_err(format!(
                "a rectangle from ({top}, {left}) to ({bottom}, {right}) ends before it starts; \
                 allowed: bottom >= top and right >= left"
            )));
        }
        Ok(Self { top, left, bottom, right })
    }

    /// Rows.
    #[getter]
    fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// Columns.
    #[getter]
    fn width(&self) -> u32 {
        self.right - self.left
    }

    /// Height and width.
    #[getter]
    fn size(&self) -> PySize {
        Rect::<Pixel>::from(self).size().into()
    }

    /// Height times width.
    #[getter]
    fn area(&self) -> u64 {
        Rect::<Pixel>::from(self).size().area()
    }

    /// `(slice(top, bottom), slice(left, right))`, to index an array with.
    #[getter]
    fn slices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let slice = |start: u32, stop: u32| PySlice::new(py, start as isize, stop as isize, 1);
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
        self.tuple(py)?.into_any().try_iter().map(Bound::into_any)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(py)?.as_any().get_item(index)
    }

    fn __repr__(&self) -> String {
        format!("Rect(top={}, left={}, bottom={}, right={})", self.top, self.left, self.bottom, self.right)
    }

    fn __getnewargs__(&self) -> (u32, u32, u32, u32) {
        (self.top, self.left, self.bottom, self.right)
    }
}

impl PyRect {
    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [self.top, self.left, self.bottom, self.right])
    }
}
