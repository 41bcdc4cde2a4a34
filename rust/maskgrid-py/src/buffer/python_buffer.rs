//! Memory by way of Python's buffer protocol: numpy arrays, memoryviews, bytes, ctypes.

use std::ffi::{CStr, c_int};

use pyo3::ffi;
use pyo3::prelude::*;

use super::item_types::Dtype;
use super::strided_memory::{MAX_AXES, StridedMemory};
use super::{filled, unreadable};

/// A `Py_buffer` that is released when dropped. Boxed because exporters may point into it.
pub(super) struct PythonBuffer(Box<ffi::Py_buffer>);

/// What a buffer says of its memory, once that was checked.
pub(super) struct Contents {
    pub(super) dtype: Dtype,
    pub(super) memory: StridedMemory,
    /// The items, where Rust can't take them as they lie: misaligned, with odd strides, in foreign byte order.
    pub(super) copy: Option<Vec<u64>>,
    pub(super) readonly: bool,
}

/// What the format of a buffer says.
enum Format<'a> {
    Known {
        dtype: Dtype,
        /// Whether the bytes of each item come in the other order.
        foreign: bool,
    },
    /// No type that any operation takes.
    Other(&'a [u8]),
}

/// What is wrong with a Python buffer.
pub(super) enum Problem {
    /// Its memory; the text begins with a verb.
    Memory(String),
    /// The type of its items: its format.
    Format(Vec<u8>),
    /// There is no memory for a copy.
    Failed(PyErr),
}

impl PythonBuffer {
    /// None: the object has no buffer protocol.
    pub(super) fn get(object: &Bound<'_, PyAny>, writable: bool) -> Option<PyResult<Self>> {
        let flags = ffi::PyBUF_STRIDES | ffi::PyBUF_FORMAT | if writable { ffi::PyBUF_WRITABLE } else { 0 };
        // SAFETY: a live object, with the interpreter attached.
        if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
            return None;
        }
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: as above; on failure nothing was filled in that would have to be released.
        let failed: c_int = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *buffer, flags) };
        Some(if failed == 0 { Ok(Self(buffer)) } else { Err(PyErr::fetch(object.py())) })
    }

    /// Checks everything that reading depends on, and copies what Rust can't take as it lies.
    pub(super) fn contents(&self) -> Result<Contents, Problem> {
        let (dtype, foreign) = match self.format()? {
            Format::Known { dtype, foreign } => (dtype, foreign),
            Format::Other(format) => return Err(Problem::Format(format.to_vec())),
        };
        let buffer = &*self.0;
        let bytes = usize::from(dtype.bytes);
        let (shape, strides) = self.axes(bytes)?;
        let aligned = buffer.buf.addr().is_multiple_of(bytes);
        let whole = shape.iter().zip(&strides).all(|(&len, &stride)| len <= 1 || stride % bytes as i64 == 0);
        let readonly = buffer.readonly != 0;
        if aligned && whole && !foreign {
            let strides: Vec<i64> = strides.iter().map(|stride| stride / bytes as i64).collect();
            let memory =
                StridedMemory::new(buffer.buf.cast(), bytes, &shape, Some(&strides)).map_err(Problem::Memory)?;
            return Ok(Contents { dtype, memory, copy: None, readonly });
        }
        // The same checks byte by byte, before anything is followed.
        let (by_bytes, byte_strides) = ([&shape[..], &[bytes as i64]].concat(), [&strides[..], &[1]].concat());
        let source =
            StridedMemory::new(buffer.buf.cast(), 1, &by_bytes, Some(&byte_strides)).map_err(Problem::Memory)?;
        let copy = copy_bytes(&source, bytes, foreign)?;
        let start = copy.as_ptr().cast_mut().cast();
        let memory = StridedMemory::new(start, bytes, &shape, None).map_err(Problem::Memory)?;
        Ok(Contents { dtype, memory, copy: Some(copy), readonly })
    }

    fn format(&self) -> Result<Format<'_>, Problem> {
        let buffer = &*self.0;
        // SAFETY: the protocol says that a format is null or a C string that lives as long as the buffer.
        let format = (!buffer.format.is_null()).then(|| unsafe { CStr::from_ptr(buffer.format) }.to_bytes());
        // No format stands for bytes.
        let format = format.unwrap_or(b"B");
        let (order, letter) = match format {
            [order @ (b'@' | b'=' | b'<' | b'>' | b'!'), letter @ ..] => (*order, letter),
            letter => (b'@', letter),
        };
        let &[letter] = letter else {
            return Ok(Format::Other(format));
        };
        let Some(dtype) = Dtype::of_letter(letter, order == b'@') else {
            return Ok(Format::Other(format));
        };
        if buffer.itemsize != isize::from(dtype.bytes) {
            let text = String::from_utf8_lossy(format);
            return Err(Problem::Memory(format!(
                "has items of {} bytes and the format '{text}'; allowed: {} bytes for it",
                buffer.itemsize, dtype.bytes
            )));
        }
        let foreign = if cfg!(target_endian = "little") { matches!(order, b'>' | b'!') } else { order == b'<' };
        Ok(Format::Known { dtype, foreign: foreign && dtype.bytes > 1 })
    }

    /// Lengths of the axes, and their strides in bytes.
    fn axes(&self, bytes: usize) -> Result<(Vec<i64>, Vec<i64>), Problem> {
        let buffer = &*self.0;
        let ndim = checked_axes(buffer.ndim).map_err(Problem::Memory)?;
        if ndim > 0 && buffer.shape.is_null() {
            return Err(Problem::Memory(format!("has {ndim} axes but no shape: its pointer is null")));
        }
        if !buffer.suboffsets.is_null() {
            return Err(Problem::Memory("has suboffsets; allowed: memory without pointers in it".to_owned()));
        }
        // SAFETY: not null (checked, but for no axes), and the protocol says that it has `ndim` numbers.
        let shape: Vec<i64> = (0..ndim).map(|axis| unsafe { *buffer.shape.add(axis) } as i64).collect();
        if !buffer.strides.is_null() {
            // SAFETY: not null (checked), and the protocol says that it has `ndim` numbers.
            let strides = (0..ndim).map(|axis| unsafe { *buffer.strides.add(axis) } as i64).collect();
            return Ok((shape, strides));
        }
        // Some exporters (ctypes) leave out strides although they were asked for them.
        let mut strides = vec![0; ndim];
        let mut stride = bytes as i64;
        for axis in (0..ndim).rev() {
            strides[axis] = stride;
            stride = stride.checked_mul(shape[axis].max(1)).unwrap_or(i64::MAX);
        }
        Ok((shape, strides))
    }
}

impl Drop for PythonBuffer {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once, with the interpreter attached (it is not Send).
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) };
    }
}

/// The number of axes, once an array may have as many; the text begins with a verb.
pub(super) fn checked_axes(ndim: c_int) -> Result<usize, String> {
    match usize::try_from(ndim) {
        Ok(fine @ 0..=MAX_AXES) => Ok(fine),
        _ => Err(format!("has {ndim} axes; allowed: 0 to {MAX_AXES}")),
    }
}

/// Dense items of so many bytes, in the order of this machine, of memory in which every byte is an item.
fn copy_bytes(source: &StridedMemory, bytes: usize, foreign: bool) -> Result<Vec<u64>, Problem> {
    let count: usize = source.shape().iter().product();
    let mut copy = filled(0_u64, count.div_ceil(8)).map_err(Problem::Failed)?;
    let target = copy.as_mut_ptr().cast::<u8>();
    let (len, _) = source.run();
    for (run, offset) in source.runs().enumerate() {
        // SAFETY: `StridedMemory::new` checked that all runs lie in addresses that the exporter says are memory; the
        // copy has room for all of them and is apart from it.
        unsafe { source.first().offset(offset).copy_to_nonoverlapping(target.add(run * len), len) };
    }
    if foreign {
        // SAFETY: the first `count` bytes of the copy, which nobody else has.
        let items = unsafe { std::slice::from_raw_parts_mut(target, count) };
        items.chunks_exact_mut(bytes).for_each(<[u8]>::reverse);
    }
    Ok(copy)
}

/// The error about a buffer's problem, in the words for `name`.
pub(super) fn refuse(problem: Problem, name: &str, unsupported: impl FnOnce(&[u8]) -> PyErr) -> PyErr {
    match problem {
        Problem::Memory(text) => unreadable(name, text),
        Problem::Format(format) => unsupported(&format),
        Problem::Failed(error) => error,
    }
}
