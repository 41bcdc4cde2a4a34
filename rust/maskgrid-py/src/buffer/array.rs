//! Memory of a Python object to read, by whichever way the object has.

use maskgrid_core::View;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::dlpack_capsule::{self, Tensor};
use super::item_types::{DTYPES, Dtype, Item};
use super::python_buffer::{self, PythonBuffer, refuse};
use super::strided_memory::{Axis, StridedMemory, tuple};
use super::{caused, unreadable};
use crate::errors::{InvalidTypeError, InvalidValueError};

/// Memory of a Python object, checked and held.
pub(crate) struct Array<'n> {
    pub(super) name: &'n str,
    pub(super) dtype: Dtype,
    pub(super) memory: StridedMemory,
    pub(super) readonly: bool,
    pub(super) hold: Hold,
}

/// What keeps the memory alive. Made and dropped with the interpreter attached: neither kind is `Send`.
pub(super) enum Hold {
    Buffer(#[expect(dead_code, reason = "held for its drop")] PythonBuffer),
    Tensor(#[expect(dead_code, reason = "held for its drop")] Tensor),
    /// The items of a buffer that can't be taken as they lie.
    Copy(#[expect(dead_code, reason = "held for its drop")] Vec<u64>),
    /// Only looked at: the memory may be gone after the call.
    Nothing,
}

impl<'n> Array<'n> {
    /// Borrows an object for reading; `name` is what messages call it.
    ///
    /// Buffers that can't be taken as they lie (misaligned, odd strides, foreign byte order) are copied.
    pub(crate) fn borrow(object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Self> {
        Self::take(object, name, false)
    }

    /// Shape and type of an object's items without taking anything from it: a capsule can still be used afterwards.
    pub(crate) fn look(object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Self> {
        match object.cast::<PyCapsule>() {
            Ok(capsule) => Tensor::look(capsule, name).map(|contents| Self::of_tensor(contents, name)),
            Err(_) => Self::borrow(object, name),
        }
    }

    /// Takes the object's memory by whichever way it has.
    pub(super) fn take(object: &Bound<'_, PyAny>, name: &'n str, writable: bool) -> PyResult<Self> {
        let py = object.py();
        if let Ok(capsule) = object.cast::<PyCapsule>() {
            return Tensor::take(capsule, name).map(|contents| Self::of_tensor(contents, name));
        }
        let refused = match PythonBuffer::get(object, writable) {
            None => None,
            Some(Ok(buffer)) => return Self::of_buffer(buffer, object, name),
            Some(Err(error)) => Some(error),
        };
        if is_bfloat16(object) {
            return Self::take_bfloat16(object, name, writable);
        }
        match (object.getattr_opt(intern!(py, "__dlpack__"))?, refused) {
            (Some(export), None) => {
                Tensor::import(object, &export, name).map(|contents| Self::of_tensor(contents, name))
            }
            (_, Some(error)) if writable => {
                Err(caused(unreadable(name, format!("can't be written: {error}")), error, py))
            }
            (_, Some(error)) => Err(caused(unsupported(object, name, b"?"), error, py)),
            (None, None) => Err(InvalidTypeError::new_err(format!(
                "{name} is a {}; allowed: arrays: numpy, torch, or anything with a buffer or __dlpack__",
                object.get_type().name()?
            ))),
        }
    }

    /// numpy has no format character for bfloat16, so it gives its memory only as integers of the same size.
    fn take_bfloat16(object: &Bound<'_, PyAny>, name: &'n str, writable: bool) -> PyResult<Self> {
        let py = object.py();
        let bits = object.call_method1(intern!(py, "view"), (intern!(py, "uint16"),))?;
        // By the buffer protocol alone: whatever else claims to be bfloat16 again could go on for ever.
        let array = match PythonBuffer::get(&bits, writable) {
            None => Err(unreadable(name, "has a view as uint16 without a buffer")),
            Some(Ok(buffer)) => Self::of_buffer(buffer, &bits, name),
            Some(Err(error)) if writable => {
                Err(caused(unreadable(name, format!("can't be written: {error}")), error, py))
            }
            Some(Err(error)) => Err(caused(unsupported(&bits, name, b"?"), error, py)),
        }?;
        array.expect_dtype(Dtype::UINT16)?;
        Ok(Self { dtype: Dtype::BFLOAT16, ..array })
    }

    fn of_buffer(buffer: PythonBuffer, object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Self> {
        let contents = buffer.contents();
        let python_buffer::Contents { dtype, memory, copy, readonly } =
            contents.map_err(|problem| refuse(problem, name, |format| unsupported(object, name, format)))?;
        let hold = copy.map_or(Hold::Buffer(buffer), Hold::Copy);
        Ok(Self { name, dtype, memory, readonly, hold })
    }

    fn of_tensor(contents: dlpack_capsule::Contents, name: &'n str) -> Self {
        let dlpack_capsule::Contents { dtype, memory, readonly, tensor } = contents;
        Self { name, dtype, memory, readonly, hold: tensor.map_or(Hold::Nothing, Hold::Tensor) }
    }

    /// Whether it is a copy of the object's memory: what is written there is lost.
    pub(super) const fn is_copy(&self) -> bool {
        matches!(self.hold, Hold::Copy(_))
    }

    /// What messages call a Python array.
    pub(crate) const fn name(&self) -> &'n str {
        self.name
    }

    pub(crate) const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Lengths of a Python array's axes.
    pub(crate) fn shape(&self) -> &[usize] {
        self.memory.shape()
    }

    /// Items of a Python array in all.
    pub(crate) fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Bytes that are read: items times their size.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * usize::from(self.dtype.bytes)
    }

    /// Refuses an array of another shape.
    ///
    /// # Errors
    /// When it has another shape.
    pub(crate) fn expect_shape(&self, shape: &[usize]) -> PyResult<()> {
        if self.shape() == shape {
            return Ok(());
        }
        let (name, given, expected) = (self.name, tuple(self.shape()), tuple(shape));
        Err(InvalidValueError::new_err(format!("{name} has shape {given}; allowed: {expected}")))
    }

    /// Refuses an array with items of another type.
    ///
    /// # Errors
    /// When it has another type.
    pub(crate) fn expect_dtype(&self, dtype: Dtype) -> PyResult<()> {
        if self.dtype == dtype {
            return Ok(());
        }
        Err(InvalidTypeError::new_err(format!("{} has dtype {}; allowed: {dtype}", self.name, self.dtype)))
    }

    /// A Python array along one axis.
    ///
    /// # Panics
    /// When there is no such axis.
    pub(crate) fn axis(&self, axis: usize) -> Axis {
        self.memory.axis(axis)
    }

    /// The memory seen through these axes; leaving one out looks at its first item.
    ///
    /// # Errors
    /// When `T` has another size than the items, or the axes reach outside.
    pub(crate) fn view<T: Item, const D: usize>(&self, axes: [Axis; D]) -> PyResult<View<'_, T, D>> {
        if size_of::<T>() != usize::from(self.dtype.bytes) {
            return Err(unreadable(
                self.name,
                format!("has items of {} bytes, not {}", self.dtype.bytes, size_of::<T>()),
            ));
        }
        let (before, items) = self.memory.span();
        // SAFETY: `StridedMemory::new` checked that `items` items from `before` ahead of `first` on are aligned addresses of
        // less than isize::MAX bytes; the exporter says that they are memory and `hold` keeps them. T is valid for
        // any bits. `Output` makes no slice of memory that an input reaches.
        let slice = unsafe { std::slice::from_raw_parts(self.memory.first().cast::<T>().sub(before), items) };
        View::new(slice, before, axes.map(|axis| axis.len), axes.map(|axis| axis.stride))
            .map_err(|error| unreadable(self.name, error))
    }
}

/// numpy arrays of `ml_dtypes.bfloat16`.
fn is_bfloat16(object: &Bound<'_, PyAny>) -> bool {
    let name =
        object.getattr(intern!(object.py(), "dtype")).and_then(|dtype| dtype.getattr(intern!(object.py(), "name")));
    name.is_ok_and(|name| name.eq("bfloat16").unwrap_or(false)) && object.hasattr("view").unwrap_or(false)
}

/// An error about items of a type that no operation takes.
fn unsupported(object: &Bound<'_, PyAny>, name: &str, format: &[u8]) -> PyErr {
    let dtype = object.getattr("dtype").map(|dtype| dtype.to_string());
    let dtype = dtype.unwrap_or_else(|_| String::from_utf8_lossy(format).into_owned());
    InvalidTypeError::new_err(format!("{name} has dtype {dtype}; allowed: {DTYPES}"))
}
