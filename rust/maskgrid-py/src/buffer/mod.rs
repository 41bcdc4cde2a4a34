//! Borrowed memory: numpy, whatever has the buffer protocol, and every DLPack producer. All unsafe code is in here.
//!
//! - [`array`]: somebody else's memory to read, held (as `Py_buffer` or as DLPack tensor) while it lives, so that it is
//!   neither freed nor resized while the interpreter is released;
//! - [`output`]: memory that may be written;
//! - [`python_buffer`], [`dlpack_capsule`] (over [`dlpack_structs`]): the two ways to get at memory;
//! - [`item_types`]: the types of its items; [`strided_memory`]: its axes, and the addresses that they reach.
//!
//! # What is checked
//!
//! Everything that a slice depends on, before one is made, whoever exported it: the number of axes, null pointers,
//! negative sizes, overflow of sizes, strides and addresses, alignment, item size. What can't be checked is that a
//! pointer points at memory: an exporter that lies about that breaks any consumer.
//!
//! # What is not promised
//!
//! Other threads may write into the memory meanwhile, as with numpy. Every type that is read is valid for any bits
//! ([`Item`]), so that gives wrong numbers and nothing worse.

mod array;
mod dlpack_capsule;
mod dlpack_structs;
mod item_types;
mod output;
mod python_buffer;
mod strided_memory;

use std::fmt;

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

pub(crate) use self::array::Array;
pub(crate) use self::item_types::{Dtype, Item, Kind};
pub(crate) use self::output::Output;
pub(crate) use self::strided_memory::{Axis, tuple};
use crate::errors::InvalidBufferError;

/// The error about memory that can't be used; `problem` begins with a verb.
fn unreadable(name: &str, problem: impl fmt::Display) -> PyErr {
    InvalidBufferError::new_err(format!("{name} {problem}"))
}

/// An error with the one that it comes from.
fn caused(error: PyErr, cause: PyErr, py: Python<'_>) -> PyErr {
    error.set_cause(py, Some(cause));
    error
}

/// A list with so many times the value, or MemoryError.
///
/// # Errors
/// MemoryError where there is not enough memory.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> PyResult<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        PyMemoryError::new_err(format!("{count} items of {} bytes do not fit into memory", size_of::<T>()))
    })?;
    values.resize(count, value);
    Ok(values)
}
