//! Cells, sheets and windows copied into each other.
//!
//! Images have five axes (images, planes, height, width, samples), so that one function serves every order of
//! channels: channels last `(N, H, W, C)` is `(N, 1, H, W, C)`, channels first `(N, C, H, W)` is `(N, C, H, W, 1)`.
//! Inputs may have any strides; outputs are dense and belong to the caller. A copy keeps every bit; the same bits come
//! out for any number of threads.
//!
//! ```
//! use maskgrid_core::{Grid, Size, View, canvas};
//!
//! let grid = Grid::builder(1, 2).gap(Size::new(0, 1)).from_cell(Size::new(1, 2))?;
//! let cell = View::dense(&[7_u8, 8], [1, 1, 1, 2, 1])?;
//! let mut sheet = [0; 5];
//! canvas::tile(cell, &grid, canvas::Background::Fill(0), &mut sheet)?;
//! assert_eq!(sheet, [7, 8, 0, 7, 8]);
//! # Ok::<(), maskgrid_core::Error>(())
//! ```

mod check_shapes;
mod copy_lines;
mod merge;
mod mix_pixels;
mod paint_by_cell;
mod paste;
mod soft_mask;
mod split;
mod tile_and_join;

pub use merge::merge;
pub use mix_pixels::PixelElement;
pub use paste::{paste, paste_all};
pub use soft_mask::SoftMask;
pub use split::split;
pub use tile_and_join::{join, tile};

use crate::strided_view::View;

/// Images: (images, planes, height, width, samples), see the [module](self).
pub type Sheet<'a, T> = View<'a, T, 5>;

/// What lies where no cell is: in gaps, margins and the rest of a canvas that the cells do not fill.
#[derive(Debug, Clone, Copy)]
pub enum Background<'a, T> {
    /// One value.
    Fill(T),
    /// The same pixels of another sheet of the same shape.
    Sheet(Sheet<'a, T>),
}
