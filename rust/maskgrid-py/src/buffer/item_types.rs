//! The types that items of an array may have.

use std::ffi::c_long;
use std::fmt;

use half::{bf16, f16};
use maskgrid_core::Flag;

/// What refusals say is allowed.
pub(super) const DTYPES: &str = "bool, integers of 1 to 8 bytes, float16, bfloat16, float32 and float64";

/// A type that memory may be read and written as.
///
/// # Safety
/// Every bit pattern is a value; the size is 1, 2, 4 or 8 and no less than the alignment; there is no drop.
pub(crate) unsafe trait Item: Copy + Send + Sync + 'static {
    const ZERO: Self;
}

macro_rules! items {
    ($($type:ty: $zero:expr),*) => {$(
        // SAFETY: integers and floats have a value for every bit pattern, and are aligned to their size or less;
        // Flag is a transparent u8.
        unsafe impl Item for $type {
            const ZERO: Self = $zero;
        }
    )*};
}

items!(u8: 0, Flag: Self(0), u16: 0, u32: 0, u64: 0, i8: 0, i16: 0, i32: 0, i64: 0);
items!(f16: Self::ZERO, bf16: Self::ZERO, f32: 0.0, f64: 0.0);

/// What the bits of an array's item mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    Brain,
}

/// Type of an array's items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dtype {
    pub(crate) kind: Kind,
    /// 1, 2, 4 or 8.
    pub(crate) bytes: u8,
}

impl Dtype {
    pub(crate) const BOOL: Self = Self { kind: Kind::Bool, bytes: 1 };
    pub(crate) const UINT8: Self = Self { kind: Kind::Unsigned, bytes: 1 };
    pub(crate) const FLOAT32: Self = Self { kind: Kind::Float, bytes: 4 };
    pub(super) const BFLOAT16: Self = Self { kind: Kind::Brain, bytes: 2 };
    pub(super) const UINT16: Self = Self { kind: Kind::Unsigned, bytes: 2 };

    /// The item type of a kind and a width, where it exists.
    pub(crate) const fn new(kind: Kind, bytes: usize) -> Option<Self> {
        let exists = match kind {
            Kind::Bool => bytes == 1,
            Kind::Signed | Kind::Unsigned => matches!(bytes, 1 | 2 | 4 | 8),
            Kind::Float => matches!(bytes, 2 | 4 | 8),
            Kind::Brain => bytes == 2,
        };
        if exists { Some(Self { kind, bytes: bytes as u8 }) } else { None }
    }

    /// The type of a format letter of the struct module; `native` sizes are those of C, others are fixed.
    pub(super) const fn of_letter(letter: u8, native: bool) -> Option<Self> {
        let (kind, bytes) = match letter {
            b'?' => (Kind::Bool, 1),
            b'b' => (Kind::Signed, 1),
            b'B' => (Kind::Unsigned, 1),
            b'h' => (Kind::Signed, 2),
            b'H' => (Kind::Unsigned, 2),
            b'i' => (Kind::Signed, 4),
            b'I' => (Kind::Unsigned, 4),
            b'l' => (Kind::Signed, if native { size_of::<c_long>() } else { 4 }),
            b'L' => (Kind::Unsigned, if native { size_of::<c_long>() } else { 4 }),
            b'q' => (Kind::Signed, 8),
            b'Q' => (Kind::Unsigned, 8),
            b'n' if native => (Kind::Signed, size_of::<usize>()),
            b'N' if native => (Kind::Unsigned, size_of::<usize>()),
            b'e' => (Kind::Float, 2),
            b'f' => (Kind::Float, 4),
            b'd' => (Kind::Float, 8),
            _ => return None,
        };
        Self::new(kind, bytes)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::Bool => return f.write_str("bool"),
            Kind::Signed => "int",
            Kind::Unsigned => "uint",
            Kind::Float => "float",
            Kind::Brain => "bfloat",
        };
        write!(f, "{name}{}", 8 * self.bytes)
    }
}
