//! Memory by way of DLPack: tensors in capsules, checked and freed once.

use std::ffi::{CStr, c_void};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use pyo3::{ffi, intern};

use super::dlpack_structs::{Deleter, DlTensor, Head, IS_COPIED, Legacy, READ_ONLY, Versioned, check_device};
use super::item_types::{DTYPES, Dtype};
use super::python_buffer::checked_axes;
use super::strided_memory::{MAX_AXES, StridedMemory};
use super::{caused, unreadable};
use crate::errors::InvalidTypeError;

/// What a tensor says of its memory, once that was checked.
pub(super) struct Contents {
    pub(super) dtype: Dtype,
    pub(super) memory: StridedMemory,
    pub(super) readonly: bool,
    /// None where it was only looked at: the memory may be gone after the call.
    pub(super) tensor: Option<Tensor>,
}

/// A DLPack tensor that is ours: its deleter runs when it is dropped.
pub(super) struct Tensor {
    managed: *mut c_void,
    deleter: Deleter,
}

impl Drop for Tensor {
    fn drop(&mut self) {
        if let Some(deleter) = self.deleter {
            // SAFETY: the producer's own function and pointer; called once, as `take` renamed the capsule, and with
            // the interpreter attached (a Tensor is not Send).
            unsafe { deleter(self.managed) };
        }
    }
}

/// So that of two threads one gets a capsule. Held without calling into Python.
static TAKING: Mutex<()> = Mutex::new(());

impl Tensor {
    /// Asks a Python object for a DLPack capsule of its memory.
    pub(super) fn import(object: &Bound<'_, PyAny>, export: &Bound<'_, PyAny>, name: &str) -> PyResult<Contents> {
        let py = object.py();
        let failed = |error: PyErr| {
            if !error.is_instance_of::<PyException>(py) {
                return error;
            }
            caused(unreadable(name, format!("can't be exported: {error}")), error, py)
        };
        if let Some(device) = object.getattr_opt(intern!(py, "__dlpack_device__"))? {
            let (kind, _) = device.call0().and_then(|pair| pair.extract::<(i32, i32)>()).map_err(failed)?;
            check_device(kind, name)?;
        }
        let version = PyDict::new(py);
        version.set_item(intern!(py, "max_version"), (1, 0))?;
        let capsule = match export.call((), Some(&version)) {
            // Producers from before version 1.0 do not know the keyword.
            Err(error) if error.is_instance_of::<PyTypeError>(py) => export.call0(),
            result => result,
        };
        let capsule = capsule.map_err(failed)?;
        match capsule.cast::<PyCapsule>() {
            Ok(capsule) => Self::take(capsule, name),
            Err(_) => Err(unreadable(name, "has a __dlpack__ that returns no capsule")),
        }
    }

    /// Takes the tensor out of a DLPack capsule.
    pub(super) fn take(capsule: &Bound<'_, PyCapsule>, name: &str) -> PyResult<Contents> {
        let guard = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let (managed, versioned) = Self::find(capsule, name)?;
        let used = if versioned { c"used_dltensor_versioned" } else { c"used_dltensor" };
        // SAFETY: a live capsule; the name is static.
        if unsafe { ffi::PyCapsule_SetName(capsule.as_ptr(), used.as_ptr()) } != 0 {
            return Err(PyErr::fetch(capsule.py()));
        }
        drop(guard);
        // From here on the tensor is ours, and freed on every way out.
        // SAFETY: the name says what the pointer points at; it is not null. Copied out, as it may be misaligned.
        let deleter = unsafe {
            if versioned {
                managed.cast::<Head>().read_unaligned().deleter
            } else {
                managed.cast::<Legacy>().read_unaligned().deleter
            }
        };
        let tensor = Self { managed, deleter };
        let contents = Self::parse(managed, versioned, name)?;
        Ok(Contents { tensor: Some(tensor), ..contents })
    }

    /// Reads what a capsule holds and leaves it there.
    pub(super) fn look(capsule: &Bound<'_, PyCapsule>, name: &str) -> PyResult<Contents> {
        let (managed, versioned) = Self::find(capsule, name)?;
        Self::parse(managed, versioned, name)
    }

    /// The pointer of a capsule that nobody has taken, and whether it is versioned.
    fn find(capsule: &Bound<'_, PyCapsule>, name: &str) -> PyResult<(*mut c_void, bool)> {
        let capsule = capsule.as_ptr();
        // SAFETY: a live capsule and a static name.
        let is = |label: &CStr| unsafe { ffi::PyCapsule_IsValid(capsule, label.as_ptr()) } != 0;
        for (label, versioned) in [(c"dltensor_versioned", true), (c"dltensor", false)] {
            if is(label) {
                // SAFETY: as above; it has this name, so the pointer is there and is not null.
                return Ok((unsafe { ffi::PyCapsule_GetPointer(capsule, label.as_ptr()) }, versioned));
            }
        }
        let used = is(c"used_dltensor_versioned") || is(c"used_dltensor");
        let problem = if used { "is a DLPack capsule that was used before" } else { "is a capsule, but not of DLPack" };
        Err(unreadable(name, format!("{problem}; allowed: unused ones named dltensor or dltensor_versioned")))
    }

    /// Checks everything about a tensor that a slice depends on.
    fn parse(managed: *mut c_void, versioned: bool, name: &str) -> PyResult<Contents> {
        // SAFETY: as in `take`; of versions other than 1 nothing but the head is read.
        let (tensor, flags) = unsafe {
            if versioned {
                let Head { major, minor, .. } = managed.cast::<Head>().read_unaligned();
                if major != 1 {
                    return Err(unreadable(name, format!("is of DLPack version {major}.{minor}; allowed: 1")));
                }
                let Versioned { flags, tensor, .. } = managed.cast::<Versioned>().read_unaligned();
                (tensor, flags)
            } else {
                (managed.cast::<Legacy>().read_unaligned().tensor, 0)
            }
        };
        check_device(tensor.device_type, name)?;
        let ndim = checked_axes(tensor.ndim).map_err(|problem| unreadable(name, problem))?;
        let dtype = tensor.dtype().map_err(|problem| unreadable(name, problem))?.ok_or_else(|| {
            let DlTensor { code, bits, .. } = tensor;
            InvalidTypeError::new_err(format!(
                "{name} has items of DLPack type code {code} and {bits} bits; allowed: {DTYPES}"
            ))
        })?;
        if ndim > 0 && tensor.shape.is_null() {
            return Err(unreadable(name, format!("has {ndim} axes but no shape: its pointer is null")));
        }
        let (mut shape, mut strides) = ([0; MAX_AXES], [0; MAX_AXES]);
        for axis in 0..ndim {
            // SAFETY: not null; the producer says that it has `ndim` numbers.
            shape[axis] = unsafe { tensor.shape.add(axis).read_unaligned() };
            if !tensor.strides.is_null() {
                // SAFETY: the same.
                strides[axis] = unsafe { tensor.strides.add(axis).read_unaligned() };
            }
        }
        let strides = (!tensor.strides.is_null()).then_some(&strides[..ndim]);
        let memory = tensor
            .first()
            .and_then(|data| StridedMemory::new(data, usize::from(dtype.bytes), &shape[..ndim], strides))
            .map_err(|problem| unreadable(name, problem))?;
        // A copy would swallow what is written.
        Ok(Contents { dtype, memory, readonly: flags & (READ_ONLY | IS_COPIED) != 0, tensor: None })
    }
}
