//! Masks as Python gives them: any number type, any order of axes, seen as (count, height, width).

use half::{bf16, f16};
use maskgrid_core::{Element, Flag, View};
use pyo3::prelude::*;

use crate::buffer::{Array, Axis, Dtype, Item, Kind, Output, filled, tuple};
use crate::errors::{InvalidTypeError, InvalidValueError};
use crate::thread_pool;

/// The memory of a mask, and which of its axes count masks, rows and columns.
pub(crate) struct MaskArray<'n> {
    pub(crate) array: Array<'n>,
    axes: [Axis; 3],
}

/// What is done with a mask, whatever the type of its numbers.
pub(crate) trait UseMask<'a> {
    type Output;

    /// Called once, with the masks (count, height, width).
    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<Self::Output>;
}

impl<'n> MaskArray<'n> {
    pub(crate) fn borrow(object: &Bound<'_, PyAny>, name: &'n str) -> PyResult<Self> {
        let array = Array::borrow(object, name)?;
        let axes = stacked(&array)?;
        Ok(Self { array, axes })
    }

    /// How many masks there are.
    pub(crate) const fn count(&self) -> usize {
        self.axes[0].len
    }

    pub(crate) fn use_by<'a, U: UseMask<'a>>(&'a self, user: U) -> PyResult<U::Output> {
        let dtype = self.array.dtype();
        match (dtype.kind, dtype.bytes) {
            (Kind::Bool, 1) => user.use_mask::<Flag>(self.array.view(self.axes)?),
            (Kind::Unsigned, 1) => user.use_mask::<u8>(self.array.view(self.axes)?),
            (Kind::Float, 2) => user.use_mask::<f16>(self.array.view(self.axes)?),
            (Kind::Brain, 2) => user.use_mask::<bf16>(self.array.view(self.axes)?),
            (Kind::Float, 4) => user.use_mask::<f32>(self.array.view(self.axes)?),
            (Kind::Float, 8) => user.use_mask::<f64>(self.array.view(self.axes)?),
            _ => Err(no_mask_dtype(self.array.name(), dtype)),
        }
    }
}

pub(crate) fn no_mask_dtype(name: &str, dtype: Dtype) -> PyErr {
    InvalidTypeError::new_err(format!(
        "{name} has dtype {dtype}; allowed: bool, uint8, float16, bfloat16, float32, float64"
    ))
}

fn stacked(mask: &Array<'_>) -> PyResult<[Axis; 3]> {
    match mask.shape() {
        [_, _] => Ok([Axis::ONE, mask.axis(0), mask.axis(1)]),
        [_, _, _] => Ok([mask.axis(0), mask.axis(1), mask.axis(2)]),
        [_, _, _, channels] if *channels > 0 => Ok([mask.axis(0), mask.axis(1), mask.axis(2)]),
        other => Err(InvalidValueError::new_err(format!(
            "{} has shape {}; allowed: (H, W), (N, H, W) or (N, H, W, C) with C of 1 or more",
            mask.name(),
            tuple(other)
        ))),
    }
}

/// Has `compute` write f32, and stores them in whatever type a mask may have.
pub(crate) fn write_units(
    py: Python<'_>,
    out: Output<'_>,
    work: usize,
    compute: impl FnOnce(&mut [f32]) -> maskgrid_core::Result<()> + Send,
) -> PyResult<()> {
    let dtype = out.dtype();
    if dtype == Dtype::FLOAT32 {
        return out.write::<f32, _>(py, work, compute);
    }
    let store = match (dtype.kind, dtype.bytes) {
        (Kind::Bool, 1) => store::<Flag>,
        (Kind::Unsigned, 1) => store::<u8>,
        (Kind::Float, 2) => store::<f16>,
        (Kind::Brain, 2) => store::<bf16>,
        (Kind::Float, 8) => store::<f64>,
        _ => return Err(no_mask_dtype("out", dtype)),
    };
    let mut units = filled(0.0_f32, out.shape().iter().product())?;
    thread_pool::run(py, work, || compute(&mut units))?;
    store(py, out, &units)
}

/// Writes units in the type that `out` has.
fn store<U: Element + Item>(py: Python<'_>, out: Output<'_>, units: &[f32]) -> PyResult<()> {
    out.write::<U, _>(py, units.len(), |out| {
        out.iter_mut().zip(units).for_each(|(out, &unit)| *out = U::from_unit(unit));
        Ok(())
    })
}
