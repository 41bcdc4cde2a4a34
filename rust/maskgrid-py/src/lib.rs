//! Python's door to `maskgrid-core`: module `maskgrid._native`.
//!
//! Each file binds one group of functions: parse, release the interpreter, call the core, map the error. There is no
//! arithmetic here. `buffer.rs` is the only file with unsafe code.

mod buffer;
mod dlpack;
mod errors;
mod extent;
mod geometry;
mod threads;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<geometry::PySize>()?;
    module.add_class::<geometry::PyRect>()?;
    module.add_class::<geometry::PyGrid>()?;
    module.add_class::<geometry::PyPlan>()?;
    module.add_function(wrap_pyfunction!(threads::set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(threads::num_threads, module)?)?;
    Ok(())
}
