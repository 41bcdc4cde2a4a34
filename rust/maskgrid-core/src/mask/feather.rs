//! Soft edges.

use super::ingest;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::view::View;

/// On which side of the edge the ramp of [`feather`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Inside: 0 at the edge, 1 from `width` pixels inward on.
    Inside,
    /// Outside: 1 at the edge, 0 from `width` pixels outward on.
    Outside,
    /// Half on each side: 1/2 at the edge.
    Centred,
}

/// Writes a ramp from 0 to 1, `width` pixels wide, along the mask's edge.
///
/// The edge lies half way between neighbouring pixel centres: a pixel whose nearest pixel of the other side is `d`
/// pixels away lies `s = d - 1/2` inside of it, or that much outside. Inside the ramp is `s / width`, outside
/// `1 + s / width`, centred `1/2 + s / width`, cut to 0..=1. Width 0 is the threshold. A mask without an edge stays
/// all 1 or all 0.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn feather<T: Element, U: Element>(
    mask: View<'_, T, 3>,
    width: f64,
    placement: Placement,
    level: f64,
    out: &mut [U],
) -> Result<()> {
    ingest::check_out(mask, out)?;
    if !(width >= 0.0 && width.is_finite()) {
        return Err(Error::out_of_range("width", width, "0 or more pixels"));
    }
    let inside = ingest::inside(mask, level)?;
    let [_, rows, columns] = mask.shape();
    let size = (rows * columns).max(1);
    for (inside, out) in inside.chunks(size).zip(out.chunks_mut(size)) {
        for (place, out) in out.iter_mut().enumerate() {
            let distance = (0..size)
                .filter(|&other| inside[other] != inside[place])
                .map(|other| {
                    let dy = (other / columns) as f64 - (place / columns) as f64;
                    let dx = (other % columns) as f64 - (place % columns) as f64;
                    dy.hypot(dx)
                })
                .fold(f64::INFINITY, f64::min);
            let signed = if inside[place] { distance - 0.5 } else { 0.5 - distance };
            let base = match placement {
                Placement::Inside => 0.0,
                Placement::Outside => 1.0,
                Placement::Centred => 0.5,
            };
            *out = U::from_unit((base + signed / width).clamp(0.0, 1.0) as f32);
        }
    }
    Ok(())
}
