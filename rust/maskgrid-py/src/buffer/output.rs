//! Memory of a Python object that may be written.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::array::Array;
use super::item_types::{Dtype, Item};
use super::strided_memory::{Axis, StridedMemory};
use super::{filled, unreadable};
use crate::thread_pool;

/// An array that may be written: writable, without items that overlap, apart from all inputs.
pub(crate) struct Output<'n> {
    array: Array<'n>,
    /// An axis over which every item is written again.
    repeats: Axis,
}

impl<'n> Output<'n> {
    /// Borrows a Python object as an output, for writing.
    ///
    /// # Errors
    /// When it is read-only, overlaps itself or an input, or is no memory that Rust can write.
    pub(crate) fn borrow(object: &Bound<'_, PyAny>, name: &'n str, inputs: &[&Array]) -> PyResult<Self> {
        let array = Array::take(object, name, true)?;
        if array.is_copy() {
            let problem = "is misaligned, has odd strides or a foreign byte order; allowed: none of these";
            return Err(unreadable(name, problem));
        }
        if array.readonly {
            return Err(unreadable(name, "is read-only; allowed: memory that may be written"));
        }
        if array.memory.meets_itself() {
            return Err(unreadable(name, "overlaps itself; allowed: memory of its own for every item"));
        }
        for input in inputs {
            if array.memory.meets(&input.memory)? {
                let name_of_input = input.name;
                return Err(unreadable(name, format!("overlaps {name_of_input}; allowed: memory apart from it")));
            }
        }
        Ok(Self { array, repeats: Axis::ONE })
    }

    pub(crate) const fn dtype(&self) -> Dtype {
        self.array.dtype
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    /// Bytes of an output that are written.
    pub(crate) fn bytes(&self) -> usize {
        self.array.bytes()
    }

    /// Refuses an output of another shape.
    ///
    /// # Errors
    /// When it has another shape.
    pub(crate) fn expect_shape(&self, shape: &[usize]) -> PyResult<()> {
        self.array.expect_shape(shape)
    }

    /// Refuses an output with items of another type.
    ///
    /// # Errors
    /// When it has another type.
    pub(crate) fn expect_dtype(&self, dtype: Dtype) -> PyResult<()> {
        self.array.expect_dtype(dtype)
    }

    /// Has what is written be the same for all of the last axis, which `compute` then does not see.
    pub(crate) fn repeat_over_last_axis(&mut self) {
        self.repeats = self.array.memory.drop_last_axis();
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
        let Self { array: Array { name, dtype, memory, hold, .. }, repeats } = self;
        if size_of::<T>() != usize::from(dtype.bytes) {
            return Err(unreadable(name, format!("has items of {} bytes, not {}", dtype.bytes, size_of::<T>())));
        }
        let target = Target(memory);
        let result = if memory.is_dense() && repeats.len == 1 {
            // SAFETY: as in `Array::view`, and nothing else in this call reaches the memory: `borrow` refused overlap.
            thread_pool::run(py, work, move || compute(unsafe { target.slice::<T>() }))
        } else {
            let mut scratch = filled(T::ZERO, memory.shape().iter().product())?;
            thread_pool::run(py, work, move || {
                compute(&mut scratch)?;
                for repeat in 0..repeats.len as isize {
                    // SAFETY: as above; no slice of the memory is in use, `compute` is done with the inputs. The axis
                    // that was dropped has this stride and as many places.
                    unsafe { target.spread(&scratch, repeat * repeats.stride) };
                }
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
struct Target(StridedMemory);

// SAFETY: a checked place in memory whose owner waits for the thread that has this.
unsafe impl Send for Target {}

impl Target {
    /// # Safety
    /// The memory must be dense, of `T`'s size, alive, and not reached from elsewhere.
    unsafe fn slice<'a, T: Item>(self) -> &'a mut [T] {
        // SAFETY: `StridedMemory::new` checked addresses and alignment; the caller does the rest.
        unsafe { std::slice::from_raw_parts_mut(self.0.first().cast(), self.0.span().1) }
    }

    /// Copies dense items to their places, `shift` items further on.
    ///
    /// # Safety
    /// The memory must be of `T`'s size, alive and writable, with as many items as `dense` has, there too.
    unsafe fn spread<T: Item>(self, dense: &[T], shift: isize) {
        let (len, _) = self.0.run();
        for (offset, run) in self.0.runs().zip(dense.chunks_exact(len.max(1))) {
            // SAFETY: runs lie within the checked addresses.
            unsafe {
                std::ptr::copy_nonoverlapping(run.as_ptr(), self.0.first().cast::<T>().offset(offset + shift), len);
            };
        }
    }
}
