//! Canvas operations.
//!
//! Images come with the axes that Python users give them, (H, W), (H, W, C) or (C, H, W), several with one more in
//! front, and are seen as (images, planes, height, width, samples). Copies only look at the size of an item.

use half::{bf16, f16};
use maskgrid_core::canvas::{self, Background, SoftMask};
use maskgrid_core::{Element, Grid, Pixel, PixelElement, Rect, View};
use pyo3::prelude::*;

use crate::buffer::{Item, Kind, Output};
use crate::canvas_images::{CHANNELS, Images, bits_of, is_number, output};
use crate::errors::{InvalidTypeError, InvalidValueError};
use crate::grid::PyGrid;
use crate::mask_array::{MaskArray, UseMask};
use crate::parse_arguments::{cells as numbers_of_cells, choice, take};
use crate::rect::PyRect;
use crate::thread_pool::BYTES_PER_NS;

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
    let write = match dtype.bytes {
        1 => write_laid_out::<u8>,
        2 => write_laid_out::<u16>,
        4 => write_laid_out::<u32>,
        _ => write_laid_out::<u64>,
    };
    write(py, cells, grid, sheet.as_ref(), bits, out)
}

fn write_laid_out<T: Item + FromBits>(
    py: Python<'_>,
    cells: &Images<'_>,
    grid: &Grid,
    sheet: Option<&Images<'_>>,
    fill: u64,
    out: Output<'_>,
) -> PyResult<()> {
    let (view, work) = (cells.view::<T>()?, out.bytes() / BYTES_PER_NS);
    let background = match sheet {
        Some(sheet) => Background::Sheet(sheet.view()?),
        None => Background::Fill(T::from_bits(fill)),
    };
    let lay_out = if cells.several { canvas::join } else { canvas::tile };
    out.write(py, work, |out| lay_out(view, grid, background, out))
}

/// Whole numbers that items of some size are copied as.
trait FromBits {
    /// The lowest bits.
    fn from_bits(bits: u64) -> Self;
}

impl FromBits for u8 {
    fn from_bits(bits: u64) -> Self {
        bits as Self
    }
}

impl FromBits for u16 {
    fn from_bits(bits: u64) -> Self {
        bits as Self
    }
}

impl FromBits for u32 {
    fn from_bits(bits: u64) -> Self {
        bits as Self
    }
}

impl FromBits for u64 {
    fn from_bits(bits: u64) -> Self {
        bits
    }
}

/// Called from Python: a canvas with one cell in every place.
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
    cells.expect_count(grid.0.cell_count() as usize)?;
    lay_out(py, &cells, &grid.0, background, out)
}

/// Called from Python: the cells of a canvas, row by row.
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
    let shape = sheet.shape_like(Some(grid.cell_count() as usize), cell.height as usize, cell.width as usize);
    let out = output(out, &[&sheet.array], &shape)?;
    let write = match sheet.array.dtype().bytes {
        1 => write_split::<u8>,
        2 => write_split::<u16>,
        4 => write_split::<u32>,
        _ => write_split::<u64>,
    };
    write(py, &sheet, grid, out)
}

fn write_split<T: Item>(py: Python<'_>, sheet: &Images<'_>, grid: &Grid, out: Output<'_>) -> PyResult<()> {
    let (view, work) = (sheet.view::<T>()?, out.bytes() / BYTES_PER_NS);
    out.write(py, work, |out| canvas::split(view, grid, out))
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
    let most = grid.cell_count() as usize;
    let cells = match cells {
        Some(cells) => numbers_of_cells(cells, most, most)?,
        None if forks.count() > most => {
            return Err(forks.wrong_count(&format!("at most {most} images, one for each cell")));
        }
        None => (0..grid.cell_count()).take(forks.count()).collect(),
    };
    forks.expect_count(cells.len())?;
    let shape = forks.shape_like(None, forks.axes[2].len, forks.axes[3].len);
    let original = original.map(|original| Images::borrow(original, "original", channels, false)).transpose()?;
    if let Some(original) = &original {
        original.expect_like(&shape, forks.array.dtype())?;
    }
    let inputs: Vec<_> = std::iter::once(&forks.array).chain(original.as_ref().map(|sheet| &sheet.array)).collect();
    let out = output(out, &inputs, &shape)?;
    let write = match forks.array.dtype().bytes {
        1 => write_merged::<u8>,
        2 => write_merged::<u16>,
        4 => write_merged::<u32>,
        _ => write_merged::<u64>,
    };
    write(py, &forks, grid, &cells, original.as_ref(), out)
}

fn write_merged<T: Item>(
    py: Python<'_>,
    forks: &Images<'_>,
    grid: &Grid,
    cells: &[u32],
    original: Option<&Images<'_>>,
    out: Output<'_>,
) -> PyResult<()> {
    let (view, work) = (forks.view::<T>()?, out.bytes() / BYTES_PER_NS);
    let original = original.map(Images::view::<T>).transpose()?;
    out.write(py, work, |out| canvas::merge(view, grid, cells, original, out))
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
    let mask = mask.map(|mask| MaskArray::borrow(mask, Some([patch[2], patch[3]]))).transpose()?;
    let shape = original.shape_like((!together).then_some(places.len()), height, width);
    let mask_array = mask.as_ref().map(|mask| &mask.array);
    let inputs: Vec<_> = [&original.array, &patches.array].into_iter().chain(mask_array).collect();
    let out = output(out, &inputs, &shape)?;
    let write = match (original.array.dtype().kind, original.array.dtype().bytes) {
        (Kind::Unsigned, 1) => write_pasted::<u8>,
        (Kind::Float, 2) => write_pasted::<f16>,
        (Kind::Brain, 2) => write_pasted::<bf16>,
        (Kind::Float, 4) => write_pasted::<f32>,
        (Kind::Float, 8) => write_pasted::<f64>,
        _ => {
            return Err(InvalidTypeError::new_err(format!(
                "original has dtype {}; allowed: uint8, float16, bfloat16, float32, float64",
                original.array.dtype()
            )));
        }
    };
    write(py, [&original, &patches], &places, mask.as_ref(), together, out)
}

fn write_pasted<T: Item + PixelElement>(
    py: Python<'_>,
    [original, patches]: [&Images<'_>; 2],
    places: &[Rect<Pixel>],
    mask: Option<&MaskArray<'_>>,
    together: bool,
    out: Output<'_>,
) -> PyResult<()> {
    let work = out.bytes() / BYTES_PER_NS + mask.map_or(0, |mask| mask.array.len());
    let make_mask = mask.map(|mask| mask.use_by(MakeSoftMask)).transpose()?;
    let (below, above) = (original.view::<T>()?, patches.view::<T>()?);
    out.write(py, work, |out| {
        let mask = make_mask.map(|make| make()).transpose()?;
        let paste = if together { canvas::paste_all } else { canvas::paste };
        paste(below, above, places, mask.as_ref(), out)
    })
}

/// What reads and checks the mask, once the interpreter is released.
struct MakeSoftMask;

impl<'a> UseMask<'a> for MakeSoftMask {
    type Output = Box<dyn FnOnce() -> maskgrid_core::Result<SoftMask<'a>> + Send + 'a>;

    fn use_mask<T: Element + Item>(self, masks: View<'a, T, 3>) -> PyResult<Self::Output> {
        Ok(Box::new(move || SoftMask::new(masks)))
    }
}

/// The cells of a grid, or rectangles one by one; as many as there are patches.
fn places(r#where: &Bound<'_, PyAny>, original: &Images<'_>, count: usize) -> PyResult<Vec<Rect<Pixel>>> {
    let places = match r#where.cast::<PyGrid>() {
        Ok(grid) => {
            let grid = &grid.get().0;
            original.expect_size(grid.canvas(), "the canvas")?;
            grid.cell_rects().collect()
        }
        Err(_) => rects(r#where, count)?,
    };
    if places.len() == count {
        return Ok(places);
    }
    let given = places.len();
    Err(InvalidValueError::new_err(format!("there are {count} patches and {given} places; allowed: as many")))
}

fn rects(r#where: &Bound<'_, PyAny>, most: usize) -> PyResult<Vec<Rect<Pixel>>> {
    let refused = |object: &Bound<'_, PyAny>| {
        let kind = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        InvalidTypeError::new_err(format!("where holds a {kind}; allowed: a Grid, or a sequence of Rect"))
    };
    let items = r#where.try_iter().map_err(|_| refused(r#where))?;
    let too_many = || InvalidValueError::new_err(format!("there are {most} patches and more places; allowed: as many"));
    take(items, most, too_many, |item| {
        let rect = item.cast::<PyRect>().map_err(|_| refused(item))?;
        Ok(Rect::from(rect.get()))
    })
}
