//! Bounding boxes.

use super::ingest;
use crate::element::Element;
use crate::error::Result;
use crate::geometry::{Pixel, Rect};
use crate::view::View;

/// The smallest rectangle around the inside pixels of each mask; an empty one where there are none.
///
/// # Errors
/// When a number is outside its range.
pub fn bounding_boxes<T: Element>(mask: View<'_, T, 3>, level: f64) -> Result<Vec<Rect<Pixel>>> {
    let inside = ingest::inside(mask, level)?;
    let [count, height, width] = mask.shape();
    let size = height * width;
    let boxed = |index: usize| {
        let places = || (0..size).filter(|&place| inside[index * size + place]);
        let low = |of: fn(usize, usize) -> usize| places().map(|place| of(place, width) as u32).min().unwrap_or(0);
        let high = |of: fn(usize, usize) -> usize| places().map(|place| of(place, width) as u32 + 1).max().unwrap_or(0);
        let (row, column) = (|place, width| place / width, |place, width| place % width);
        Rect::new(low(row), low(column), high(row), high(column))
    };
    Ok((0..count).map(boxed).collect())
}
