//! Masks as Python gives them: any number type, any order of axes, seen as (count, height, width).

use half::{bf16, f16};
use maskgrid_core::pixel_mask::{MaskAxes, WholeNumber, read_whole_numbers};
use maskgrid_core::{Element, Flag, View};
use pyo3::prelude::*;

use crate::buffer::{Array, Axis, Dtype, Item, Kind, Output, filled};
use crate::errors::{InvalidTypeError, to_py};
use crate::thread_pool;

/// The memory of a mask, and which of its axes count masks, rows and columns.
pub(crate) struct MaskArray<'n> {
    pub(crate) array: Array<'n>,
    pub(crate) axes: MaskAxes,
    /// Masks, rows, columns.
    sides: [Axis; 3],
    /// Which pixels are inside, of whole numbers that are no bytes.
    flags: Option<Vec<Flag>>,
}

/// What is done with a mask, whatever the type of its numbers.
pub(crate) trait UseMask<'a> {
    type Output;

    /// Called once, with the masks (count, height, width).
    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<Self::Output>;
}

impl MaskArray<'static> {
    /// Borrows an object as "the mask"; `size` is the height and width that it should have, where that is known.
    pub(crate) fn borrow(object: &Bound<'_, PyAny>, size: Option<[usize; 2]>) -> PyResult<Self> {
        let array = Array::borrow(object, "the mask")?;
        let axes = MaskAxes::of("the mask", array.shape(), size).map_err(to_py)?;
        let masks = axes.masks.map_or(Axis::ONE, |axis| array.axis(axis));
        let sides = [masks, array.axis(axes.rows), array.axis(axes.columns)];
        let flags = read_flags(object.py(), &array, sides)?;
        Ok(Self { array, axes, sides, flags })
    }
}

/// Which pixels of whole numbers that are no bytes are inside; None for other types.
fn read_flags(py: Python<'_>, array: &Array<'_>, sides: [Axis; 3]) -> PyResult<Option<Vec<Flag>>> {
    let read = match (array.dtype().kind, array.dtype().bytes) {
        (Kind::Signed, 1) => read_flags_of::<i8>,
        (Kind::Signed, 2) => read_flags_of::<i16>,
        (Kind::Signed, 4) => read_flags_of::<i32>,
        (Kind::Signed, 8) => read_flags_of::<i64>,
        (Kind::Unsigned, 2) => read_flags_of::<u16>,
        (Kind::Unsigned, 4) => read_flags_of::<u32>,
        (Kind::Unsigned, 8) => read_flags_of::<u64>,
        _ => return Ok(None),
    };
    read(py, array, sides).map(Some)
}

fn read_flags_of<T: Item + WholeNumber>(py: Python<'_>, array: &Array<'_>, sides: [Axis; 3]) -> PyResult<Vec<Flag>> {
    let masks = array.view::<T, 3>(sides)?;
    let mut flags = filled(Flag(0), masks.len())?;
    thread_pool::run(py, masks.len(), || read_whole_numbers(masks, &mut flags))?;
    Ok(flags)
}

impl MaskArray<'_> {
    /// The type of results: the mask's own, bool for whole numbers that are no bytes.
    pub(crate) const fn result_dtype(&self) -> Dtype {
        if self.flags.is_some() { Dtype::BOOL } else { self.array.dtype() }
    }

    /// How many masks a Python mask array holds.
    pub(crate) const fn count(&self) -> usize {
        self.sides[0].len
    }

    pub(crate) fn use_by<'a, U: UseMask<'a>>(&'a self, user: U) -> PyResult<U::Output> {
        if let Some(flags) = &self.flags {
            let shape = self.sides.map(|axis| axis.len);
            return user.use_mask::<Flag>(View::dense(flags, shape).map_err(to_py)?);
        }
        let dtype = self.array.dtype();
        match (dtype.kind, dtype.bytes) {
            (Kind::Bool, 1) => user.use_mask::<Flag>(self.array.view(self.sides)?),
            (Kind::Unsigned, 1) => user.use_mask::<u8>(self.array.view(self.sides)?),
            (Kind::Float, 2) => user.use_mask::<f16>(self.array.view(self.sides)?),
            (Kind::Brain, 2) => user.use_mask::<bf16>(self.array.view(self.sides)?),
            (Kind::Float, 4) => user.use_mask::<f32>(self.array.view(self.sides)?),
            (Kind::Float, 8) => user.use_mask::<f64>(self.array.view(self.sides)?),
            _ => Err(no_mask_dtype(self.array.name(), dtype)),
        }
    }
}

pub(crate) fn no_mask_dtype(name: &str, dtype: Dtype) -> PyErr {
    let also = if name == "out" { "" } else { ", and other whole numbers of 0 and 1 or 0 and 255" };
    InvalidTypeError::new_err(format!(
        "{name} has dtype {dtype}; allowed: bool, uint8, float16, bfloat16, float32, float64{also}"
    ))
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
