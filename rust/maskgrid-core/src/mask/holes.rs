//! Filling holes.

use super::ingest;
use crate::element::Element;
use crate::error::Result;
use crate::view::View;

/// Writes 1 where the mask is inside or lies in a hole: outside pixels with no way to the border over the 4 neighbours
/// of a pixel. 0 elsewhere.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn fill_holes<T: Element, U: Element>(mask: View<'_, T, 3>, level: f64, out: &mut [U]) -> Result<()> {
    ingest::check_out(mask, out)?;
    let mut inside = ingest::inside(mask, level)?;
    let [_, height, width] = mask.shape();
    let size = (height * width).max(1);
    for (filled, out) in inside.chunks_mut(size).zip(out.chunks_mut(size)) {
        let border = |place: usize| {
            place / width == 0 || place / width == height - 1 || place % width == 0 || place % width == width - 1
        };
        let mut open: Vec<usize> = (0..size).filter(|&place| border(place) && !filled[place]).collect();
        out.fill(U::ONE);
        while let Some(place) = open.pop() {
            if std::mem::replace(&mut filled[place], true) {
                continue;
            }
            out[place] = U::ZERO;
            let (y, x) = (place / width, place % width);
            let next = [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)];
            open.extend(next.iter().filter(|&&(y, x)| y < height && x < width).map(|&(y, x)| y * width + x));
        }
    }
    Ok(())
}
