//! Operations on pixel masks.
//!
//! A mask is (count, height, width) of any [`Element`](crate::Element), however it lies in memory; each of the count
//! is worked on by itself. What counts as *inside* is a value of at least `level`, both as f32, so that a mask value
//! written 0.7 in f32 or f64 reaches the level 0.7. Distances are Euclidean, between pixel centres. What lies beyond
//! the mask's border is unknown: it neither grows in nor eats away.
//!
//! The result goes into `out`, dense and as large as the mask, in any element type. When an error is returned, what
//! `out` holds is not defined.

mod bits;
mod boxes;
mod distance;
mod emit;
mod envelope;
mod feather;
mod grow;
mod holes;
pub(crate) mod ingest;
mod near;
mod pointwise;
mod spread;

pub use boxes::bounding_boxes;
pub use feather::{Placement, feather};
pub use grow::{grow, shrink};
pub use holes::fill_holes;
pub use pointwise::{invert, threshold};

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
