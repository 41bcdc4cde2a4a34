//! Scratch memory that is asked for: where there is not enough of it that is an error, and nothing is aborted.

use crate::error::{Error, Result};

/// Scratch memory with so many times the value.
///
/// # Errors
/// When there is not enough memory.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>> {
    let mut values = with_room(count)?;
    values.resize(count, value);
    Ok(values)
}

/// Nothing, with room for as many as are going to be pushed.
///
/// # Errors
/// When there is not enough memory.
pub(crate) fn with_room<T>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| out_of_memory::<T>(count))?;
    Ok(values)
}

/// Makes room for so many more, and for further ones beforehand.
///
/// # Errors
/// When there is not enough memory.
#[inline]
pub(crate) fn make_room<T>(values: &mut Vec<T>, count: usize) -> Result<()> {
    values.try_reserve(count).map_err(|_| out_of_memory::<T>(values.len().saturating_add(count)))
}

/// All items of an iterator that knows how many there are.
///
/// # Errors
/// When there is not enough memory.
pub(crate) fn collected<T>(items: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>> {
    let mut values = with_room(items.len())?;
    values.extend(items);
    Ok(values)
}

#[cold]
fn out_of_memory<T>(count: usize) -> Error {
    Error::OutOfMemory { bytes: count.saturating_mul(size_of::<T>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_has_is_an_error() {
        assert_eq!(filled(0_u64, usize::MAX / 4), Err(Error::OutOfMemory { bytes: usize::MAX }));
        assert!(make_room(&mut vec![1_u8], isize::MAX as usize).is_err());
        assert_eq!(filled(3_u8, 4), Ok(vec![3; 4]));
    }
}
