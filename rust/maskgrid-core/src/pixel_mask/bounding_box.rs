//! Bounding boxes.

use super::bit_mask::Bits;
use super::read_mask::{MaskReader, level_key};
use crate::error::{Error, Result};
use crate::mask_element::Element;
use crate::parallel;
use crate::rect::{Pixel, Rect};
use crate::scratch;
use crate::strided_view::View;

/// The most masks that are looked at in one call.
const MAX_MASKS: usize = 1 << 20;

/// The smallest rectangle around the inside pixels of each mask; an empty one where there are none.
///
/// # Errors
/// When a number is outside its range.
pub fn bounding_boxes<T: Element>(mask: View<'_, T, 3>, level: f64) -> Result<Vec<Rect<Pixel>>> {
    let reader = MaskReader::new(mask)?;
    let level = level_key::<T>(level)?;
    let [count, height, width] = mask.shape();
    if count > MAX_MASKS {
        return Err(Error::out_of_range("the number of masks", count, format!("0 to {MAX_MASKS}")));
    }
    let mut boxes = scratch::filled(Rect::new(0, 0, 0, 0), count)?;
    parallel::for_each_chunk(&mut boxes, 1, height * width * size_of::<T>(), |index, rect| {
        rect[0] = bounding_box(&reader.inside(index, level)?)?;
        Ok(())
    })?;
    reader.finish()?;
    Ok(boxes)
}

fn bounding_box(bits: &Bits) -> Result<Rect<Pixel>> {
    let occupied = |row: &usize| bits.row(*row).iter().any(|&word| word != 0);
    let Some(top) = (0..bits.height).find(occupied) else {
        return Ok(Rect::new(0, 0, 0, 0));
    };
    let bottom = (top..bits.height).rev().find(occupied).unwrap_or(top) + 1;
    let mut columns = scratch::filled(0, bits.stride)?;
    for row in top..bottom {
        columns.iter_mut().zip(bits.row(row)).for_each(|(all, &word)| *all |= word);
    }
    let (mut left, mut right) = (u32::MAX, 0);
    for (word, start) in columns.into_iter().zip((0_u32..).step_by(64)).filter(|&(word, _)| word != 0) {
        left = left.min(start + word.trailing_zeros());
        right = start + 64 - word.leading_zeros();
    }
    Ok(Rect::new(top as u32, left, bottom as u32, right))
}
