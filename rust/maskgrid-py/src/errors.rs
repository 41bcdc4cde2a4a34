//! How errors of the core become exceptions of `maskgrid.errors`.

use maskgrid_core::Error;
use pyo3::PyErr;

pyo3::import_exception!(maskgrid.errors, InvalidBufferError);
pyo3::import_exception!(maskgrid.errors, InvalidTypeError);
pyo3::import_exception!(maskgrid.errors, InvalidValueError);

/// The exception for an error of the core; its text is the core's.
#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
pub(crate) fn to_py(error: Error) -> PyErr {
    InvalidValueError::new_err(error.to_string())
}
