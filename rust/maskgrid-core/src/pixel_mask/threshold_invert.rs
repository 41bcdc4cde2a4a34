//! Operations that look at one pixel at a time.

use std::any::{Any, TypeId};

use super::bit_mask::compare;
use super::read_mask::{MaskReader, level_key};
use crate::error::Result;
use crate::mask_element::Element;
use crate::simd::vectorized;
use crate::strided_view::View;

/// Writes 1 where the mask is inside, 0 elsewhere.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn threshold<T: Element, U: Element>(mask: View<'_, T, 3>, level: f64, out: &mut [U]) -> Result<()> {
    let level = level_key::<T>(level)?;
    let reader = MaskReader::new(mask)?;
    reader.for_each_mask(out, |index, out| {
        reader.map_rows(index, out, &|row, out| {
            if TypeId::of::<T>() == TypeId::of::<U>() {
                return map(
                    row,
                    out,
                    #[inline(always)]
                    move |value| if value.key() >= level { U::ONE } else { U::ZERO },
                );
            }
            let mut inside = [0; SEGMENT];
            row.chunks(SEGMENT).zip(out.chunks_mut(SEGMENT)).fold(true, |fine, (pixels, out)| {
                let ok = compare_segment(pixels, level, &mut inside);
                choose(&inside, out);
                fine & ok
            })
        })
    })
}

/// Pixels of a row that are worked on at once; what lies between two steps stays in the cache.
const SEGMENT: usize = 1024;

/// Writes -1 for numbers that reach a level, 0 for others; returns whether all are in range.
fn compare_segment<T: Element>(pixels: &[T], level: T::Key, inside: &mut [i8; SEGMENT]) -> bool {
    vectorized(
        #[inline(always)]
        || {
            let (inside, _) = inside.as_chunks_mut::<64>();
            compare(
                pixels,
                level,
                #[inline(always)]
                |index, bytes| inside[index] = *bytes,
            )
        },
    )
}

/// Writes 1 where the byte is not 0.
fn choose<U: Element>(inside: &[i8; SEGMENT], out: &mut [U]) {
    vectorized(
        #[inline(always)]
        || out.iter_mut().zip(inside).for_each(|(out, &byte)| *out = if byte == 0 { U::ZERO } else { U::ONE }),
    );
}

/// Inverts a pixel mask: writes 1 minus it.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn invert<T: Element, U: Element>(mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
    let reader = MaskReader::new(mask)?;
    reader.for_each_mask(out, |index, out| {
        reader.map_rows(index, out, &|row, out| {
            if TypeId::of::<T>() == TypeId::of::<U>() {
                return map(
                    row,
                    out,
                    #[inline(always)]
                    |value| same(value.complement()),
                );
            }
            let mut values = [0.0; SEGMENT];
            row.chunks(SEGMENT).zip(out.chunks_mut(SEGMENT)).fold(true, |fine, (pixels, out)| {
                let ok = map(
                    pixels,
                    &mut values,
                    #[inline(always)]
                    |value| value.complement().narrow(),
                );
                from_units(&values, out);
                fine & ok
            })
        })
    })
}

/// Writes what `change` makes of the numbers; returns whether all are in range.
fn map<T: Element, V: Copy>(pixels: &[T], out: &mut [V], change: impl Fn(T) -> V) -> bool {
    vectorized(
        #[inline(always)]
        || {
            let mut bad = false;
            for (value, out) in pixels.iter().zip(out) {
                bad |= !value.is_unit();
                *out = change(*value);
            }
            !bad
        },
    )
}

fn from_units<U: Element>(values: &[f32], out: &mut [U]) {
    vectorized(
        #[inline(always)]
        || U::from_units(values, out),
    );
}

/// The number itself: `T` and `U` are the same type.
#[inline(always)]
fn same<T: Element, U: Element>(value: T) -> U {
    (&value as &dyn Any).downcast_ref().copied().unwrap_or(U::ZERO)
}
