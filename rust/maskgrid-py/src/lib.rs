//! Python's door to `maskgrid-core`: module `maskgrid._native`.
//!
//! Each file binds one group of functions: parse, release the interpreter, call the core, map the error. There is no
//! arithmetic here. `buffer.rs` is the only file with unsafe code.

mod arguments;
mod buffer;
mod canvas;
mod coverage;
mod dlpack;
mod errors;
mod extent;
mod geometry;
mod images;
mod masks;
mod plan;
mod threads;

use pyo3::prelude::*;

/// The Rust core of maskgrid. Private: `maskgrid` has the documented names.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::canvas::{join, merge, paste, split, tile};
    #[pymodule_export]
    use super::coverage::{PyLayout, cell_masks, scatter, sheet_mask};
    #[pymodule_export]
    use super::geometry::{PyGrid, PyRect, PySize};
    #[pymodule_export]
    use super::masks::{bounding_boxes, describe, feather, fill_holes, grow, invert, shrink, threshold};
    #[pymodule_export]
    use super::plan::PyPlan;
    #[pymodule_export]
    use super::threads::{num_threads, set_num_threads};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name that Python gives a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
