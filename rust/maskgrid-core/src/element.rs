//! The number types that masks and sheets may have.

use half::{bf16, f16};

/// A number in a mask: 0 keeps, 1 samples again. `bool`, [`Flag`], `u8` (255 is 1), `f16`, `bf16`, `f32`, `f64`.
///
/// Read as `f32` in 0..=1; `f64` is narrowed after its range was checked.
pub trait Element: Copy + Send + Sync + PartialEq + 'static {
    /// What numbers are compared by: within 0..=1 it grows with the value.
    type Key: Copy + PartialOrd + Send + Sync;

    /// The number that keeps.
    const ZERO: Self;
    /// The number that samples again.
    const ONE: Self;

    /// The value as f64, unchecked; for messages and range checks.
    fn to_f64(self) -> f64;

    /// The value in 0..=1, or None for NaN and numbers outside.
    fn unit(self) -> Option<f32>;

    /// The nearest number of the type to a value in 0..=1 (`bool`: whether it is at least one half).
    fn from_unit(value: f32) -> Self;

    /// 1 minus the value, rounded once.
    fn complement(self) -> Self;

    /// The number's own key.
    fn key(self) -> Self::Key;

    /// The key that numbers of at least `level` (0..=1, rounded to this type) reach.
    fn level_key(level: f64) -> Self::Key;
}

/// A `bool` as other people's memory holds it: every byte but 0 is true.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Flag(pub u8);

impl PartialEq for Flag {
    fn eq(&self, other: &Self) -> bool {
        (self.0 != 0) == (other.0 != 0)
    }
}

macro_rules! truth_element {
    ($type:ty, $zero:expr, $one:expr, $is:expr, $from:expr) => {
        impl Element for $type {
            type Key = u8;

            const ZERO: Self = $zero;
            const ONE: Self = $one;

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self.key())
            }

            #[inline]
            fn unit(self) -> Option<f32> {
                Some(f32::from(self.key()))
            }

            #[inline]
            fn from_unit(value: f32) -> Self {
                $from(value >= 0.5)
            }

            #[inline]
            fn complement(self) -> Self {
                $from(!$is(self))
            }

            #[inline]
            fn key(self) -> u8 {
                u8::from($is(self))
            }

            #[inline]
            fn level_key(level: f64) -> u8 {
                u8::from(level > 0.0)
            }
        }
    };
}

truth_element!(bool, false, true, |value| value, |value| value);
truth_element!(Flag, Self(0), Self(1), |value: Self| value.0 != 0, |value| Self(u8::from(value)));

impl Element for u8 {
    type Key = Self;

    const ZERO: Self = 0;
    const ONE: Self = 255;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self) / 255.0
    }

    #[inline]
    fn unit(self) -> Option<f32> {
        Some(f32::from(self) / 255.0)
    }

    #[inline]
    fn from_unit(value: f32) -> Self {
        byte(value * 255.0)
    }

    #[inline]
    fn complement(self) -> Self {
        255 - self
    }

    #[inline]
    fn key(self) -> Self {
        self
    }

    fn level_key(level: f64) -> Self {
        (0..255).find(|value: &Self| value.to_f64() >= level).unwrap_or(255)
    }
}

/// The nearest byte to a number in 0..=255, ties to even.
///
/// Adding 2^23 leaves the rounded number in the lowest bits; unlike `round_ties_even` this is one instruction
/// everywhere.
#[inline]
fn byte(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
}

macro_rules! half_element {
    ($type:ty) => {
        impl Element for $type {
            /// The bits of numbers from 0 up are ordered like the numbers; those of -0 come before all of them.
            type Key = i16;

            const ZERO: Self = Self::ZERO;
            const ONE: Self = Self::ONE;

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            fn unit(self) -> Option<f32> {
                let key = self.key();
                let inside = (0..=Self::ONE.key()).contains(&key) || key == i16::MIN;
                inside.then(|| self.to_f32())
            }

            #[inline]
            fn from_unit(value: f32) -> Self {
                Self::from_f32(value)
            }

            #[inline]
            fn complement(self) -> Self {
                Self::from_f32(1.0 - self.to_f32())
            }

            #[inline]
            fn key(self) -> i16 {
                self.to_bits() as i16
            }

            fn level_key(level: f64) -> i16 {
                if level > 0.0 { Self::from_f64(level).key() } else { i16::MIN }
            }
        }
    };
}

half_element!(f16);
half_element!(bf16);

macro_rules! float_element {
    ($type:ty) => {
        impl Element for $type {
            type Key = Self;

            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline]
            fn unit(self) -> Option<f32> {
                (0.0..=1.0).contains(&self).then_some(self as f32)
            }

            #[inline]
            fn from_unit(value: f32) -> Self {
                value as Self
            }

            #[inline]
            fn complement(self) -> Self {
                1.0 - self
            }

            #[inline]
            fn key(self) -> Self {
                self
            }

            #[inline]
            fn level_key(level: f64) -> Self {
                level as Self
            }
        }
    };
}

float_element!(f32);
float_element!(f64);

/// A number in a sheet that can be mixed: `u8`, `f16`, `bf16`, `f32`, `f64`.
pub trait PixelElement: Copy + Send + Sync + 'static {
    /// `original + (patch - original) * mask`, computed in f32 (f64 for f64) and rounded to nearest even;
    /// mask 0 gives `original` and mask 1 gives `patch`, bit for bit.
    fn mix(original: Self, patch: Self, mask: f32) -> Self;
}

macro_rules! mix {
    ($($type:ty, $wide:ty, $to:expr, $from:expr;)*) => {$(
        impl PixelElement for $type {
            #[inline]
            fn mix(original: Self, patch: Self, mask: f32) -> Self {
                if mask == 0.0 {
                    return original;
                }
                if mask == 1.0 {
                    return patch;
                }
                let (from, to): ($wide, $wide) = ($to(original), $to(patch));
                $from(from + (to - from) * <$wide>::from(mask))
            }
        }
    )*};
}

mix! {
    u8, f32, f32::from, byte;
    f16, f32, f16::to_f32, f16::from_f32;
    bf16, f32, bf16::to_f32, bf16::from_f32;
    f32, f32, |value| value, |value| value;
    f64, f64, |value| value, |value| value;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number of a 16-bit type: what is in range, its value, and its order.
    fn check_half<T: Element<Key = i16>>(from_bits: impl Fn(u16) -> T, to_f32: impl Fn(T) -> f32) {
        let level = T::level_key(0.3);
        for bits in 0..=u16::MAX {
            let number = from_bits(bits);
            let value = to_f32(number);
            let expected = (0.0..=1.0).contains(&value).then_some(value);
            assert_eq!(number.unit(), expected, "{bits:#06x}");
            if expected.is_some() {
                assert_eq!(number.key() >= level, value >= to_f32(T::from_unit(0.3)), "{bits:#06x}");
                assert!(number.key() >= T::level_key(0.0));
            }
        }
    }

    #[test]
    fn all_16_bit_numbers_are_read_right() {
        check_half(f16::from_bits, f16::to_f32);
        check_half(bf16::from_bits, bf16::to_f32);
    }

    #[test]
    fn bytes_round_to_nearest_even() {
        for value in 0..=255_u8 {
            assert_eq!(u8::from_unit(value.unit().expect("bytes are in range")), value);
            assert_eq!(value.complement(), 255 - value);
        }
        for number in 0..=255_000 {
            let value = number as f32 / 1000.0;
            assert_eq!(byte(value), value.round_ties_even() as u8, "{value}");
        }
    }

    #[test]
    fn a_level_is_reached_by_the_number_written_the_same_way() {
        for percent in 0..=100 {
            let level = f64::from(percent) / 100.0;
            assert!((level as f32).key() >= f32::level_key(level));
            assert!(level.key() >= f64::level_key(level));
            assert!(f16::from_f64(level).key() >= f16::level_key(level));
            assert!(bf16::from_f64(level).key() >= bf16::level_key(level));
        }
        for value in 0..=255_u8 {
            assert_eq!(u8::level_key(f64::from(value) / 255.0), value);
        }
        assert_eq!(u8::level_key(0.5), 128);
        assert!(Flag(7).key() >= Flag::level_key(1.0) && Flag(0).key() < Flag::level_key(0.1));
    }
}
