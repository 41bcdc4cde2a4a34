//! The structs of dlpack.h, versions 0 and 1, and what their numbers mean.

use std::ffi::c_void;

use pyo3::PyResult;

use super::item_types::{Dtype, Kind};
use crate::errors::InvalidBufferError;

/// `DLTensor` of dlpack.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DlTensor {
    pub(crate) data: *mut u8,
    pub(crate) device_type: i32,
    device_id: i32,
    pub(crate) ndim: i32,
    pub(crate) code: u8,
    pub(crate) bits: u8,
    pub(crate) lanes: u16,
    pub(crate) shape: *const i64,
    pub(crate) strides: *const i64,
    pub(crate) byte_offset: u64,
}

pub(crate) type Deleter = Option<unsafe extern "C" fn(*mut c_void)>;

/// `DLManagedTensor`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Legacy {
    pub(crate) tensor: DlTensor,
    context: *mut c_void,
    pub(crate) deleter: Deleter,
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Versioned {
    pub(crate) head: Head,
    pub(crate) flags: u64,
    pub(crate) tensor: DlTensor,
}

/// What is in the same place in all versions.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    context: *mut c_void,
    pub(crate) deleter: Deleter,
}

pub(crate) const READ_ONLY: u64 = 1;
pub(crate) const IS_COPIED: u64 = 2;

impl DlTensor {
    /// The address of the first item; null stays null.
    pub(crate) fn first(&self) -> Result<*mut u8, String> {
        let overflow = || format!("has the byte offset {}, which overflows", self.byte_offset);
        let offset = usize::try_from(self.byte_offset).map_err(|_| overflow())?;
        self.data.addr().checked_add(offset).ok_or_else(overflow)?;
        Ok(if self.data.is_null() { self.data } else { self.data.wrapping_add(offset) })
    }

    /// The type of the items; None where it is one that no operation takes.
    ///
    /// # Errors
    /// When items are not whole bytes, or vectors; in words that begin with a verb.
    pub(crate) fn dtype(&self) -> Result<Option<Dtype>, String> {
        let Self { code, bits, lanes, .. } = *self;
        if lanes != 1 || bits == 0 || !bits.is_multiple_of(8) {
            return Err(format!("has items of {bits} bits and {lanes} lanes; allowed: whole bytes and 1 lane"));
        }
        let kind = match code {
            0 => Kind::Signed,
            1 => Kind::Unsigned,
            2 => Kind::Float,
            4 => Kind::Brain,
            6 => Kind::Bool,
            _ => return Ok(None),
        };
        Ok(Dtype::new(kind, usize::from(bits / 8)))
    }
}

/// Refuses DLPack memory that is not the CPU's.
///
/// # Errors
/// When it is no host memory: CPU, or pinned by CUDA or ROCm.
pub(crate) fn check_device(kind: i32, name: &str) -> PyResult<()> {
    match kind {
        1 | 3 | 11 => Ok(()),
        _ => Err(InvalidBufferError::new_err(format!(
            "{name} lies on a device (DLPack device type {kind}); allowed: host memory: 1 (CPU), 3 and 11 (pinned)"
        ))),
    }
}
