//! Images with the axes that Python users give them, and numbers to fill them with.

use half::{bf16, f16};
use maskgrid_core::canvas::Sheet;
use maskgrid_core::{Pixel, Size};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

use crate::buffer::{Array, Axis, Dtype, Item, Kind, Output, tuple};
use crate::errors::{InvalidTypeError, InvalidValueError};

/// Where the channels of a canvas's images lie.
#[derive(Clone, Copy)]
pub(crate) enum Channels {
    Last,
    First,
}

pub(crate) const CHANNELS: [(&str, Channels); 2] = [("last", Channels::Last), ("first", Channels::First)];

/// Images, and how their axes are meant.
pub(crate) struct Images<'n> {
    pub(crate) array: Array<'n>,
    pub(crate) channels: Channels,
    /// Whether the first axis counts images.
    pub(crate) several: bool,
    /// Images, planes, height, width, samples.
    pub(crate) axes: [Axis; 5],
}

impl<'n> Images<'n> {
    pub(crate) fn borrow(
        object: &Bound<'_, PyAny>,
        name: &'n str,
        channels: Channels,
        several: bool,
    ) -> PyResult<Self> {
        let array = Array::borrow(object, name)?;
        let first = usize::from(several);
        let images = if several && !array.shape().is_empty() { array.axis(0) } else { Axis::ONE };
        let at = |axis| array.axis(first + axis);
        let axes = match (array.shape().len().checked_sub(first), channels) {
            (Some(2), _) => [images, Axis::ONE, at(0), at(1), Axis::ONE],
            (Some(3), Channels::Last) => [images, Axis::ONE, at(0), at(1), at(2)],
            (Some(3), Channels::First) => [images, at(0), at(1), at(2), Axis::ONE],
            _ => return Err(wrong_axes(&array, channels, several)),
        };
        Ok(Self { array, channels, several, axes })
    }

    pub(crate) fn count(&self) -> usize {
        self.axes[0].len
    }

    pub(crate) fn view<T: Item>(&self) -> PyResult<Sheet<'_, T>> {
        self.array.view(self.axes)
    }

    /// The shape, in the same order of axes, of images of another size: `count` of them, or a single one.
    pub(crate) fn shape_like(&self, count: Option<usize>, height: usize, width: usize) -> Vec<usize> {
        let mut shape: Vec<usize> = count.into_iter().collect();
        let colours = self.array.shape().len() - usize::from(self.several) == 3;
        match self.channels {
            Channels::First if colours => shape.extend([self.axes[1].len, height, width]),
            Channels::Last if colours => shape.extend([height, width, self.axes[4].len]),
            _ => shape.extend([height, width]),
        }
        shape
    }

    /// Refuses canvas images of another size.
    ///
    /// # Errors
    /// When they have another size.
    pub(crate) fn expect_size(&self, size: Size<Pixel>, what: &str) -> PyResult<()> {
        if (self.axes[2].len, self.axes[3].len) == (size.height as usize, size.width as usize) {
            return Ok(());
        }
        let (name, shape) = (self.array.name(), tuple(self.array.shape()));
        Err(InvalidValueError::new_err(format!(
            "{name} has shape {shape}; allowed: height and width of {what}, {size}"
        )))
    }

    /// Refuses another number of canvas images.
    ///
    /// # Errors
    /// When there are more or less.
    pub(crate) fn expect_count(&self, count: usize) -> PyResult<()> {
        if self.count() == count {
            return Ok(());
        }
        Err(self.wrong_count(&format!("{count} images")))
    }

    /// The error about their number; `allowed` is in words.
    pub(crate) fn wrong_count(&self, allowed: &str) -> PyErr {
        let (name, shape) = (self.array.name(), tuple(self.array.shape()));
        InvalidValueError::new_err(format!("{name} has shape {shape}; allowed: {allowed}"))
    }

    /// Refuses canvas images that are not like another.
    ///
    /// # Errors
    /// When the other array has another type or another shape than this.
    pub(crate) fn expect_like(&self, shape: &[usize], dtype: Dtype) -> PyResult<()> {
        self.array.expect_dtype(dtype)?;
        self.array.expect_shape(shape)
    }
}

fn wrong_axes(array: &Array<'_>, channels: Channels, several: bool) -> PyErr {
    let front = if several { "N, " } else { "" };
    let colours = match channels {
        Channels::Last => "H, W, C",
        Channels::First => "C, H, W",
    };
    InvalidValueError::new_err(format!(
        "{} has shape {}; allowed: ({front}H, W) or ({front}{colours})",
        array.name(),
        tuple(array.shape())
    ))
}

/// The output, of this shape and of the inputs' type.
pub(crate) fn output(out: &Bound<'_, PyAny>, inputs: &[&Array<'_>], shape: &[usize]) -> PyResult<Output<'static>> {
    let out = Output::borrow(out, "out", inputs)?;
    out.expect_dtype(inputs[0].dtype())?;
    out.expect_shape(shape)?;
    Ok(out)
}

/// Whether an object is one number, and no array.
pub(crate) fn is_number(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    // numpy's scalars have __float__ and no length; arrays without axes have the attribute.
    Ok(object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || (object.hasattr("__float__")? && !object.hasattr("__len__")?))
}

/// The bits of a number in a type, as the lowest bytes.
///
/// # Errors
/// When the type does not have the number; fractions are rounded to the nearest where it has any.
pub(crate) fn bits_of(object: &Bound<'_, PyAny>, name: &str, dtype: Dtype) -> PyResult<u64> {
    let value: f64 = object.extract().map_err(|_| InvalidTypeError::new_err(format!("{name} is no number")))?;
    let bits = 8 * u32::from(dtype.bytes);
    let refused = |allowed: String| InvalidValueError::new_err(format!("{name} is {object}; {dtype} has {allowed}"));
    let (low, high) = match dtype.kind {
        Kind::Float | Kind::Brain => {
            let (bits, infinite) = float_bits(value, dtype);
            return if infinite && value.is_finite() { Err(refused("no number as large".into())) } else { Ok(bits) };
        }
        Kind::Bool => (0, 1),
        Kind::Signed => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        Kind::Unsigned => (0, (1_i128 << bits) - 1),
    };
    // A float that is whole is as good as an integer; integers of 64 bits are more than a float holds.
    let whole = object.extract::<i128>().ok().or_else(|| (value.fract() == 0.0).then_some(value as i128));
    match whole {
        Some(whole) if (low..=high).contains(&whole) => Ok(whole as u64),
        _ => Err(refused(format!("whole numbers from {low} to {high}"))),
    }
}

/// The nearest number's bits, and whether it is infinite.
fn float_bits(value: f64, dtype: Dtype) -> (u64, bool) {
    match (dtype.kind, dtype.bytes) {
        (Kind::Brain, _) => {
            let near = bf16::from_f64(value);
            (near.to_bits().into(), near.is_infinite())
        }
        (_, 2) => {
            let near = f16::from_f64(value);
            (near.to_bits().into(), near.is_infinite())
        }
        (_, 4) => ((value as f32).to_bits().into(), (value as f32).is_infinite()),
        _ => (value.to_bits(), value.is_infinite()),
    }
}
