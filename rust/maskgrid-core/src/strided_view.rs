//! A read-only strided view of memory that belongs to somebody else.

use crate::error::{Error, Result, tuple};

/// `D` axes over a slice, with any strides (negative and zero ones too), checked once when it is made.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T, const D: usize> {
    data: &'a [T],
    offset: usize,
    shape: [usize; D],
    elem_strides: [isize; D],
}

impl<'a, T: Copy, const D: usize> View<'a, T, D> {
    /// A view whose element `[0; D]` is `data[offset]`.
    ///
    /// # Errors
    /// When any element would lie outside `data`.
    pub fn new(data: &'a [T], offset: usize, shape: [usize; D], elem_strides: [isize; D]) -> Result<Self> {
        let view = Self { data, offset, shape, elem_strides };
        if view.fits().is_none() {
            let (shape, strides) = (tuple(&shape), tuple(&elem_strides));
            return Err(Error::ViewOutOfBounds { shape, strides, len: data.len() });
        }
        Ok(view)
    }

    /// The view of a dense slice in row-major order.
    ///
    /// # Errors
    /// When the slice is shorter than the shape says.
    pub fn dense(data: &'a [T], shape: [usize; D]) -> Result<Self> {
        Self::new(data, 0, shape, dense_strides(shape))
    }

    fn fits(&self) -> Option<()> {
        if self.shape.contains(&0) {
            return Some(());
        }
        let (mut low, mut high) = (isize::try_from(self.offset).ok()?, isize::try_from(self.offset).ok()?);
        for (&count, &stride) in self.shape.iter().zip(&self.elem_strides) {
            let reach = isize::try_from(count - 1).ok()?.checked_mul(stride)?;
            low = low.checked_add(reach.min(0))?;
            high = high.checked_add(reach.max(0))?;
        }
        (low >= 0 && usize::try_from(high).ok()? < self.data.len()).then_some(())
    }

    /// Elements along each axis of a strided view.
    #[must_use]
    pub const fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// Elements from one to the next along each axis.
    #[must_use]
    pub const fn elem_strides(&self) -> [isize; D] {
        self.elem_strides
    }

    /// The memory that [`position`](Self::position) counts in.
    pub(crate) const fn data(&self) -> &'a [T] {
        self.data
    }

    /// Elements of a strided view in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is nothing in a strided view.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Where an element of a strided view lies in its slice.
    #[inline]
    pub(crate) fn position(&self, index: [usize; D]) -> usize {
        let mut position = self.offset as isize;
        for (place, stride) in index.into_iter().zip(self.elem_strides) {
            position += place as isize * stride;
        }
        position as usize
    }

    /// One element of a strided view.
    ///
    /// # Panics
    /// When the index lies outside the memory.
    #[inline]
    #[must_use]
    pub fn get(&self, index: [usize; D]) -> T {
        self.data[self.position(index)]
    }

    /// `len` elements that follow `index` in memory; only meaningful where [`dense_from`](Self::dense_from) allows it.
    ///
    /// # Panics
    /// When they lie outside the memory.
    #[inline]
    #[must_use]
    pub fn run(&self, index: [usize; D], len: usize) -> &'a [T] {
        let start = self.position(index);
        &self.data[start..start + len]
    }

    /// Whether the axes from `axis` on lie in memory one behind the other, so that [`run`](Self::run) may cross them.
    #[must_use]
    pub fn dense_from(&self, axis: usize) -> bool {
        let mut expected = 1;
        for axis in (axis..D).rev() {
            if self.shape[axis] > 1 && self.elem_strides[axis] != expected {
                return false;
            }
            expected *= self.shape[axis] as isize;
        }
        true
    }

    /// The whole view as one slice, where it is dense.
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [T]> {
        if self.is_empty() {
            return Some(&[]);
        }
        self.dense_from(0).then(|| &self.data[self.offset..self.offset + self.len()])
    }

    /// The elements along the last axis, wherever they lie.
    pub fn line(&self, index: [usize; D]) -> impl Iterator<Item = T> + '_ {
        let start = self.position(index) as isize;
        let stride = self.elem_strides[D - 1];
        (0..(self.shape[D - 1] - index[D - 1]) as isize).map(move |i| self.data[(start + i * stride) as usize])
    }
}

/// The strides of a dense, row-major view of a shape.
pub(crate) fn dense_strides<const D: usize>(shape: [usize; D]) -> [isize; D] {
    let mut strides = [1_isize; D];
    for axis in (0..D.saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1].wrapping_mul(shape[axis + 1] as isize);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_and_zero_strides_read_what_they_say() {
        let data: Vec<u8> = (0..12).collect();
        let flipped = View::new(&data, 8, [3, 4], [-4, 1]).expect("it fits");
        assert_eq!(flipped.run([0, 0], 4), [8, 9, 10, 11]);
        let repeated = View::new(&data, 5, [2, 3], [0, 0]).expect("it fits");
        assert_eq!(repeated.line([1, 0]).collect::<Vec<_>>(), [5, 5, 5]);
    }

    #[test]
    fn views_outside_their_memory_are_refused() {
        let data = [0_u8; 12];
        assert!(View::new(&data, 0, [3, 4], [4, 1]).is_ok());
        assert!(View::new(&data, 1, [3, 4], [4, 1]).is_err());
        assert!(View::new(&data, 0, [3, 4], [-4, 1]).is_err());
        assert!(View::new(&data, 0, [usize::MAX, 2], [isize::MAX, 1]).is_err());
        assert!(View::new(&data, 99, [0, 4], [4, 1]).is_ok());
    }
}
