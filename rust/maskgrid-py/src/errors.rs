//! How errors of the core become exceptions of `maskgrid.errors`.

use maskgrid_core::Error;
use pyo3::PyErr;
use pyo3::exceptions::PyMemoryError;

pyo3::import_exception!(maskgrid.errors, InvalidBufferError);
pyo3::import_exception!(maskgrid.errors, InvalidTypeError);
pyo3::import_exception!(maskgrid.errors, InvalidValueError);

/// The exception for an error of the core; its text is the core's. Short memory is a MemoryError.
pub(crate) fn to_py(error: Error) -> PyErr {
    match error {
        Error::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        error => InvalidValueError::new_err(error.to_string()),
    }
}
