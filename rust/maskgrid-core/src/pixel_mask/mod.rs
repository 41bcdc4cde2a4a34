//! Operations on pixel masks.
//!
//! A mask is (count, height, width) of any [`Element`](crate::Element), however it lies in memory; each of the count
//! is worked on by itself. What counts as *inside* is a value of at least `level`, both as f32, so that a mask value
//! written 0.7 in f32 or f64 reaches the level 0.7. Distances are Euclidean, between pixel centres. What lies beyond
//! the mask's border is unknown: it neither grows in nor eats away.
//!
//! A mask of bytes whose largest value is 1 is refused: 1 of 255 is meant by nobody. Whole numbers of other types are read
//! as [`Flag`](crate::Flag)s first, by [`read_whole_numbers`]; [`MaskAxes`] says which axes of an array are which.
//!
//! The result goes into `out`, dense and as large as the mask, in any element type. When an error is returned, what
//! `out` holds is not defined.
//!
//! ```
//! use maskgrid_core::View;
//! use maskgrid_core::pixel_mask::{self, Placement};
//!
//! let line = [0_u8, 0, 0, 0, 255, 0, 0, 0];
//! let mask = View::dense(&line, [1, 1, 8])?;
//! let mut wide = [0_u8; 8];
//! pixel_mask::grow(mask, 2.0, 0.5, &mut wide)?;
//! assert_eq!(wide, [0, 0, 255, 255, 255, 255, 255, 0]);
//!
//! let mut soft = [0.0_f32; 8];
//! pixel_mask::feather(View::dense(&wide, [1, 1, 8])?, 2.0, Placement::Inside, 0.5, &mut soft)?;
//! assert_eq!(soft, [0.0, 0.0, 0.25, 0.75, 1.0, 0.75, 0.25, 0.0]);
//! # Ok::<(), maskgrid_core::Error>(())
//! ```

mod bit_mask;
mod bounding_box;
mod dilate_by_disc;
mod disc;
mod distance;
mod feather;
mod fill_holes;
mod grow;
mod mask_axes;
pub(crate) mod read_mask;
mod threshold_invert;
mod whole_numbers;
mod write_mask;

pub use bounding_box::bounding_boxes;
pub use feather::{Placement, feather};
pub use fill_holes::fill_holes;
pub use grow::{grow, shrink};
pub use mask_axes::MaskAxes;
pub use threshold_invert::{invert, threshold};
pub use whole_numbers::{WholeNumber, read_whole_numbers};

#[cfg(test)]
#[path = "../../tests/reference/pixel_mask.rs"]
mod reference;
#[cfg(test)]
mod tests;
