//! Operations that look at one pixel at a time.

use std::any::Any;

use super::bits::compare;
use super::ingest;
use crate::element::Element;
use crate::error::Result;
use crate::view::View;

/// Writes 1 where the mask is inside, 0 elsewhere.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn threshold<T: Element, U: Element>(mask: View<'_, T, 3>, level: f64, out: &mut [U]) -> Result<()> {
    let level = ingest::level_key::<T>(level)?;
    ingest::for_each_mask(mask, out, |index, out| {
        ingest::map_rows(
            mask,
            index,
            out,
            #[inline(always)]
            |pixels, out| threshold_row(pixels, level, out),
        )
    })
}

#[inline(always)]
fn threshold_row<T: Element, U: Element>(pixels: &[T], level: T::Key, out: &mut [U]) -> bool {
    compare(pixels, level, |index, bytes| {
        for (out, &byte) in out[64 * index..].iter_mut().zip(bytes) {
            *out = if byte == 0 { U::ZERO } else { U::ONE };
        }
    })
}

/// Writes 1 minus the mask.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn invert<T: Element, U: Element>(mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
    ingest::for_each_mask(mask, out, |index, out| {
        ingest::map_rows(
            mask,
            index,
            out,
            #[inline(always)]
            |pixels, out| invert_row(pixels, out),
        )
    })
}

#[inline(always)]
fn invert_row<T: Element, U: Element>(pixels: &[T], out: &mut [U]) -> bool {
    let mut bad = false;
    for (value, out) in pixels.iter().zip(out) {
        bad |= !value.is_unit();
        *out = convert(value.complement());
    }
    !bad
}

/// A number of one type in another; the identity where both are the same type.
#[inline(always)]
fn convert<T: Element, U: Element>(value: T) -> U {
    match (&value as &dyn Any).downcast_ref::<U>() {
        Some(&same) => same,
        None => U::from_unit(value.narrow()),
    }
}
