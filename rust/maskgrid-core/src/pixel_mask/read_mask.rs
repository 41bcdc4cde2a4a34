//! Reading masks: any element type and strides in, checked values out.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bit_mask::{Bits, pack};
use crate::error::{Error, Result};
use crate::grid::MAX_SIDE;
use crate::mask_element::Element;
use crate::parallel;
use crate::simd::vectorized;
use crate::strided_view::View;

/// Calls `work(row, pixels)` for rows of one mask of a stack; rows that do not lie in one piece are copied first.
#[inline(always)]
pub(crate) fn for_each_row<T: Element>(
    mask: View<'_, T, 3>,
    index: usize,
    rows: Range<usize>,
    mut work: impl FnMut(usize, &[T]),
) {
    let width = mask.shape()[2];
    let mut copy = Vec::new();
    for row in rows {
        if mask.dense_from(2) {
            work(row, mask.run([index, row, 0], width));
        } else {
            copy.clear();
            copy.extend(mask.line([index, row, 0]));
            work(row, &copy);
        }
    }
}

/// Refuses a length that is negative, infinite or no number.
pub(super) fn check_length(name: &'static str, value: f64) -> Result<()> {
    if (0.0..f64::INFINITY).contains(&value) {
        return Ok(());
    }
    Err(Error::out_of_range(name, value, "a finite number of pixels, 0 or more"))
}

/// The level as the mask's elements are compared with it.
pub(super) fn level_key<T: Element>(level: f64) -> Result<T::Key> {
    if (0.0..=1.0).contains(&level) {
        return Ok(T::level_key(level));
    }
    Err(Error::out_of_range("level", level, "0 to 1"))
}

/// Refuses masks with sides that no canvas has.
pub(super) fn check_sides<T: Element>(mask: View<'_, T, 3>) -> Result<()> {
    let [_, height, width] = mask.shape();
    for (name, side) in [("the mask height", height), ("the mask width", width)] {
        if side > MAX_SIDE as usize {
            return Err(Error::out_of_range(name, side, format!("0 to {MAX_SIDE} px")));
        }
    }
    Ok(())
}

/// Calls `work(index, out of this mask)` for each mask of a stack, in parallel where that pays; `out` has to be as
/// large as the stack.
///
/// # Errors
/// The shapes' own, or the failure of the first mask that failed.
pub(super) fn for_each_mask<T: Element, U: Element>(
    mask: View<'_, T, 3>,
    out: &mut [U],
    work: impl Fn(usize, &mut [U]) -> Result<()> + Sync + Send,
) -> Result<()> {
    check_sides(mask)?;
    let [count, height, width] = mask.shape();
    if count.checked_mul(height * width) != Some(out.len()) {
        return Err(Error::shape("out", &[out.len()], format!("({count}, {height}, {width}), as the mask")));
    }
    let size = height * width;
    parallel::try_for_each_chunk(out, size, size * size_of::<T>(), work)
}

/// Calls `work(pixels, out row)` for each row of one mask, in parallel where that pays; `work` returns whether all
/// values are in range.
///
/// # Errors
/// When a value is outside 0..=1.
pub(super) fn map_rows<T: Element, U: Send>(
    mask: View<'_, T, 3>,
    index: usize,
    out: &mut [U],
    work: &(dyn Fn(&[T], &mut [U]) -> bool + Sync),
) -> Result<()> {
    let [_, height, width] = mask.shape();
    let (bad, len) = (AtomicBool::new(false), out.len().checked_div(height).unwrap_or(0).max(1));
    parallel::for_each_piece(out, len, width * size_of::<T>() + len * size_of::<U>(), |first, out| {
        let rows = first..first + out.len() / len;
        for_each_row(mask, index, rows, |row, pixels| {
            if !work(pixels, &mut out[(row - first) * len..][..len]) {
                bad.store(true, Ordering::Relaxed);
            }
        });
    });
    if bad.into_inner() { Err(first_bad(mask, index..index + 1)) } else { Ok(()) }
}

/// Which pixels of one mask are inside.
///
/// # Errors
/// When a value is outside 0..=1.
pub(super) fn inside<T: Element>(mask: View<'_, T, 3>, index: usize, level: T::Key) -> Result<Bits> {
    let [_, height, width] = mask.shape();
    let mut bits = Bits::new(height, width);
    map_rows(mask, index, &mut bits.words, &|pixels, words| {
        vectorized(
            #[inline(always)]
            || pack(pixels, level, words),
        )
    })?;
    Ok(bits)
}

/// The failure of masks of which one is known to have a value outside 0..=1.
#[cold]
pub(crate) fn first_bad<T: Element>(mask: View<'_, T, 3>, masks: Range<usize>) -> Error {
    let [_, height, width] = mask.shape();
    for index in masks {
        for row in 0..height {
            for column in 0..width {
                let value = mask.get([index, row, column]);
                if !value.is_unit() {
                    return Error::MaskValue { value: value.to_f64(), index, row, column };
                }
            }
        }
    }
    // Only a mask that somebody else changes meanwhile gets here.
    Error::MaskValue { value: f64::NAN, index: 0, row: 0, column: 0 }
}
