//! Operations that look at one pixel at a time.

use std::any::Any;

use super::ingest;
use crate::element::Element;
use crate::error::Result;
use crate::view::View;

/// Writes 1 where the mask is inside, 0 elsewhere.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn threshold<T: Element, U: Element>(mask: View<'_, T, 3>, level: f64, out: &mut [U]) -> Result<()> {
    ingest::check_out(mask, out)?;
    let inside = ingest::inside(mask, level)?;
    out.iter_mut().zip(inside).for_each(|(out, inside)| *out = ingest::truth(inside));
    Ok(())
}

/// Writes 1 minus the mask.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn invert<T: Element, U: Element>(mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
    ingest::check_out(mask, out)?;
    ingest::units(mask)?;
    let [count, height, width] = mask.shape();
    let mut out = out.iter_mut();
    for index in 0..count {
        for row in 0..height {
            for column in 0..width {
                let value = mask.get([index, row, column]).complement();
                out.next().map(|out| *out = convert(value));
            }
        }
    }
    Ok(())
}

/// A number of one type in another; the identity where both are the same type.
#[inline]
fn convert<T: Element, U: Element>(value: T) -> U {
    match (&value as &dyn Any).downcast_ref::<U>() {
        Some(&same) => same,
        None => U::from_unit(value.unit().unwrap_or(0.0)),
    }
}
