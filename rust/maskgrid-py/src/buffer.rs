//! Borrowed memory: numpy, whatever has the buffer protocol, and every DLPack producer. The only file with unsafe code.
//!
//! An [`Array`] is somebody else's memory, held (as `Py_buffer` or as DLPack tensor) while it lives, so that it is
//! neither freed nor resized while the interpreter is released. An [`Output`] is one that may be written.
//!
//! # What is checked
//!
//! Everything that a slice depends on, before one is made, whoever exported it: the number of axes, null pointers,
//! negative sizes, overflow of sizes, strides and addresses, alignment, item size. What can't be checked is that a
//! pointer points at memory: an exporter that lies about that breaks any consumer.
//!
//! # What is not promised
//!
//! Other threads may write into the memory meanwhile, as with numpy. Every type that is read is valid for any bits
//! ([`Item`]), so that gives wrong numbers and nothing worse.

use std::ffi::{CStr, c_int, c_void};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use maskgrid_core::{Flag, View};
use pyo3::exceptions::{PyException, PyMemoryError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use pyo3::{ffi, intern};

use crate::dlpack::{Deleter, DlTensor, Head, IS_COPIED, Legacy, READ_ONLY, Versioned, check_device};
use crate::errors::{InvalidBufferError, InvalidTypeError, InvalidValueError};
use crate::extent::{Axis, Dtype, Extent, Kind, MAX_AXES, tuple};
use crate::threads;

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

items!(u8: 0, Flag: Self(0), u16: 0, u32: 0, u64: 0, f16: Self::ZERO, bf16: Self::ZERO, f32: 0.0, f64: 0.0);

/// Memory of a Python object, checked and held.
pub(crate) struct Array<'n> {
    name: &'n str,
    dtype: Dtype,
    extent: Extent,
    readonly: bool,
    hold: Hold,
}

/// What keeps the memory alive. Made and dropped with the interpreter attached: neither kind is `Send`.
enum Hold {
    Buffer(#[expect(dead_code, reason = "held for its drop")] Buffer),
    Tensor(#[expect(dead_code, reason = "held for its drop")] Tensor),
    /// Only looked at: the memory may be gone after the call.
    Nothing,
}

impl<'n> Array<'n> {
    /// Borrows an object for reading.
    ///
    /// `name` is what messages call it. Buffers that can't be taken as they lie (misaligned, odd strides, foreign byte
    /// order) are copied.
    pub(crate) fn borrow(object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Self> {
        match Self::take(object, name, false)? {
            Some(array) => Ok(array),
            None => {
                let numpy = object.py().import(intern!(object.py(), "numpy"))?;
                let array = numpy.call_method1("asarray", (object,))?;
                let dtype = array.getattr("dtype")?.call_method1("newbyteorder", ("=",))?;
                let copy = array.call_method1("astype", (dtype, "C"))?;
                Self::take(&copy, name, false)?.ok_or_else(|| unreadable(name, "has a layout that numpy can't copy"))
            }
        }
    }

    /// Shape and type of an object's items without taking anything from it: a capsule can still be used afterwards.
    pub(crate) fn look(object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Self> {
        match object.cast::<PyCapsule>() {
            Ok(capsule) => Tensor::look(capsule, name),
            Err(_) => Self::borrow(object, name),
        }
    }

    /// None: a buffer that Rust can't take as it lies.
    fn take(object: &Bound<'_, PyAny>, name: &'n str, writable: bool) -> PyResult<Option<Self>> {
        let py = object.py();
        if let Ok(capsule) = object.cast::<PyCapsule>() {
            return Tensor::take(capsule, name).map(Some);
        }
        let refused = match Buffer::get(object, writable) {
            None => None,
            Some(Ok(buffer)) => return buffer.into_array(object, name),
            Some(Err(error)) => Some(error),
        };
        if is_bfloat16(object) {
            // numpy has no format character for it, so neither buffer protocol nor DLPack work there.
            let bits = object.call_method1(intern!(py, "view"), (intern!(py, "uint16"),))?;
            let array = Self::take(&bits, name, writable)?;
            return Ok(array.map(|array| Self { dtype: Dtype { kind: Kind::Brain, bytes: 2 }, ..array }));
        }
        match (object.getattr_opt(intern!(py, "__dlpack__"))?, refused) {
            (Some(export), None) => Tensor::import(object, &export, name).map(Some),
            (_, Some(error)) if writable => {
                Err(caused(InvalidBufferError::new_err(format!("{name} can't be written: {error}")), error, py))
            }
            (_, Some(error)) => Err(caused(unsupported(object, name, None), error, py)),
            (None, None) => Err(InvalidTypeError::new_err(format!(
                "{name} is a {}; allowed are arrays: numpy, torch, or anything with a buffer or __dlpack__",
                object.get_type().name()?
            ))),
        }
    }

    /// What messages call it.
    pub(crate) const fn name(&self) -> &'n str {
        self.name
    }

    pub(crate) const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Lengths of the axes.
    pub(crate) fn shape(&self) -> &[usize] {
        self.extent.shape()
    }

    /// Items in all.
    pub(crate) fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Bytes that are read: items times their size.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * usize::from(self.dtype.bytes)
    }

    /// # Errors
    /// When it has another shape.
    pub(crate) fn expect_shape(&self, shape: &[usize]) -> PyResult<()> {
        if self.shape() == shape {
            return Ok(());
        }
        let (name, given, expected) = (self.name, tuple(self.shape()), tuple(shape));
        Err(InvalidValueError::new_err(format!("{name} has shape {given}; expected {expected}")))
    }

    /// # Errors
    /// When it has another type.
    pub(crate) fn expect_dtype(&self, dtype: Dtype) -> PyResult<()> {
        if self.dtype == dtype {
            return Ok(());
        }
        Err(InvalidTypeError::new_err(format!("{} has dtype {}; expected {dtype}", self.name, self.dtype)))
    }

    /// One axis.
    ///
    /// # Panics
    /// When there is no such axis.
    pub(crate) fn axis(&self, axis: usize) -> Axis {
        self.extent.axis(axis)
    }

    /// The memory seen through these axes; leaving one out looks at its first item.
    ///
    /// # Errors
    /// When `T` has another size than the items, or the axes reach outside.
    pub(crate) fn view<T: Item, const D: usize>(&self, axes: [Axis; D]) -> PyResult<View<'_, T, D>> {
        if size_of::<T>() != usize::from(self.dtype.bytes) {
            return Err(unreadable(
                self.name,
                format!("has items of {} bytes, not {}", self.dtype.bytes, size_of::<T>()),
            ));
        }
        let (before, items) = self.extent.span();
        // SAFETY: `Extent::new` checked that `items` items from `before` ahead of `first` on are aligned addresses of
        // less than isize::MAX bytes; the exporter says that they are memory and `hold` keeps them. T is valid for
        // any bits. `Output` makes no slice of memory that an input reaches.
        let slice = unsafe { std::slice::from_raw_parts(self.extent.first().cast::<T>().sub(before), items) };
        View::new(slice, before, axes.map(|axis| axis.len), axes.map(|axis| axis.stride))
            .map_err(|error| unreadable(self.name, error))
    }
}

/// An array that may be written: writable, without items that overlap, apart from all inputs.
pub(crate) struct Output<'n>(Array<'n>);

impl<'n> Output<'n> {
    /// Borrows an object for writing.
    ///
    /// # Errors
    /// When it is read-only, overlaps itself or an input, or is no memory that Rust can write.
    pub(crate) fn borrow(object: &Bound<'_, PyAny>, name: &'n str, inputs: &[&Array]) -> PyResult<Self> {
        let array = Array::take(object, name, true)?.ok_or_else(|| {
            unreadable(name, "is misaligned, has odd strides or a foreign byte order; allowed is none of these")
        })?;
        if array.readonly {
            return Err(unreadable(name, "is read-only; allowed is memory that may be written"));
        }
        if array.extent.meets_itself() {
            return Err(unreadable(name, "overlaps itself; allowed is memory of its own for every item"));
        }
        if let Some(input) = inputs.iter().find(|input| array.extent.meets(&input.extent)) {
            return Err(unreadable(name, format!("overlaps {}; allowed is memory apart from it", input.name)));
        }
        Ok(Self(array))
    }

    pub(crate) const fn dtype(&self) -> Dtype {
        self.0.dtype
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    /// Bytes that are written.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// # Errors
    /// When it has another shape.
    pub(crate) fn expect_shape(&self, shape: &[usize]) -> PyResult<()> {
        self.0.expect_shape(shape)
    }

    /// # Errors
    /// When it has another type.
    pub(crate) fn expect_dtype(&self, dtype: Dtype) -> PyResult<()> {
        self.0.expect_dtype(dtype)
    }

    /// Has `compute` write all items, row-major, of type `T`; with the interpreter released where `work` (about
    /// nanoseconds on one thread) is worth it. Memory that is not dense is written by way of a dense copy.
    ///
    /// # Errors
    /// When `compute` fails (some items may be written then), or `T` has another size than the items.
    pub(crate) fn write<T: Item, R: Send>(
        self,
        py: Python<'_>,
        work: usize,
        compute: impl FnOnce(&mut [T]) -> maskgrid_core::Result<R> + Send,
    ) -> PyResult<R> {
        let (mut compute, mut result) = (Some(compute), None);
        self.fill::<T>(py, work, &mut |items| {
            result = compute.take().map(|compute| compute(items)).transpose()?;
            Ok(())
        })?;
        result.ok_or_else(|| PyRuntimeError::new_err("nothing was written"))
    }

    /// [`write`](Self::write) that is compiled once for each type; calls `compute` once.
    fn fill<T: Item>(self, py: Python<'_>, work: usize, compute: Compute<'_, T>) -> PyResult<()> {
        let Array { name, dtype, extent, hold, .. } = self.0;
        if size_of::<T>() != usize::from(dtype.bytes) {
            return Err(unreadable(name, format!("has items of {} bytes, not {}", dtype.bytes, size_of::<T>())));
        }
        let target = Target(extent);
        let result = if extent.is_dense() {
            // SAFETY: as in `Array::view`, and nothing else in this call reaches the memory: `borrow` refused overlap.
            threads::run(py, work, move || compute(unsafe { target.slice::<T>() }))
        } else {
            let count = extent.shape().iter().product();
            let mut scratch = Vec::new();
            scratch.try_reserve_exact(count).map_err(|error| PyMemoryError::new_err(error.to_string()))?;
            scratch.resize(count, T::ZERO);
            threads::run(py, work, move || {
                compute(&mut scratch)?;
                // SAFETY: as above; no slice of the memory is in use, `compute` is done with the inputs.
                unsafe { target.scatter(&scratch) };
                Ok(())
            })
        };
        drop(hold);
        result
    }
}

/// What writes dense items.
type Compute<'a, T> = &'a mut (dyn FnMut(&mut [T]) -> maskgrid_core::Result<()> + Send);

/// Memory to write into, on whatever thread.
#[derive(Clone, Copy)]
struct Target(Extent);

// SAFETY: a checked place in memory whose owner waits for the thread that has this.
unsafe impl Send for Target {}

impl Target {
    /// # Safety
    /// The memory must be dense, of `T`'s size, alive, and not reached from elsewhere.
    unsafe fn slice<'a, T: Item>(self) -> &'a mut [T] {
        // SAFETY: `Extent::new` checked addresses and alignment; the caller does the rest.
        unsafe { std::slice::from_raw_parts_mut(self.0.first().cast(), self.0.span().1) }
    }

    /// Copies dense items to their places.
    ///
    /// # Safety
    /// The memory must be of `T`'s size, alive and writable, with as many items as `dense` has.
    unsafe fn scatter<T: Item>(self, dense: &[T]) {
        let (len, _) = self.0.run();
        for (offset, run) in self.0.runs().zip(dense.chunks_exact(len.max(1))) {
            // SAFETY: runs lie within the checked addresses.
            unsafe { std::ptr::copy_nonoverlapping(run.as_ptr(), self.0.first().cast::<T>().offset(offset), len) };
        }
    }
}

/// A `Py_buffer` that is released when dropped. Boxed because exporters may point into it.
struct Buffer(Box<ffi::Py_buffer>);

impl Buffer {
    /// None: the object has no buffer protocol.
    fn get(object: &Bound<'_, PyAny>, writable: bool) -> Option<PyResult<Self>> {
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

    /// None: memory that Rust can't take as it lies.
    fn into_array<'n>(self, object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Option<Array<'n>>> {
        let buffer = &*self.0;
        let ndim = axes(buffer.ndim, name)?;
        if ndim > 0 && buffer.shape.is_null() {
            return Err(unreadable(name, format!("has {ndim} axes but no shape: its pointer is null")));
        }
        // SAFETY: the protocol says that a format is null or a C string that lives as long as the buffer.
        let format = (!buffer.format.is_null()).then(|| unsafe { CStr::from_ptr(buffer.format) }.to_bytes());
        let (order, letter) = match format {
            None => (b'@', &b"B"[..]),
            Some([order @ (b'@' | b'=' | b'<' | b'>' | b'!'), letter @ ..]) => (*order, letter),
            Some(letter) => (b'@', letter),
        };
        let Some(dtype) = from_format(letter, buffer.itemsize) else {
            return Err(unsupported(object, name, format));
        };
        let bytes = usize::from(dtype.bytes);
        let foreign = if cfg!(target_endian = "little") { matches!(order, b'>' | b'!') } else { order == b'<' };
        let (mut shape, mut strides) = ([0; MAX_AXES], [0; MAX_AXES]);
        let mut odd = (foreign && bytes > 1) || !buffer.buf.addr().is_multiple_of(bytes);
        // Some exporters (ctypes) leave out strides although they were asked for them.
        let dense = buffer.strides.is_null();
        for axis in 0..ndim {
            // SAFETY: not null (checked), and the protocol says that they have `ndim` numbers.
            let (len, stride) = unsafe { (*buffer.shape.add(axis), if dense { 0 } else { *buffer.strides.add(axis) }) };
            (shape[axis], strides[axis]) = (len as i64, (stride / bytes as isize) as i64);
            odd |= len > 1 && stride % bytes as isize != 0;
        }
        if odd {
            return Ok(None);
        }
        let extent = Extent::new(buffer.buf.cast(), bytes, &shape[..ndim], (!dense).then_some(&strides[..ndim]))
            .map_err(|problem| unreadable(name, problem))?;
        Ok(Some(Array { name, dtype, extent, readonly: buffer.readonly != 0, hold: Hold::Buffer(self) }))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once, with the interpreter attached (it is not Send).
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) };
    }
}

/// The type of a format letter of the struct module.
fn from_format(letter: &[u8], itemsize: ffi::Py_ssize_t) -> Option<Dtype> {
    let kind = match letter {
        b"?" => Kind::Bool,
        b"b" | b"h" | b"i" | b"l" | b"q" | b"n" => Kind::Signed,
        b"B" | b"H" | b"I" | b"L" | b"Q" | b"N" => Kind::Unsigned,
        b"e" | b"f" | b"d" => Kind::Float,
        _ => return None,
    };
    Dtype::new(kind, usize::try_from(itemsize).ok()?)
}

/// A DLPack tensor that is ours: its deleter runs when it is dropped.
struct Tensor {
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
    /// Asks an object for its memory.
    fn import<'n>(object: &Bound<'_, PyAny>, export: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Array<'n>> {
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

    /// Takes the tensor out of a capsule.
    fn take<'n>(capsule: &Bound<'_, PyCapsule>, name: &'n str) -> PyResult<Array<'n>> {
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
        let array = Self::parse(managed, versioned, name)?;
        Ok(Array { hold: Hold::Tensor(tensor), ..array })
    }

    /// Reads what a capsule holds and leaves it there.
    fn look<'n>(capsule: &Bound<'_, PyCapsule>, name: &'n str) -> PyResult<Array<'n>> {
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
        Err(unreadable(name, format!("{problem}; allowed are unused ones named dltensor or dltensor_versioned")))
    }

    /// Checks everything about a tensor that a slice depends on.
    fn parse(managed: *mut c_void, versioned: bool, name: &str) -> PyResult<Array<'_>> {
        // SAFETY: as in `take`; of versions other than 1 nothing but the head is read.
        let (tensor, flags) = unsafe {
            if versioned {
                let Head { major, minor, .. } = managed.cast::<Head>().read_unaligned();
                if major != 1 {
                    return Err(unreadable(name, format!("is of DLPack version {major}.{minor}; allowed is 1")));
                }
                let Versioned { flags, tensor, .. } = managed.cast::<Versioned>().read_unaligned();
                (tensor, flags)
            } else {
                (managed.cast::<Legacy>().read_unaligned().tensor, 0)
            }
        };
        check_device(tensor.device_type, name)?;
        let ndim = axes(tensor.ndim, name)?;
        let dtype = tensor.dtype().map_err(|problem| unreadable(name, problem))?.ok_or_else(|| {
            let DlTensor { code, bits, .. } = tensor;
            InvalidTypeError::new_err(format!(
                "{name} has items of DLPack type code {code} and {bits} bits; allowed are {DTYPES}"
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
        let extent = tensor
            .first()
            .and_then(|data| Extent::new(data, usize::from(dtype.bytes), &shape[..ndim], strides))
            .map_err(|problem| unreadable(name, problem))?;
        // A copy would swallow what is written.
        Ok(Array { name, dtype, extent, readonly: flags & (READ_ONLY | IS_COPIED) != 0, hold: Hold::Nothing })
    }
}

fn axes(ndim: i32, name: &str) -> PyResult<usize> {
    match usize::try_from(ndim) {
        Ok(fine @ 0..=MAX_AXES) => Ok(fine),
        _ => Err(unreadable(name, format!("has {ndim} axes; allowed are 0 to {MAX_AXES}"))),
    }
}

/// numpy arrays of `ml_dtypes.bfloat16`.
fn is_bfloat16(object: &Bound<'_, PyAny>) -> bool {
    let name =
        object.getattr(intern!(object.py(), "dtype")).and_then(|dtype| dtype.getattr(intern!(object.py(), "name")));
    name.is_ok_and(|name| name.eq("bfloat16").unwrap_or(false)) && object.hasattr("view").unwrap_or(false)
}

const DTYPES: &str = "bool, integers of 1 to 8 bytes, float16, bfloat16, float32 and float64";

/// An error about items of a type that no operation takes.
fn unsupported(object: &Bound<'_, PyAny>, name: &str, format: Option<&[u8]>) -> PyErr {
    let dtype = object.getattr("dtype").map(|dtype| dtype.to_string());
    let dtype = dtype.unwrap_or_else(|_| String::from_utf8_lossy(format.unwrap_or(b"?")).into_owned());
    InvalidTypeError::new_err(format!("{name} has dtype {dtype}; allowed are {DTYPES}"))
}

fn unreadable(name: &str, problem: impl fmt::Display) -> PyErr {
    InvalidBufferError::new_err(format!("{name} {problem}"))
}

fn caused(error: PyErr, cause: PyErr, py: Python<'_>) -> PyErr {
    error.set_cause(py, Some(cause));
    error
}
