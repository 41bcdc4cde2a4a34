//! How a pixel mask becomes a latent mask.
//!
//! Latent cell `(i, j)` reads the block of stride x stride pixels at `(i * stride, j * stride)` of the canvas; pixels
//! outside of the mask's own cell, and of the canvas, are 0. No full-size mask is ever made: only the cell is read.

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
