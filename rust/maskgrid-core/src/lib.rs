//! Grid geometry, mask operations and fork plans for sheets of cells.
//!
//! A *sheet* is an image of rows x columns *cells*. A *stencil* is a mask for one cell. A *fork* is a copy of the
//! sheet in which one cell may change. This crate knows where the cells lie in pixels and in latent cells, what a
//! stencil becomes at latent size, and how cells, windows and sheets are copied into each other.
//!
//! ```
//! use maskgrid_core::{Grid, Size};
//!
//! let grid = Grid::builder(3, 4).stride(8).from_cell(Size::new(64, 64))?;
//! assert_eq!(grid.canvas(), Size::new(192, 256));
//! assert_eq!(grid.latent_size(), Size::new(24, 32));
//! assert_eq!(grid.cell_rect(5)?.to_string(), "[64:128, 64:128]");
//! # Ok::<(), maskgrid_core::Error>(())
//! ```
//!
//! # What does this crate not do?
//!
//! It knows no Python, no network, no sampling and no image files. It allocates scratch memory, never results: every
//! operation writes into a slice that the caller owns, and where scratch memory is short that is an error. It starts no
//! threads: work is shared out over the rayon pool that it is called in, if there is one. It has no unsafe code.
#![forbid(unsafe_code)]

pub mod canvas;
pub mod detect_grid;
mod error;
mod fork_plan;
mod grid;
pub mod latent_coverage;
mod mask_element;
mod parallel;
pub mod pixel_mask;
mod rect;
mod scratch;
mod simd;
mod strided_view;

pub use canvas::PixelElement;
pub use error::{Error, Result};
pub use fork_plan::{Plan, PlanOptions};
pub use grid::{Grid, GridBuilder, MAX_CELLS, MAX_SIDE};
pub use mask_element::{Element, Flag};
pub use rect::{Latent, Pixel, Rect, Size, Unit};
pub use strided_view::View;
