//! How a pixel mask becomes a latent coverage.
//!
//! Latent cell `(i, j)` reads the block of stride x stride pixels at `(i * stride, j * stride)` of the canvas; pixels
//! outside of the mask's own cell, and of the canvas, are 0. No full-size mask is ever made: only the cell is read.
//!
//! ```
//! use maskgrid_core::latent_coverage::{self, Coverage, DistinctCoverages};
//! use maskgrid_core::{Grid, Size, View};
//!
//! let grid = Grid::builder(1, 2).stride(2).from_cell(Size::new(2, 4))?;
//! let stencil = [1.0_f32, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
//! let distinct = DistinctCoverages::new(&grid, 1)?;
//! let mut masks = vec![0.0; distinct.len()];
//! latent_coverage::cover_cells(&grid, View::dense(&stencil, [1, 2, 4])?, Coverage::Area, &mut masks)?;
//! assert_eq!(masks, [0.75, 0.0]);
//!
//! let mut forks = vec![0.0_f32; 2 * 4];
//! latent_coverage::lay_noise_masks(&distinct, &masks, &[0, 1], &mut forks)?;
//! assert_eq!(forks, [0.75, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.0]);
//! # Ok::<(), maskgrid_core::Error>(())
//! ```

mod cover_cells;
mod cover_sheet;
mod distinct_coverages;
mod lay_noise_masks;
mod reduce_blocks;

pub use cover_cells::cover_cells;
pub use cover_sheet::cover_sheet;
pub use distinct_coverages::DistinctCoverages;
pub use lay_noise_masks::lay_noise_masks;

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
#[path = "../../tests/reference/latent_coverage.rs"]
mod reference;
#[cfg(test)]
mod tests;
