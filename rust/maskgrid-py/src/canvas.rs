//! Canvas operations.
//!
//! Images come with the axes that Python users give them, (H, W), (H, W, C) or (C, H, W), several with one more in
//! front, and are seen as (images, planes, height, width, samples). Copies only look at the size of an item.

use half::{bf16, f16};
use maskgrid_core::canvas::{self, Background, SoftMask};
use maskgrid_core::{Grid, Pixel, Rect};
use pyo3::prelude::*;

use crate::arguments::{cells as numbers_of_cells, choice};
use crate::buffer::Array;
use crate::errors::{InvalidTypeError, InvalidValueError};
use crate::extent::Kind;
use crate::geometry::{PyGrid, PyRect};
use crate::images::{CHANNELS, Images, bits_of, is_number, output};
use crate::masks::{by_element, stacked};

/// What copying moves on one thread.
const BYTES_PER_NS: usize = 8;

/// Evaluates `$body` with `$T` standing for an unsigned type of the items' size.
macro_rules! by_size {
    ($dtype:expr, $T:ident => $body:expr) => {{
        macro_rules! with {
            ($item:ty) => {{
                type $T = $item;
                $body
            }};
        }
        match $dtype.bytes {
            1 => with!(u8),
            2 => with!(u16),
            4 => with!(u32),
            _ => with!(u64),
        }
    }};
}

/// Evaluates `$body` with `$T` standing for the type of pixels that can be mixed.
macro_rules! by_pixel {
    ($array:expr, $T:ident => $body:expr) => {{
        macro_rules! with {
            ($item:ty) => {{
                type $T = $item;
                $body
            }};
        }
        match ($array.dtype().kind, $array.dtype().bytes) {
            (Kind::Unsigned, 1) => with!(u8),
            (Kind::Float, 2) => with!(f16),
            (Kind::Brain, 2) => with!(bf16),
            (Kind::Float, 4) => with!(f32),
            (Kind::Float, 8) => with!(f64),
            _ => Err(InvalidTypeError::new_err(format!(
                "{} has dtype {}; allowed are uint8, float16, bfloat16, float32, float64",
                $array.name(),
                $array.dtype()
            ))),
        }
    }};
}

/// Cells laid out as a sheet: one in every place, or one for each.
fn lay_out(
    py: Python<'_>,
    cells: &Images<'_>,
    grid: &Grid,
    background: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let canvas = grid.canvas();
    let shape = cells.shape_like(None, canvas.height as usize, canvas.width as usize);
    let dtype = cells.array.dtype();
    let (bits, sheet) = if is_number(background)? {
        (bits_of(background, "background", dtype)?, None)
    } else {
        let sheet = Images::borrow(background, "background", cells.channels, false)?;
        sheet.expect_like(&shape, dtype)?;
        (0, Some(sheet))
    };
    let inputs: Vec<_> = std::iter::once(&cells.array).chain(sheet.as_ref().map(|sheet| &sheet.array)).collect();
    let out = output(out, &inputs, &shape)?;
    let work = out.bytes() / BYTES_PER_NS;
    by_size!(dtype, T => {
        let view = cells.view::<T>()?;
        let background = match &sheet {
            Some(sheet) => Background::Sheet(sheet.view()?),
            None => Background::Fill(bits as T),
        };
        let lay_out = if cells.several { canvas::join } else { canvas::tile };
        out.write(py, work, |out| lay_out(view, grid, background, out))
    })
}

/// A sheet with one cell in every place.
#[pyfunction]
#[pyo3(signature = (cell, grid, background, channels, out, /))]
pub(crate) fn tile(
    py: Python<'_>,
    cell: &Bound<'_, PyAny>,
    grid: &PyGrid,
    background: &Bound<'_, PyAny>,
    channels: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let cell = Images::borrow(cell, "cell", choice(channels, "channels", &CHANNELS)?, false)?;
    cell.expect_size(grid.0.cell(), "the cells")?;
    lay_out(py, &cell, &grid.0, background, out)
}

/// The sheet of these cells, row by row.
#[pyfunction]
#[pyo3(signature = (cells, grid, background, channels, out, /))]
pub(crate) fn join(
    py: Python<'_>,
    cells: &Bound<'_, PyAny>,
    grid: &PyGrid,
    background: &Bound<'_, PyAny>,
    channels: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let cells = Images::borrow(cells, "cells", choice(channels, "channels", &CHANNELS)?, true)?;
    cells.expect_size(grid.0.cell(), "the cells")?;
    cells.expect_count(grid.0.cells() as usize)?;
    lay_out(py, &cells, &grid.0, background, out)
}

/// The cells of a sheet, row by row.
#[pyfunction]
#[pyo3(signature = (sheet, grid, channels, out, /))]
pub(crate) fn split(
    py: Python<'_>,
    sheet: &Bound<'_, PyAny>,
    grid: &PyGrid,
    channels: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (sheet, grid) = (Images::borrow(sheet, "sheet", choice(channels, "channels", &CHANNELS)?, false)?, &grid.0);
    sheet.expect_size(grid.canvas(), "the canvas")?;
    let cell = grid.cell();
    let shape = sheet.shape_like(Some(grid.cells() as usize), cell.height as usize, cell.width as usize);
    let out = output(out, &[&sheet.array], &shape)?;
    let work = out.bytes() / BYTES_PER_NS;
    by_size!(sheet.array.dtype(), T => {
        let view = sheet.view::<T>()?;
        out.write(py, work, |out| canvas::split(view, grid, out))
    })
}

/// Cell `cells[i]` of fork i (None: cell i), all else from the original (None: fork 0).
#[pyfunction]
#[pyo3(signature = (forks, grid, cells, original, channels, out, /))]
pub(crate) fn merge(
    py: Python<'_>,
    forks: &Bound<'_, PyAny>,
    grid: &PyGrid,
    cells: Option<&Bound<'_, PyAny>>,
    original: Option<&Bound<'_, PyAny>>,
    channels: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let channels = choice(channels, "channels", &CHANNELS)?;
    let (forks, grid) = (Images::borrow(forks, "forks", channels, true)?, &grid.0);
    forks.expect_size(grid.canvas(), "the canvas")?;
    let cells = match cells {
        Some(cells) => numbers_of_cells(cells, grid.cells() as usize)?,
        None => (0..forks.count() as u32).collect(),
    };
    forks.expect_count(cells.len())?;
    let shape = forks.shape_like(None, forks.axes[2].len, forks.axes[3].len);
    let original = original.map(|original| Images::borrow(original, "original", channels, false)).transpose()?;
    if let Some(original) = &original {
        original.expect_like(&shape, forks.array.dtype())?;
    }
    let inputs: Vec<_> = std::iter::once(&forks.array).chain(original.as_ref().map(|sheet| &sheet.array)).collect();
    let out = output(out, &inputs, &shape)?;
    let work = out.bytes() / BYTES_PER_NS;
    by_size!(forks.array.dtype(), T => {
        let view = forks.view::<T>()?;
        let original = original.as_ref().map(Images::view::<T>).transpose()?;
        out.write(py, work, |out| canvas::merge(view, grid, &cells, original, out))
    })
}

/// Patches over an original, through a mask if there is one: a sheet for each, or all in one.
#[pyfunction]
#[pyo3(signature = (original, patches, r#where, mask, together, channels, out, /))]
#[expect(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn paste(
    py: Python<'_>,
    original: &Bound<'_, PyAny>,
    patches: &Bound<'_, PyAny>,
    r#where: &Bound<'_, PyAny>,
    mask: Option<&Bound<'_, PyAny>>,
    together: bool,
    channels: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let channels = choice(channels, "channels", &CHANNELS)?;
    let original = Images::borrow(original, "original", channels, false)?;
    let patches = Images::borrow(patches, "patches", channels, true)?;
    patches.array.expect_dtype(original.array.dtype())?;
    let [_, _, height, width, _] = original.axes.map(|axis| axis.len);
    let places = places(r#where, &original, patches.count())?;
    let patch = patches.axes.map(|axis| axis.len);
    patches.array.expect_shape(&original.shape_like(Some(places.len()), patch[2], patch[3]))?;
    let mask = mask.map(|mask| Array::borrow(mask, "the mask")).transpose()?;
    let shape = original.shape_like((!together).then_some(places.len()), height, width);
    let inputs: Vec<_> = [&original.array, &patches.array].into_iter().chain(&mask).collect();
    let out = output(out, &inputs, &shape)?;
    let work = out.bytes() / BYTES_PER_NS + mask.as_ref().map_or(0, Array::len);
    let soft = mask.as_ref().map(soft_mask).transpose()?;
    by_pixel!(original.array, T => {
        let (below, above) = (original.view::<T>()?, patches.view::<T>()?);
        out.write(py, work, |out| {
            let mask = soft.map(|soft| soft()).transpose()?;
            let paste = if together { canvas::paste_all } else { canvas::paste };
            paste(below, above, &places, mask.as_ref(), out)
        })
    })
}

type MakeMask<'a> = Box<dyn FnOnce() -> maskgrid_core::Result<SoftMask<'a>> + Send + 'a>;

/// What checks the mask, once the interpreter is released.
fn soft_mask<'a>(mask: &'a Array<'_>) -> PyResult<MakeMask<'a>> {
    by_element!(mask.name(), mask.dtype(), M => {
        let view = stacked::<M>(mask)?;
        let make: MakeMask<'a> = Box::new(move || SoftMask::new(view));
        Ok(make)
    })
}

/// The cells of a grid, or rectangles one by one; as many as there are patches.
fn places(r#where: &Bound<'_, PyAny>, original: &Images<'_>, count: usize) -> PyResult<Vec<Rect<Pixel>>> {
    let places = match r#where.cast::<PyGrid>() {
        Ok(grid) => {
            let grid = &grid.get().0;
            original.expect_size(grid.canvas(), "the canvas")?;
            grid.cell_rects().collect()
        }
        Err(_) => rects(r#where)?,
    };
    if places.len() == count {
        return Ok(places);
    }
    let given = places.len();
    Err(InvalidValueError::new_err(format!("there are {count} patches and {given} places; expected as many")))
}

fn rects(r#where: &Bound<'_, PyAny>) -> PyResult<Vec<Rect<Pixel>>> {
    let refused = |object: &Bound<'_, PyAny>| {
        let kind = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        InvalidTypeError::new_err(format!("where holds a {kind}; allowed is a Grid, or a sequence of Rect"))
    };
    let items = r#where.try_iter().map_err(|_| refused(r#where))?;
    items
        .map(|item| {
            let item = item?;
            let rect = item.cast::<PyRect>().map_err(|_| refused(&item))?;
            Ok(Rect::from(rect.get()))
        })
        .collect()
}
