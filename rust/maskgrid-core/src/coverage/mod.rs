//! How a pixel mask becomes a latent mask.
//!
//! Latent cell `(i, j)` reads the block of stride x stride pixels at `(i * stride, j * stride)` of the canvas; pixels
//! outside of the mask's own cell, and of the canvas, are 0. No full-size mask is ever made: only the cell is read.
//!
//! ```
//! use maskgrid_core::coverage::{self, Coverage, Layout};
//! use maskgrid_core::{Grid, Size, View};
//!
//! let grid = Grid::builder(1, 2).stride(2).from_cell(Size::new(2, 4))?;
//! let stencil = [1.0_f32, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
//! let layout = Layout::new(&grid, 1)?;
//! let mut masks = vec![0.0; layout.len()];
//! coverage::cell_masks(&grid, View::dense(&stencil, [1, 2, 4])?, Coverage::Area, &mut masks)?;
//! assert_eq!(masks, [0.75, 0.0]);
//!
//! let mut forks = vec![0.0_f32; 2 * 4];
//! coverage::scatter(&layout, &masks, &[0, 1], &mut forks)?;
//! assert_eq!(forks, [0.75, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.0]);
//! # Ok::<(), maskgrid_core::Error>(())
//! ```

mod cells;
mod layout;
mod reduce;
mod scatter;
mod sheet;

pub use cells::cell_masks;
pub use layout::Layout;
pub use scatter::scatter;
pub use sheet::sheet;

/// What a latent cell takes from its block of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// The mean of the central 2 x 2 pixels; with an odd stride the central pixel. This is bilinear scaling without
    /// antialias, and it misses lines that are thinner than the stride.
    Center,
    /// The block's first pixel. It misses thin lines too.
    Nearest,
    /// The mean of the block.
    Area,
    /// The block's largest value: every pixel that samples again does.
    Max,
    /// The block's smallest value: every pixel that keeps does.
    Min,
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
