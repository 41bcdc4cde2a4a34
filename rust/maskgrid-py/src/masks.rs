//! Mask operations.
//!
//! Every function writes into `out`, which its caller owns. Type of mask and type of output do not multiply: an
//! output of another type than the mask's gets its values by way of f32.

use maskgrid_core::mask::{self, Placement};
use maskgrid_core::{Element, View};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

use crate::arguments::{choice, number};
use crate::buffer::{Array, Item, Output};
use crate::errors::{InvalidTypeError, InvalidValueError};
use crate::extent::{Axis, Dtype, tuple};
use crate::geometry::PyRect;
use crate::threads::{self, BYTES_PER_NS};

/// Evaluates `$body` with `$T` standing for the type of a mask's numbers.
macro_rules! by_element {
    ($name:expr, $dtype:expr, $T:ident => $body:expr) => {{
        use $crate::extent::Kind;
        let dtype: $crate::extent::Dtype = $dtype;
        macro_rules! with {
            ($element:ty) => {{
                type $T = $element;
                $body
            }};
        }
        match (dtype.kind, dtype.bytes) {
            (Kind::Bool, 1) => with!(maskgrid_core::Flag),
            (Kind::Unsigned, 1) => with!(u8),
            (Kind::Float, 2) => with!(half::f16),
            (Kind::Brain, 2) => with!(half::bf16),
            (Kind::Float, 4) => with!(f32),
            (Kind::Float, 8) => with!(f64),
            _ => Err($crate::masks::no_mask_dtype($name, dtype)),
        }
    }};
}
pub(crate) use by_element;

pub(crate) fn no_mask_dtype(name: &str, dtype: Dtype) -> PyErr {
    InvalidTypeError::new_err(format!(
        "{name} has dtype {dtype}; allowed are bool, uint8, float16, bfloat16, float32, float64"
    ))
}

/// The mask as (count, height, width).
pub(crate) fn stacked<'a, T: Item>(mask: &'a Array<'_>) -> PyResult<View<'a, T, 3>> {
    mask.view(match mask.shape() {
        [_, _] => [Axis::ONE, mask.axis(0), mask.axis(1)],
        [_, _, _] => [mask.axis(0), mask.axis(1), mask.axis(2)],
        [_, _, _, channels] if *channels > 0 => [mask.axis(0), mask.axis(1), mask.axis(2)],
        other => {
            return Err(InvalidValueError::new_err(format!(
                "{} has shape {}; expected (H, W), (N, H, W) or (N, H, W, C) with C of 1 or more",
                mask.name(),
                tuple(other)
            )));
        }
    })
}

/// The output of an operation that has one number for each pixel of the mask.
fn output(out: &Bound<'_, PyAny>, mask: &Array<'_>) -> PyResult<Output<'static>> {
    let out = Output::borrow(out, "out", &[mask])?;
    let shape = mask.shape();
    out.expect_shape(&shape[..shape.len().min(3)])?;
    Ok(out)
}

/// Has `compute` write f32, and stores them in whatever type a mask may have.
pub(crate) fn write_units(
    py: Python<'_>,
    out: Output<'_>,
    work: usize,
    compute: impl FnOnce(&mut [f32]) -> maskgrid_core::Result<()> + Send,
) -> PyResult<()> {
    if out.dtype() == Dtype::FLOAT32 {
        return out.write::<f32, _>(py, work, compute);
    }
    // Before the work is done; what the type stands for does not matter here.
    by_element!("out", out.dtype(), U => Ok(size_of::<U>()))?;
    let mut units = Vec::new();
    let count = out.shape().iter().product();
    units.try_reserve_exact(count).map_err(|error| PyMemoryError::new_err(error.to_string()))?;
    units.resize(count, 0.0_f32);
    threads::run(py, work, || compute(&mut units))?;
    store(py, out, &units)
}

/// Writes units in the type that `out` has.
fn store(py: Python<'_>, out: Output<'_>, units: &[f32]) -> PyResult<()> {
    let work = units.len();
    by_element!("out", out.dtype(), U => out.write::<U, _>(py, work, |out| {
        out.iter_mut().zip(units).for_each(|(out, &unit)| *out = U::from_unit(unit));
        Ok(())
    }))
}

/// About how many nanoseconds an operation takes on one thread that reads, writes, and needs `per_pixel` besides.
fn work(mask: &Array<'_>, out: &Output<'_>, per_pixel: f64) -> usize {
    let copying = (mask.bytes() + out.bytes()) / BYTES_PER_NS;
    copying.saturating_add((mask.len() as f64 * per_pixel) as usize)
}

/// Runs an operation of the core from `$mask` into `$out`, whatever their types.
macro_rules! operate {
    ($py:expr, $mask:expr, $out:expr, $per_pixel:expr, |$view:ident, $slice:ident| $call:expr) => {{
        let array = Array::borrow($mask, "the mask")?;
        let out = output($out, &array)?;
        let work = work(&array, &out, $per_pixel);
        by_element!(array.name(), array.dtype(), T => {
            let $view = stacked::<T>(&array)?;
            if out.dtype() == array.dtype() {
                out.write::<T, _>($py, work, |$slice| $call)
            } else {
                write_units($py, out, work, |$slice| $call)
            }
        })
    }};
}

/// One where the value is at least `level`, zero elsewhere.
#[pyfunction]
#[pyo3(signature = (mask, out, level, /))]
pub(crate) fn threshold(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let level = number(level, "level")?;
    operate!(py, mask, out, 0.0, |view, out| mask::threshold(view, level, out))
}

/// One minus the value.
#[pyfunction]
#[pyo3(signature = (mask, out, /))]
pub(crate) fn invert(py: Python<'_>, mask: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    operate!(py, mask, out, 0.0, |view, out| mask::invert(view, out))
}

/// One where an inside pixel lies within `radius`.
#[pyfunction]
#[pyo3(signature = (mask, out, radius, level, /))]
pub(crate) fn grow(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    radius: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (radius, level) = (number(radius, "radius")?, number(level, "level")?);
    operate!(py, mask, out, (2.0 + radius) / 128.0, |view, out| mask::grow(view, radius, level, out))
}

/// The complement of the grown complement.
#[pyfunction]
#[pyo3(signature = (mask, out, radius, level, /))]
pub(crate) fn shrink(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    radius: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (radius, level) = (number(radius, "radius")?, number(level, "level")?);
    operate!(py, mask, out, (2.0 + radius) / 128.0, |view, out| mask::shrink(view, radius, level, out))
}

/// A ramp from 0 to 1 over `width` pixels across the edge.
#[pyfunction]
#[pyo3(signature = (mask, out, width, r#where, level, /))]
pub(crate) fn feather(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    width: &Bound<'_, PyAny>,
    r#where: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let placements = [("inside", Placement::Inside), ("outside", Placement::Outside), ("centred", Placement::Centred)];
    let placement = choice(r#where, "where", &placements)?;
    let (width, level) = (number(width, "width")?, number(level, "level")?);
    operate!(py, mask, out, (18.0 + width.min(200.0)) / 8.0, |view, out| mask::feather(
        view, width, placement, level, out
    ))
}

/// What is not inside and has no way to the border becomes inside.
#[pyfunction]
#[pyo3(signature = (mask, out, level, /))]
pub(crate) fn fill_holes(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let level = number(level, "level")?;
    operate!(py, mask, out, 1.0, |view, out| mask::fill_holes(view, level, out))
}

/// The rectangle around all inside pixels of each mask.
#[pyfunction]
#[pyo3(signature = (mask, level, /))]
pub(crate) fn bounding_boxes(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<Vec<PyRect>> {
    let level = number(level, "level")?;
    let array = Array::borrow(mask, "the mask")?;
    let work = array.bytes() / BYTES_PER_NS;
    let boxes = by_element!(array.name(), array.dtype(), T => {
        let view = stacked::<T>(&array)?;
        threads::run(py, work, || mask::bounding_boxes(view, level))
    })?;
    Ok(boxes.into_iter().map(PyRect::from).collect())
}

/// Shape and dtype of an array, of a DLPack capsule too, which is left as it is; messages call it `name`.
#[pyfunction]
#[pyo3(signature = (array, name, /))]
pub(crate) fn describe(array: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<usize>, String)> {
    let array = Array::look(array, name)?;
    Ok((array.shape().to_vec(), array.dtype().to_string()))
}
