//! A mask as one bit a pixel: 64 pixels are worked on at once.

use fearless_simd::{Simd, i8x64, mask8x64, prelude::*};

use crate::error::Result;
use crate::mask_element::Element;
use crate::scratch;

/// Whether each pixel of one mask is inside; the bits beyond a row's width are 0.
#[derive(Debug, Clone)]
pub(super) struct Bits {
    pub(super) words: Vec<u64>,
    /// Words per row.
    pub(super) stride: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Bits {
    /// A bit mask with all pixels outside.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub(super) fn new(height: usize, width: usize) -> Result<Self> {
        let stride = width.div_ceil(64);
        Ok(Self { words: scratch::filled(0, height * stride)?, stride, height, width })
    }

    /// The words of one row of a bit mask.
    #[inline]
    pub(super) fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.stride..][..self.stride]
    }

    /// The pixels of the last word of a row that exist.
    #[inline]
    pub(super) fn last_word(&self) -> u64 {
        u64::MAX >> (self.stride * 64 - self.width)
    }

    /// Turns a bit mask inside out.
    pub(super) fn complement(&mut self) {
        if self.stride == 0 {
            return;
        }
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.clip();
    }

    /// Clears the bits beyond each row's width.
    pub(super) fn clip(&mut self) {
        let (last, stride) = (self.last_word(), self.stride.max(1));
        self.words.chunks_exact_mut(stride).for_each(|row| row[stride - 1] &= last);
    }

    /// Whether all pixels are alike: Some(whether they are inside), or None.
    pub(super) fn uniform(&self) -> Option<bool> {
        let (first, last) = (self.words.first()? & 1, self.last_word());
        let expected = if first == 1 { u64::MAX } else { 0 };
        let alike = |row: &[u64]| {
            let (end, body) = row.split_last().unwrap_or((&0, &[]));
            *end == expected & last && body.iter().all(|&word| word == expected)
        };
        self.words.chunks_exact(self.stride).all(alike).then_some(first == 1)
    }
}

/// Packs 64 bytes that are each -1 or 0.
#[inline(always)]
fn gather(bytes: &[i8; 64]) -> u64 {
    // What every processor of the platform has is enough, so there is nothing to choose at run time.
    fearless_simd::dispatch!(fearless_simd::Level::baseline(), simd => gather_with(simd, bytes))
}

#[inline(always)]
fn gather_with<S: Simd>(simd: S, bytes: &[i8; 64]) -> u64 {
    mask8x64::from_vector(i8x64::from_slice(simd, bytes)).to_bitmask()
}

/// Calls `use_bytes(index, bytes)` for every 64 numbers: -1 for those that reach a level, 0 for the others and beyond the
/// end; returns whether all are in range.
#[inline(always)]
pub(super) fn compare<T: Element>(row: &[T], level: T::Key, mut use_bytes: impl FnMut(usize, &[i8; 64])) -> bool {
    let mut bad = false;
    let mut one = |index: usize, chunk: &[T; 64], len: usize| {
        let mut bytes = [0_i8; 64];
        for (byte, value) in bytes.iter_mut().zip(chunk) {
            *byte = -i8::from(value.key() >= level);
        }
        bad |= chunk.iter().fold(false, |bad, value| bad | !value.is_unit());
        bytes[len..].fill(0);
        use_bytes(index, &bytes);
    };
    let (chunks, rest) = row.as_chunks::<64>();
    for (index, chunk) in chunks.iter().enumerate() {
        one(index, chunk, 64);
    }
    if !rest.is_empty() {
        let mut padded = [T::ZERO; 64];
        padded[..rest.len()].copy_from_slice(rest);
        one(chunks.len(), &padded, rest.len());
    }
    !bad
}

/// Packs whether numbers reach a level; returns whether all are in range.
#[inline(always)]
pub(super) fn pack<T: Element>(row: &[T], level: T::Key, words: &mut [u64]) -> bool {
    compare(
        row,
        level,
        #[inline(always)]
        |index, bytes| words[index] = gather(bytes),
    )
}

/// What 8 bits are as numbers.
struct Spread<U>(std::marker::PhantomData<U>);

impl<U: Element> Spread<U> {
    const TABLE: [[U; 8]; 256] = {
        let mut table = [[U::ZERO; 8]; 256];
        let mut index = 0;
        while index < 256 * 8 {
            if ((index / 8) >> (index % 8)) & 1 == 1 {
                table[index / 8][index % 8] = U::ONE;
            }
            index += 1;
        }
        table
    };
}

/// Writes 1 for each bit that is set, 0 for the others.
#[inline(always)]
pub(super) fn unpack<U: Element>(words: &[u64], out: &mut [U]) {
    let (chunks, rest) = out.as_chunks_mut::<64>();
    for (&word, out) in words.iter().zip(&mut *chunks) {
        match word {
            0 => *out = [U::ZERO; 64],
            u64::MAX => *out = [U::ONE; 64],
            word => spread(word, out),
        }
    }
    if let Some(&word) = words.get(chunks.len()) {
        spread(word, rest);
    }
}

#[inline(always)]
fn spread<U: Element>(word: u64, out: &mut [U]) {
    for (byte, out) in word.to_le_bytes().into_iter().zip(out.chunks_mut(8)) {
        out.copy_from_slice(&Spread::<U>::TABLE[usize::from(byte)][..out.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacking_gives_what_was_packed() {
        for width in (0..=9).chain([63, 64, 65, 127, 128, 200]) {
            let row: Vec<f32> = (0..width).map(|x| f32::from(u8::from(x * x % 7 < 3))).collect();
            let mut bits = Bits::new(1, width).expect("there is memory");
            assert!(pack(&row, 0.5, &mut bits.words));
            let mut back = vec![0.5; width];
            unpack(&bits.words, &mut back);
            assert_eq!(back, row);
            bits.complement();
            unpack(&bits.words, &mut back);
            assert!(back.iter().zip(&row).all(|(back, value)| *back == 1.0 - value));
        }
    }

    #[test]
    fn numbers_out_of_range_are_noticed_anywhere() {
        for width in [1, 63, 64, 65, 130] {
            for place in 0..width {
                let mut row = vec![0.5_f32; width];
                row[place] = f32::NAN;
                assert!(!pack(&row, 0.5, &mut vec![0; width.div_ceil(64)]));
            }
        }
    }

    #[test]
    fn uniform_masks_are_told() {
        for width in [1, 64, 70] {
            let mut bits = Bits::new(3, width).expect("there is memory");
            assert_eq!(bits.uniform(), Some(false));
            bits.complement();
            assert_eq!(bits.uniform(), Some(true));
            bits.words[0] ^= 1;
            assert!(bits.uniform().is_none());
        }
    }
}
