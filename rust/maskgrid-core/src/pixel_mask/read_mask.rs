//! Reading masks: any element type and strides in, checked values out.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::bit_mask::{Bits, pack};
use crate::error::{Error, Result};
use crate::grid::MAX_SIDE;
use crate::mask_element::Element;
use crate::parallel;
use crate::scratch;
use crate::simd::vectorized;
use crate::strided_view::View;

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

/// A stack of masks (count, height, width) that is being read, on any number of threads.
#[derive(Debug)]
pub(super) struct MaskReader<'a, T> {
    masks: View<'a, T, 3>,
    ones: OnesAlone,
}

impl<'a, T: Element> MaskReader<'a, T> {
    /// Checks what is read as a pixel mask.
    ///
    /// # Errors
    /// When masks have sides that no canvas has.
    pub(super) fn new(masks: View<'a, T, 3>) -> Result<Self> {
        let [_, height, width] = masks.shape();
        for (name, side) in [("the mask height", height), ("the mask width", width)] {
            if side > MAX_SIDE as usize {
                return Err(Error::out_of_range(name, side, format!("0 to {MAX_SIDE} px")));
            }
        }
        Ok(Self { masks, ones: OnesAlone::new() })
    }

    /// Calls `work(index, out of this mask)` for each mask, in parallel where that pays; `out` has to be as large as
    /// the stack.
    ///
    /// # Errors
    /// The shapes' own, the failure of the first mask that failed, or that of [`OnesAlone`].
    pub(super) fn for_each_mask<U: Element>(
        &self,
        out: &mut [U],
        work: impl Fn(usize, &mut [U]) -> Result<()> + Sync + Send,
    ) -> Result<()> {
        let [count, height, width] = self.masks.shape();
        let size = height * width;
        if count.checked_mul(size) != Some(out.len()) {
            return Err(Error::shape("out", &[out.len()], format!("({count}, {height}, {width}), as the mask")));
        }
        parallel::for_each_chunk(out, size, size * size_of::<T>(), work)?;
        self.finish()
    }

    /// To be called once everything was read.
    ///
    /// # Errors
    /// That of [`OnesAlone`].
    pub(super) fn finish(&self) -> Result<()> {
        self.ones.check()
    }

    /// Calls `work(pixels, out row)` for each row of one mask, in parallel where that pays; `work` returns whether all
    /// values are in range.
    ///
    /// # Errors
    /// When a value is outside 0..=1.
    pub(super) fn map_rows<U: Send>(
        &self,
        index: usize,
        out: &mut [U],
        work: &(dyn Fn(&[T], &mut [U]) -> bool + Sync),
    ) -> Result<()> {
        let [_, height, width] = self.masks.shape();
        let (bad, len) = (AtomicBool::new(false), out.len().checked_div(height).unwrap_or(0).max(1));
        parallel::for_each_piece(out, len, width * size_of::<T>() + len * size_of::<U>(), |first, out| {
            let rows = first..first + out.len() / len;
            for_each_row(self.masks, index, rows, |row, pixels| {
                self.ones.look(pixels);
                if !work(pixels, &mut out[(row - first) * len..][..len]) {
                    bad.store(true, Ordering::Relaxed);
                }
            })
        })?;
        if bad.into_inner() { Err(first_bad(self.masks, index..index + 1)) } else { Ok(()) }
    }

    /// Reads which pixels of one mask are inside.
    ///
    /// # Errors
    /// When a value is outside 0..=1.
    pub(super) fn inside(&self, index: usize, level: T::Key) -> Result<Bits> {
        let [_, height, width] = self.masks.shape();
        let mut bits = Bits::new(height, width)?;
        self.map_rows(index, &mut bits.words, &|pixels, words| {
            vectorized(
                #[inline(always)]
                || pack(pixels, level, words),
            )
        })?;
        Ok(bits)
    }
}

/// Notices masks of bytes in which no value is larger than 1 although some are 1: 1 of 255 is meant by nobody.
///
/// Costs nothing from the first row on that has a larger value.
#[derive(Debug)]
pub(crate) struct OnesAlone(AtomicU8);

impl OnesAlone {
    pub(crate) const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Has a look at some of the values. Choosing wider vector units would take longer than a row does.
    #[inline(always)]
    pub(crate) fn look<T: Element>(&self, pixels: &[T]) {
        if T::COUNTS_TO_255 && self.0.load(Ordering::Relaxed) <= 1 {
            let joined = T::joined(pixels);
            if joined != 0 {
                self.0.fetch_or(joined, Ordering::Relaxed);
            }
        }
    }

    /// To be called once all values were looked at.
    ///
    /// # Errors
    /// When some are 1 and none is larger.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) == 1 { Err(Error::OnesAlone) } else { Ok(()) }
    }
}

/// Calls `work(row, pixels)` for rows of one mask of a stack; rows that do not lie in one piece are copied first.
///
/// # Errors
/// When there is not enough memory for the copy of a row.
#[inline(always)]
pub(crate) fn for_each_row<T: Element>(
    mask: View<'_, T, 3>,
    index: usize,
    rows: Range<usize>,
    mut work: impl FnMut(usize, &[T]),
) -> Result<()> {
    let width = mask.shape()[2];
    if mask.dense_from(2) {
        // No closure: what is inlined into `work` would not be compiled for wider vector units in one.
        for row in rows {
            work(row, mask.run([index, row, 0], width));
        }
        return Ok(());
    }
    let mut copy = scratch::with_room(width)?;
    for row in rows {
        copy.clear();
        copy.extend(mask.line([index, row, 0]));
        work(row, &copy);
    }
    Ok(())
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
