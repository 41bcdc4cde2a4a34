//! Growing and shrinking by a disc.

use super::ingest;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::view::View;

/// Writes 1 where an inside pixel lies within `radius` pixels, 0 elsewhere. Radius 0 is the threshold.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn grow<T: Element, U: Element>(mask: View<'_, T, 3>, radius: f64, level: f64, out: &mut [U]) -> Result<()> {
    reach(mask, radius, level, true, out)
}

/// Writes 0 where an outside pixel lies within `radius` pixels, 1 elsewhere. Radius 0 is the threshold.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn shrink<T: Element, U: Element>(mask: View<'_, T, 3>, radius: f64, level: f64, out: &mut [U]) -> Result<()> {
    reach(mask, radius, level, false, out)
}

/// Lets the pixels that are inside (or are not) spread.
fn reach<T: Element, U: Element>(
    mask: View<'_, T, 3>,
    radius: f64,
    level: f64,
    spread: bool,
    out: &mut [U],
) -> Result<()> {
    ingest::check_out(mask, out)?;
    if !(radius >= 0.0 && radius.is_finite()) {
        return Err(Error::out_of_range("radius", radius, "0 or more pixels"));
    }
    let inside = ingest::inside(mask, level)?;
    let [_, height, width] = mask.shape();
    let size = (height * width).max(1);
    for (inside, out) in inside.chunks(size).zip(out.chunks_mut(size)) {
        for (place, out) in out.iter_mut().enumerate() {
            let near = (0..size).any(|other| {
                let dy = (other / width) as f64 - (place / width) as f64;
                let dx = (other % width) as f64 - (place % width) as f64;
                inside[other] == spread && dy * dy + dx * dx <= radius * radius
            });
            *out = ingest::truth(near == spread);
        }
    }
    Ok(())
}
