//! Mask operations.
//!
//! Every function parses, has the core compute with the interpreter released, and writes into `out`, which its caller
//! owns. Type of mask and type of output do not multiply: an output of another type than the mask's gets its values by
//! way of f32.

use maskgrid_core::pixel_mask::{self, MaskAxes, Placement};
use maskgrid_core::{Element, Pixel, Rect, Result, View};
use pyo3::prelude::*;

use crate::buffer::{Array, Item, Output};
use crate::errors::to_py;
use crate::mask_array::{MaskArray, UseMask, write_units};
use crate::parse_arguments::{choice, number};
use crate::rect::PyRect;
use crate::thread_pool::{self, BYTES_PER_NS};

/// An operation of the core that has one number for each pixel of the mask.
trait PerPixel: Send {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()>;
}

/// Runs an operation from a mask into `out`, whatever their types; `per_pixel` is about how many nanoseconds a pixel
/// takes on one thread besides reading and writing.
fn operate(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    per_pixel: f64,
    operation: impl PerPixel,
) -> PyResult<()> {
    let mask = MaskArray::borrow(mask, None)?;
    let mut out = Output::borrow(out, "out", &[&mask.array])?;
    out.expect_shape(mask.array.shape())?;
    if mask.axes.channels.is_some() {
        out.repeat_over_last_axis();
    }
    let copying = (mask.array.bytes() + out.bytes()) / BYTES_PER_NS;
    let work = copying.saturating_add((mask.array.len() as f64 * per_pixel) as usize);
    let alike = out.dtype() == mask.result_dtype();
    mask.use_by(Operate { py, out, work, alike, operation })
}

/// [`operate`] once the types are known.
struct Operate<'py, O> {
    py: Python<'py>,
    out: Output<'static>,
    work: usize,
    /// Whether the output has the mask's type.
    alike: bool,
    operation: O,
}

impl<'a, O: PerPixel> UseMask<'a> for Operate<'_, O> {
    type Output = ();

    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<()> {
        let Self { py, out, work, alike, operation } = self;
        if alike {
            return out.write::<T, _>(py, work, |out| operation.compute(masks, out));
        }
        write_units(py, out, work, |out| operation.compute(masks, out))
    }
}

struct Threshold {
    level: f64,
}

impl PerPixel for Threshold {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
        pixel_mask::threshold(mask, self.level, out)
    }
}

/// Called from Python: a pixel mask, one where the value is at least `level`.
#[pyfunction]
#[pyo3(signature = (mask, out, level, /))]
pub(crate) fn threshold(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    operate(py, mask, out, 0.0, Threshold { level: number(level, "level")? })
}

struct Invert;

impl PerPixel for Invert {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
        pixel_mask::invert(mask, out)
    }
}

/// Called from Python: a pixel mask inverted, one minus the value.
#[pyfunction]
#[pyo3(signature = (mask, out, /))]
pub(crate) fn invert(py: Python<'_>, mask: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    operate(py, mask, out, 0.0, Invert)
}

struct Grow {
    radius: f64,
    level: f64,
}

impl PerPixel for Grow {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
        pixel_mask::grow(mask, self.radius, self.level, out)
    }
}

/// Called from Python: a pixel mask grown, one where an inside pixel lies within `radius`.
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
    operate(py, mask, out, (2.0 + radius) / 128.0, Grow { radius, level })
}

struct Shrink {
    radius: f64,
    level: f64,
}

impl PerPixel for Shrink {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
        pixel_mask::shrink(mask, self.radius, self.level, out)
    }
}

/// Called from Python: a pixel mask shrunk, the complement of the grown complement.
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
    operate(py, mask, out, (2.0 + radius) / 128.0, Shrink { radius, level })
}

struct Feather {
    width: f64,
    placement: Placement,
    level: f64,
}

impl PerPixel for Feather {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
        pixel_mask::feather(mask, self.width, self.placement, self.level, out)
    }
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
    operate(py, mask, out, (18.0 + width.min(200.0)) / 8.0, Feather { width, placement, level })
}

struct FillHoles {
    level: f64,
}

impl PerPixel for FillHoles {
    fn compute<T: Element, U: Element>(self, mask: View<'_, T, 3>, out: &mut [U]) -> Result<()> {
        pixel_mask::fill_holes(mask, self.level, out)
    }
}

/// Holes of the mask, pixels outside with no way to the border, filled.
#[pyfunction]
#[pyo3(signature = (mask, out, level, /))]
pub(crate) fn fill_holes(
    py: Python<'_>,
    mask: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    level: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let level = number(level, "level")?;
    operate(py, mask, out, 1.0, FillHoles { level })
}

struct BoundingBoxes<'py> {
    py: Python<'py>,
    work: usize,
    level: f64,
}

impl<'a> UseMask<'a> for BoundingBoxes<'_> {
    type Output = Vec<Rect<Pixel>>;

    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<Self::Output> {
        thread_pool::run(self.py, self.work, || pixel_mask::bounding_boxes(masks, self.level))
    }
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
    let mask = MaskArray::borrow(mask, None)?;
    let boxes = mask.use_by(BoundingBoxes { py, work: mask.array.bytes() / BYTES_PER_NS, level })?;
    Ok(boxes.into_iter().map(PyRect::from).collect())
}

/// Shape and dtype of an array, of a DLPack capsule too, which is left as it is; messages call it `name`.
#[pyfunction]
#[pyo3(signature = (array, name, /))]
pub(crate) fn describe(array: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<usize>, String)> {
    let array = Array::look(array, name)?;
    Ok((array.shape().to_vec(), array.dtype().to_string()))
}

/// Which axes of a shape are masks, rows, columns and channels; `size` is what the masks should have, if known.
#[pyfunction]
#[pyo3(signature = (shape, size=None, /))]
#[expect(clippy::needless_pass_by_value, reason = "what Python gives is owned")]
pub(crate) fn mask_axes(
    shape: Vec<usize>,
    size: Option<(usize, usize)>,
) -> PyResult<(Option<usize>, usize, usize, Option<usize>)> {
    let size = size.map(|(height, width)| [height, width]);
    let MaskAxes { masks, rows, columns, channels } = MaskAxes::of("the mask", &shape, size).map_err(to_py)?;
    Ok((masks, rows, columns, channels))
}
