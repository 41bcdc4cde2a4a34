//! Masks of whole numbers that are no bytes: 0 and 1, or 0 and 255, and nothing else.

use crate::error::{Error, Result};
use crate::mask_element::Flag;
use crate::scratch;
use crate::strided_view::View;

/// A whole number of a type that has no value that stands for one half.
pub trait WholeNumber: Copy + PartialEq + Send + Sync + 'static {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// 255, where the type has it.
    const FULL: Option<Self>;

    /// The number, for messages.
    fn to_i128(self) -> i128;
}

macro_rules! whole_numbers {
    ($($type:ty: $full:expr),*) => {$(
        impl WholeNumber for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const FULL: Option<Self> = $full;

            fn to_i128(self) -> i128 {
                i128::from(self)
            }
        }
    )*};
}

whole_numbers!(i8: None, i16: Some(255), u16: Some(255), i32: Some(255), u32: Some(255), i64: Some(255), u64: Some(255));

/// Writes which pixels of masks (count, height, width) are not 0, dense.
///
/// # Errors
/// When a number is neither 0 nor 1 nor 255, when there are both 1 and 255, when `out` has another size, or when there
/// is not enough memory.
pub fn read_whole_numbers<T: WholeNumber>(masks: View<'_, T, 3>, out: &mut [Flag]) -> Result<()> {
    let [count, height, width] = masks.shape();
    if count.checked_mul(height * width) != Some(out.len()) {
        return Err(Error::shape("out", &[out.len()], format!("({count}, {height}, {width}), as the mask")));
    }
    let (mut one, mut full, mut other) = (false, false, false);
    let mut copy = scratch::with_room(width)?;
    for (line, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
        let index = [line / height, line % height, 0];
        let pixels = if masks.dense_from(2) {
            masks.run(index, width)
        } else {
            copy.clear();
            copy.extend(masks.line(index));
            &copy[..]
        };
        for (&value, out) in pixels.iter().zip(out) {
            let (is_one, is_full) = (value == T::ONE, T::FULL == Some(value));
            one |= is_one;
            full |= is_full;
            other |= !(is_one | is_full | (value == T::ZERO));
            *out = Flag(u8::from(value != T::ZERO));
        }
    }
    if other || (one && full) { Err(first_bad(masks, other)) } else { Ok(()) }
}

/// The first number that no mask has, or else the first 255 beside 1.
#[cold]
fn first_bad<T: WholeNumber>(masks: View<'_, T, 3>, other: bool) -> Error {
    let [count, height, width] = masks.shape();
    let beside = if other { "" } else { " and 1 elsewhere" };
    for place in 0..count * height * width {
        let (index, row, column) = (place / width / height, place / width % height, place % width);
        let value = masks.get([index, row, column]);
        let is_full = T::FULL == Some(value);
        if if other { !is_full && value != T::ZERO && value != T::ONE } else { is_full } {
            return Error::WholeMaskValue { value: value.to_i128(), index, row, column, beside };
        }
    }
    // Only a mask that somebody else changes meanwhile gets here.
    Error::WholeMaskValue { value: 0, index: 0, row: 0, column: 0, beside }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: WholeNumber>(numbers: &[T]) -> Result<Vec<bool>> {
        let mut out = vec![Flag(7); numbers.len()];
        read_whole_numbers(View::dense(numbers, [1, 2, numbers.len() / 2])?, &mut out)?;
        Ok(out.into_iter().map(|flag| flag.0 == 1).collect())
    }

    #[test]
    fn zeros_and_ones_and_zeros_and_255_are_masks() {
        assert_eq!(read(&[0_i64, 1, 1, 0]), Ok(vec![false, true, true, false]));
        assert_eq!(read(&[0_u16, 255, 255, 0]), Ok(vec![false, true, true, false]));
        assert_eq!(read(&[0_i8, 0, 1, 0]), Ok(vec![false, false, true, false]));
        assert_eq!(read(&[0_i32; 4]), Ok(vec![false; 4]));
    }

    #[test]
    fn other_numbers_are_refused_with_their_place() {
        let refused = |value, row, column, beside| Err(Error::WholeMaskValue { value, index: 0, row, column, beside });
        assert_eq!(read(&[0_i64, 1, 7, 255]), refused(7, 1, 0, ""));
        assert_eq!(read(&[-1_i8, 0, 0, 0]), refused(-1, 0, 0, ""));
        assert_eq!(read(&[0_u64, 1, 1, 255]), refused(255, 1, 1, " and 1 elsewhere"));
    }
}
