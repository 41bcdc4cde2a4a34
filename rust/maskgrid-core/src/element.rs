//! The number types that masks and sheets may have.

use half::{bf16, f16};

/// A number in a mask: 0 keeps, 1 samples again.
///
/// Read as `f32` in 0..=1 (for `u8`, 255 is 1); `f64` is narrowed after its range was checked.
pub trait Element: Copy + Send + Sync + PartialEq + 'static {
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
}

impl Element for bool {
    const ZERO: Self = false;
    const ONE: Self = true;

    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }

    #[inline]
    fn unit(self) -> Option<f32> {
        Some(f32::from(u8::from(self)))
    }

    #[inline]
    fn from_unit(value: f32) -> Self {
        value >= 0.5
    }
}

impl Element for u8 {
    const ZERO: Self = 0;
    const ONE: Self = 255;

    fn to_f64(self) -> f64 {
        f64::from(self) / 255.0
    }

    #[inline]
    fn unit(self) -> Option<f32> {
        Some(f32::from(self) / 255.0)
    }

    #[inline]
    fn from_unit(value: f32) -> Self {
        (value * 255.0).round_ties_even() as Self
    }
}

macro_rules! float_element {
    ($($type:ty, $zero:expr, $one:expr, $from:expr;)*) => {$(
        impl Element for $type {
            const ZERO: Self = $zero;
            const ONE: Self = $one;

            #[expect(clippy::allow_attributes, reason = "the conversion is the identity for f64 only")]
            #[allow(clippy::useless_conversion, reason = "one body for all widths")]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            fn unit(self) -> Option<f32> {
                (self >= Self::ZERO && self <= Self::ONE).then(|| $crate::element::Narrow::narrow(self))
            }

            #[inline]
            fn from_unit(value: f32) -> Self {
                $from(value)
            }
        }
    )*};
}

/// Conversion to f32 that may round.
trait Narrow {
    fn narrow(self) -> f32;
}

impl Narrow for f32 {
    #[inline]
    fn narrow(self) -> f32 {
        self
    }
}

impl Narrow for f64 {
    #[inline]
    fn narrow(self) -> f32 {
        self as f32
    }
}

impl Narrow for f16 {
    #[inline]
    fn narrow(self) -> f32 {
        self.to_f32()
    }
}

impl Narrow for bf16 {
    #[inline]
    fn narrow(self) -> f32 {
        self.to_f32()
    }
}

float_element! {
    f32, 0.0, 1.0, |value| value;
    f64, 0.0, 1.0, f64::from;
    f16, f16::ZERO, f16::ONE, f16::from_f32;
    bf16, bf16::ZERO, bf16::ONE, bf16::from_f32;
}

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
    u8, f32, f32::from, |value: f32| value.round_ties_even() as u8;
    f16, f32, f16::to_f32, f16::from_f32;
    bf16, f32, bf16::to_f32, bf16::from_f32;
    f32, f32, |value| value, |value| value;
    f64, f64, |value| value, |value| value;
}
