//! The number types that sheets may have where they are mixed, and how two are mixed.
//!
//! What is done to each number has no branches, so that loops become vector instructions.

use half::{bf16, f16};

use crate::mask_element::byte;
use crate::simd::vectorized;

/// A number in a sheet that can be mixed: `u8`, `f16`, `bf16`, `f32`, `f64`.
pub trait PixelElement: Copy + Send + Sync + 'static {
    /// `original + (patch - original) * mask`, computed in f32 (f64 for f64) and rounded to nearest even;
    /// mask 0 gives `original` and mask 1 gives `patch`, bit for bit.
    fn mix(original: Self, patch: Self, mask: f32) -> Self;
}

impl PixelElement for u8 {
    #[inline(always)]
    fn mix(original: Self, patch: Self, mask: f32) -> Self {
        // Exact at 0 and 1 without a choice: whole numbers of 8 bits are exact in f32.
        let (from, to) = (f32::from(original), f32::from(patch));
        byte(from + (to - from) * mask)
    }
}

macro_rules! mix_floats {
    ($($type:ty, $stored:ty, $bits:ty, $wide:ty, $to:expr, $from:expr;)*) => {$(
        impl PixelElement for $type {
            #[inline(always)]
            fn mix(original: Self, patch: Self, mask: f32) -> Self {
                let (from, to): ($wide, $wide) = ($to(original), $to(patch));
                let mixed: $bits = $from(from + (to - from) * <$wide>::from(mask));
                // All ones or all zeros: a choice between numbers would be compiled to branches.
                let keep = <$bits>::from(mask == 0.0).wrapping_neg();
                let take = <$bits>::from(mask == 1.0).wrapping_neg();
                let (original, patch) = (<$bits>::from(original.to_bits()), <$bits>::from(patch.to_bits()));
                Self::from_bits(((original & keep) | (patch & take) | (mixed & !(keep | take))) as $stored)
            }
        }
    )*};
}

mix_floats! {
    f16, u16, u32, f32, f16_to_f32, f16_bits;
    bf16, u16, u32, f32, bf16_to_f32, bf16_bits;
    f32, u32, u32, f32, |value| value, f32::to_bits;
    f64, u64, u64, f64, |value| value, f64::to_bits;
}

/// Replaces each target by [`PixelElement::mix`] of it, its patch and its mask; all three of one length.
pub(super) fn mix_run<T: PixelElement>(target: &mut [T], patch: &[T], mask: &[f32]) {
    vectorized(|| {
        for ((target, &patch), &mask) in target.iter_mut().zip(patch).zip(mask) {
            *target = T::mix(*target, patch, mask);
        }
    });
}

/// Each pixel's weight N times, once for each channel.
pub(super) fn spread<const N: usize>(values: &[f32], out: &mut [f32]) {
    vectorized(|| {
        for (out, &value) in out.as_chunks_mut::<N>().0.iter_mut().zip(values) {
            *out = [value; N];
        }
    });
}

/// Bits of the sign of an f32.
const SIGN: u32 = 0x8000_0000;
/// Bits of an infinite f32.
const INFINITE: u32 = 0x7f80_0000;
/// What an f32's exponent is larger by than an f16's, in place.
const REBIAS: u32 = (127 - 15) << 23;
/// The smallest normal f16, as f32.
const LEAST_NORMAL: u32 = 113 << 23;

/// One of two, without a branch.
#[inline(always)]
fn choose(condition: bool, yes: u32, no: u32) -> u32 {
    let all = u32::from(condition).wrapping_neg();
    (yes & all) | (no & !all)
}

#[inline(always)]
fn f16_to_f32(number: f16) -> f32 {
    let bits = u32::from(number.to_bits());
    let shifted = (bits & 0x7fff) << 13;
    // A subnormal f16 counts steps of 2^-24: so do the lowest bits of a number that begins at 2^-14.
    let small = f32::from_bits(shifted | LEAST_NORMAL) - f32::from_bits(LEAST_NORMAL);
    // Infinity and NaN have the largest exponent in both types.
    let normal = shifted + REBIAS + choose(shifted >= 0x7c00 << 13, REBIAS, 0);
    let magnitude = choose(shifted < 0x0400 << 13, small.to_bits(), normal);
    f32::from_bits(magnitude | ((bits & 0x8000) << 16))
}

/// The bits of the nearest f16, ties to even.
#[inline(always)]
fn f16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    let magnitude = bits & !SIGN;
    // The sum's lowest bit is worth 2^-24, the step of subnormal f16: it rounds as wanted.
    let half = f32::from_bits(126 << 23);
    let small = (f32::from_bits(magnitude) + half).to_bits().wrapping_sub(half.to_bits());
    // Half a step less than half, plus one where the kept part is odd; a carry goes on into the exponent.
    let odd = (magnitude >> 13) & 1;
    let normal = magnitude.wrapping_sub(REBIAS).wrapping_add(0xfff + odd) >> 13;
    let finite = choose(magnitude < LEAST_NORMAL, small, normal);
    let infinite = choose(magnitude > INFINITE, 0x7e00 | ((magnitude >> 13) & 0x3ff), 0x7c00);
    choose(magnitude >= 143 << 23, infinite, finite) | ((bits & SIGN) >> 16)
}

#[inline(always)]
fn bf16_to_f32(number: bf16) -> f32 {
    f32::from_bits(u32::from(number.to_bits()) << 16)
}

/// The bits of the nearest bf16, ties to even.
#[inline(always)]
fn bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    choose(bits & !SIGN > INFINITE, (bits >> 16) | 0x40, rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_16_bit_numbers_are_read_as_the_half_crate_reads_them() {
        for bits in 0..=u16::MAX {
            let (narrow, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(f16_to_f32(narrow).is_nan(), narrow.is_nan(), "{bits:#06x}");
            assert_eq!(bf16_to_f32(brain).is_nan(), brain.is_nan(), "{bits:#06x}");
            if !narrow.is_nan() {
                assert_eq!(f16_to_f32(narrow).to_bits(), narrow.to_f32().to_bits(), "{bits:#06x}");
            }
            if !brain.is_nan() {
                assert_eq!(bf16_to_f32(brain).to_bits(), brain.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }

    /// Between all neighbours: half way, a little before and a little after.
    #[test]
    fn numbers_are_rounded_as_the_half_crate_rounds_them() {
        for high in 0..=u16::MAX {
            for low in [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let value = f32::from_bits((u32::from(high) << 16) | low);
                assert_eq!(f16_bits(value), u32::from(f16::from_f32(value).to_bits()), "{value:e}");
                assert_eq!(bf16_bits(value), u32::from(bf16::from_f32(value).to_bits()), "{value:e}");
            }
        }
    }
}
