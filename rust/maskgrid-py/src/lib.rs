//! Python's door to `maskgrid-core`: module `maskgrid._native`.
//!
//! Each file binds one group of functions: parse, release the interpreter, call the core, map the error. There is no
//! arithmetic here. All unsafe code is in the folder `buffer`.

mod buffer;
mod canvas;
mod canvas_images;
mod detect_grid;
mod errors;
mod fork_plan;
mod grid;
mod latent_coverage;
mod mask_array;
mod parse_arguments;
mod pixel_mask;
mod rect;
mod thread_pool;

use pyo3::prelude::*;

/// The Rust core of maskgrid. Private: `maskgrid` has the documented names.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::canvas::{join, merge, paste, split, tile};
    #[pymodule_export]
    use super::detect_grid::detect;
    #[pymodule_export]
    use super::fork_plan::PyPlan;
    #[pymodule_export]
    use super::grid::PyGrid;
    #[pymodule_export]
    use super::latent_coverage::{PyDistinctCoverages, cover_cells, cover_sheet, lay_noise_masks};
    #[pymodule_export]
    use super::pixel_mask::{
        bounding_boxes, describe, feather, fill_holes, grow, invert, mask_axes, shrink, threshold,
    };
    #[pymodule_export]
    use super::rect::{PyRect, PySize};
    #[pymodule_export]
    use super::thread_pool::{num_threads, set_num_threads};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name that Python gives a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
