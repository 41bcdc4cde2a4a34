//! The number types that masks may have.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A number in a mask: 0 keeps, 1 samples again. `bool`, [`Flag`], `u8` (255 is 1), `f16`, `bf16`, `f32`, `f64`.
///
/// Read as `f32` in 0..=1; `f64` is narrowed after its range was checked.
pub trait Element: Copy + Send + Sync + PartialEq + 'static {
    /// What numbers are compared by: within 0..=1 it grows with the value.
    type Key: Copy + PartialOrd + Send + Sync;

    /// Whether 1 is written 255, so that masks of 0 and 1 are most likely a mistake.
    const COUNTS_TO_255: bool = false;
    /// The number that keeps.
    const ZERO: Self;
    /// The number that samples again.
    const ONE: Self;

    /// The value as f64, unchecked; for messages and range checks.
    fn to_f64(self) -> f64;

    /// Whether the value is in 0..=1; not so for NaN.
    fn is_unit(self) -> bool;

    /// The value as f32; only meaningful where [`is_unit`](Self::is_unit) holds.
    fn narrow(self) -> f32;

    /// The value in 0..=1, or None for NaN and numbers outside.
    #[inline]
    fn unit(self) -> Option<f32> {
        self.is_unit().then(|| self.narrow())
    }

    /// The nearest number of the type to a value in 0..=1 (`bool`: whether it is at least one half).
    fn from_unit(value: f32) -> Self;

    /// [`from_unit`](Self::from_unit) of many; as many as both slices have.
    #[inline(always)]
    fn from_units(values: &[f32], out: &mut [Self]) {
        out.iter_mut().zip(values).for_each(|(out, &value)| *out = Self::from_unit(value));
    }

    /// The bits of all numbers joined by "or", where they count to 255; 0 for other types.
    #[inline(always)]
    fn joined(numbers: &[Self]) -> u8 {
        let _ = numbers;
        0
    }

    /// 1 minus the value, rounded once.
    fn complement(self) -> Self;

    /// The number's own key.
    fn key(self) -> Self::Key;

    /// The key that numbers reach which, read as f32, are at least `level` (0..=1, rounded to f32).
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
            fn is_unit(self) -> bool {
                true
            }

            #[inline]
            fn narrow(self) -> f32 {
                f32::from(self.key())
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
                u8::from(level as f32 > 0.0)
            }
        }
    };
}

truth_element!(bool, false, true, |value| value, |value| value);
truth_element!(Flag, Self(0), Self(1), |value: Self| value.0 != 0, |value| Self(u8::from(value)));

impl Element for u8 {
    type Key = Self;

    const COUNTS_TO_255: bool = true;
    const ZERO: Self = 0;
    const ONE: Self = 255;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self) / 255.0
    }

    #[inline]
    fn is_unit(self) -> bool {
        true
    }

    #[inline]
    fn narrow(self) -> f32 {
        f32::from(self) / 255.0
    }

    #[inline]
    fn from_unit(value: f32) -> Self {
        byte(value * 255.0)
    }

    #[inline(always)]
    fn joined(numbers: &[Self]) -> u8 {
        numbers.iter().fold(0, |joined, number| joined | number)
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
        (0..255).find(|value: &Self| value.narrow() >= level as f32).unwrap_or(255)
    }
}

/// The nearest byte to a number in 0..=255, ties to even.
///
/// Adding 2^23 leaves the rounded number in the lowest bits; unlike `round_ties_even` this is one instruction
/// everywhere.
#[inline]
pub(crate) fn byte(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
}

macro_rules! half_element {
    ($type:ty, $narrow:expr, $from_units:expr) => {
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
            fn is_unit(self) -> bool {
                let key = self.key();
                (key >= 0 && key <= Self::ONE.to_bits() as i16) || key == i16::MIN
            }

            #[inline]
            fn narrow(self) -> f32 {
                $narrow(self.to_bits())
            }

            #[inline]
            fn from_unit(value: f32) -> Self {
                Self::from_f32(value)
            }

            #[inline(always)]
            fn from_units(values: &[f32], out: &mut [Self]) {
                let len = values.len().min(out.len());
                $from_units(&mut out[..len], &values[..len]);
            }

            #[inline]
            fn complement(self) -> Self {
                Self::from_f32(1.0 - self.narrow())
            }

            #[inline]
            fn key(self) -> i16 {
                self.to_bits() as i16
            }

            fn level_key(level: f64) -> i16 {
                let level = level as f32;
                if level <= 0.0 {
                    return i16::MIN;
                }
                let nearest = Self::from_f32(level);
                nearest.key() + i16::from(nearest.narrow() < level)
            }
        }
    };
}

// A shift puts the bits of an f16 where f32 has them; the factor 2^112 makes up for the other bias of the exponent,
// and is right for subnormal numbers too.
half_element!(
    f16,
    |bits: u16| f32::from_bits((u32::from(bits) & 0x7fff) << 13) * f32::from_bits(0x7780_0000),
    HalfFloatSliceExt::convert_from_f32_slice
);
half_element!(bf16, |bits: u16| f32::from_bits(u32::from(bits) << 16), HalfFloatSliceExt::convert_from_f32_slice);

macro_rules! float_element {
    ($type:ty) => {
        impl Element for $type {
            type Key = f32;

            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline]
            fn is_unit(self) -> bool {
                (0.0..=1.0).contains(&self)
            }

            #[inline]
            fn narrow(self) -> f32 {
                self as f32
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
            fn key(self) -> f32 {
                self as f32
            }

            #[inline]
            fn level_key(level: f64) -> f32 {
                level as f32
            }
        }
    };
}

float_element!(f32);
float_element!(f64);

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 10] = [0.0, 1e-60, 1e-30, 1e-7, 0.1, 0.3, 0.5, 0.7, 0.9995, 1.0];

    /// Every number of a 16-bit type: what is in range, its value, and its order.
    fn check_half<T: Element<Key = i16>>(from_bits: impl Fn(u16) -> T, to_f32: impl Fn(T) -> f32) {
        for bits in 0..=u16::MAX {
            let number = from_bits(bits);
            let value = to_f32(number);
            let expected = (0.0..=1.0).contains(&value).then_some(value);
            assert_eq!(number.unit(), expected, "{bits:#06x}");
            for level in LEVELS.iter().filter(|_| expected.is_some()) {
                assert_eq!(number.key() >= T::level_key(*level), value >= *level as f32, "{bits:#06x} {level}");
            }
            if let Some(value) = expected {
                let mut many = [T::ONE; 3];
                T::from_units(&[value; 3], &mut many);
                assert_eq!(many.map(to_f32_of(&to_f32)), [value; 3]);
                assert_eq!(to_f32(number.complement()), to_f32(T::from_unit(1.0 - value)));
            }
        }
    }

    fn to_f32_of<T>(convert: &impl Fn(T) -> f32) -> impl Fn(T) -> f32 {
        |number| convert(number)
    }

    #[test]
    fn all_16_bit_numbers_are_read_right() {
        check_half(f16::from_bits, f16::to_f32);
        check_half(bf16::from_bits, bf16::to_f32);
    }

    #[test]
    fn bytes_round_to_nearest_even() {
        for value in 0..=255_u8 {
            assert_eq!(u8::from_unit(value.narrow()), value);
            assert_eq!(value.complement(), 255 - value);
        }
        for number in 0..=255_000 {
            let value = number as f32 / 1000.0;
            assert_eq!(byte(value), value.round_ties_even() as u8, "{value}");
        }
    }

    #[test]
    fn levels_are_compared_as_f32() {
        for level in LEVELS {
            for value in 0..=255_u8 {
                assert_eq!(value.key() >= u8::level_key(level), f32::from(value) / 255.0 >= level as f32);
            }
            assert!((level as f32).key() >= f32::level_key(level));
            assert!(level.key() >= f64::level_key(level));
            assert_eq!(Flag(0).key() >= Flag::level_key(level), 0.0 >= level as f32);
        }
        assert_eq!(u8::level_key(0.5), 128);
        assert!(Flag(7).key() >= Flag::level_key(1.0) && Flag(0).key() < Flag::level_key(0.1));
    }

    #[test]
    fn numbers_outside_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-300, 1.0 + f64::EPSILON] {
            assert_eq!(value.unit(), None);
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e-40, 1.0 + f32::EPSILON] {
            assert_eq!(value.unit(), None);
        }
        assert_eq!((-0.0_f32).unit(), Some(0.0));
    }
}
