//! Windows put over an original, hard or through a soft mask.

use super::Sheet;
use super::check_shapes::{expect, expect_len};
use super::copy_lines::{Lines, Pixel, Rows, copy_rect, for_rows};
use super::mix_pixels::{PixelElement, mix_run, spread};
use super::soft_mask::{Kind, SoftMask};
use crate::error::{Error, Result, tuple};
use crate::rect::{Pixel as PixelUnit, Rect};
use crate::scratch;

/// Samples that are mixed at a time: they and their mask stay in the first cache.
const STRIP: usize = 1024;

/// Writes one sheet for each patch, (patches, planes, H, W, samples): the original (1, planes, H, W, samples), and
/// patch i of (patches, planes, h, w, samples) at `places[i]` through its mask.
///
/// `mask` holds one mask for all patches or one for each, of their size; None replaces all of every place. Outside the
/// places, and where the mask is 0, every bit is the original's; where it is 1, the patch's.
///
/// # Errors
/// When a shape does not fit, or a place does not have the patches' size or reaches outside the sheet.
pub fn paste<T: PixelElement>(
    original: Sheet<'_, T>,
    patches: Sheet<'_, T>,
    places: &[Rect<PixelUnit>],
    mask: Option<&SoftMask<'_>>,
    out: &mut [T],
) -> Result<()> {
    let [_, planes, height, width, samples] = original.shape();
    check(&original, &patches, places, mask)?;
    let shape = [places.len(), planes, height, width, samples];
    expect_len(out, shape)?;
    for_rows(out, shape, |rows, out| {
        copy_original(&original, rows, out);
        overlay(&patches, rows.image, places[rows.image], mask, rows, width, out)
    })
}

/// Writes one sheet (1, planes, H, W, samples) with all patches, in their order; else like [`paste`].
///
/// # Errors
/// When a shape does not fit, or a place does not have the patches' size or reaches outside the sheet.
pub fn paste_all<T: PixelElement>(
    original: Sheet<'_, T>,
    patches: Sheet<'_, T>,
    places: &[Rect<PixelUnit>],
    mask: Option<&SoftMask<'_>>,
    out: &mut [T],
) -> Result<()> {
    check(&original, &patches, places, mask)?;
    expect_len(out, original.shape())?;
    let width = original.shape()[3];
    for_rows(out, original.shape(), |rows, out| {
        copy_original(&original, rows, out);
        for (patch, &place) in places.iter().enumerate() {
            overlay(&patches, patch, place, mask, rows, width, out)?;
        }
        Ok(())
    })
}

fn check<T: Copy>(
    original: &Sheet<'_, T>,
    patches: &Sheet<'_, T>,
    places: &[Rect<PixelUnit>],
    mask: Option<&SoftMask<'_>>,
) -> Result<()> {
    let [_, planes, height, width, samples] = original.shape();
    expect("original", original.shape(), [1, planes, height, width, samples])?;
    let [_, _, patch_height, patch_width, _] = patches.shape();
    expect("patches", patches.shape(), [places.len(), planes, patch_height, patch_width, samples])?;
    for place in places {
        let fits = place.bottom as usize <= height && place.right as usize <= width;
        if !fits || (place.height() as usize, place.width() as usize) != (patch_height, patch_width) {
            let allowed = format!("{patch_height} x {patch_width} px inside a sheet of {height} x {width} px");
            return Err(Error::out_of_range("a place", place, allowed));
        }
    }
    match mask.map(SoftMask::shape) {
        Some(shape) if !mask_fits(shape, [places.len(), patch_height, patch_width]) => {
            let one = tuple(&[1, patch_height, patch_width]);
            let each = tuple(&[places.len(), patch_height, patch_width]);
            Err(Error::shape("mask", &shape, format!("{one} or {each}")))
        }
        _ => Ok(()),
    }
}

fn mask_fits([masks, height, width]: [usize; 3], patches: [usize; 3]) -> bool {
    (masks == 1 || masks == patches[0]) && [height, width] == patches[1..]
}

fn copy_original<T: Copy>(original: &Sheet<'_, T>, rows: &Rows, out: &mut [T]) {
    let [.., width, samples] = original.shape();
    let from = Pixel { image: 0, plane: rows.plane, row: rows.rows.start, column: 0 };
    copy_rect(original, from, (rows.rows.len(), width), out, width * samples);
}

/// Puts what of a patch lies in these rows over `out`, which holds them, each `width` pixels.
fn overlay<T: PixelElement>(
    patches: &Sheet<'_, T>,
    patch: usize,
    place: Rect<PixelUnit>,
    mask: Option<&SoftMask<'_>>,
    rows: &Rows,
    width: usize,
    out: &mut [T],
) -> Result<()> {
    let samples = patches.shape()[4];
    let (first, end) = (rows.rows.start.max(place.top as usize), rows.rows.end.min(place.bottom as usize));
    if first >= end || place.is_empty() {
        return Ok(());
    }
    let pitch = width * samples;
    let target = &mut out[(first - rows.rows.start) * pitch + place.left as usize * samples..];
    let from = Pixel { image: patch, plane: rows.plane, row: first - place.top as usize, column: 0 };
    let size = (end - first, place.width() as usize);
    match mask {
        None => {
            copy_rect(patches, from, size, target, pitch);
            Ok(())
        }
        Some(mask) => mix_rect(patches, from, size, mask, target, pitch),
    }
}

/// As `copy_rect`, through the mask.
fn mix_rect<T: PixelElement>(
    patches: &Sheet<'_, T>,
    from: Pixel,
    (height, width): (usize, usize),
    mask: &SoftMask<'_>,
    target: &mut [T],
    pitch: usize,
) -> Result<()> {
    let samples = patches.shape()[4];
    let lines = Lines::new(patches, from);
    let mut strip = Strip::new(mask, if mask.shape()[0] == 1 { 0 } else { from.image }, samples)?;
    for (y, target) in target.chunks_mut(pitch).take(height).enumerate() {
        let line = &mut target[..width * samples];
        for (kind, run) in mask.runs(strip.index, from.row + y) {
            let target = &mut line[run.start * samples..run.end * samples];
            match kind {
                Kind::Keep => {}
                Kind::Replace => lines.copy(y, run.start, target),
                Kind::Mix => strip.mix(&lines, y, [from.row + y, run.start], target),
            }
        }
    }
    Ok(())
}

/// Scratch memory for a short piece of a line of a patch and of its mask.
struct Strip<'a, T> {
    mask: &'a SoftMask<'a>,
    /// Which of the masks.
    index: usize,
    samples: usize,
    pixels: usize,
    values: Vec<f32>,
    spread: Vec<f32>,
    patch: Vec<T>,
}

impl<'a, T: PixelElement> Strip<'a, T> {
    fn new(mask: &'a SoftMask<'a>, index: usize, samples: usize) -> Result<Self> {
        let pixels = (STRIP / samples).max(1);
        let (values, spread) = (scratch::with_room(pixels)?, scratch::with_room(pixels * samples)?);
        let patch = scratch::with_room(pixels * samples)?;
        Ok(Self { mask, index, samples, pixels, values, spread, patch })
    }

    /// Mixes pixels of a line, which are those of the mask from (row, column) on, into `target`.
    fn mix(&mut self, lines: &Lines<'_, T>, line: usize, [row, column]: [usize; 2], target: &mut [T]) {
        for (piece, target) in target.chunks_mut(self.pixels * self.samples).enumerate() {
            let column = column + piece * self.pixels;
            self.load_mask(row, column, target.len() / self.samples);
            let weights = if self.samples == 1 { &self.values } else { &self.spread };
            if let Some(patch) = lines.run(line, column, target.len()) {
                mix_run(target, patch, weights);
            } else {
                self.patch.clear();
                self.patch.extend_from_slice(target);
                lines.copy(line, column, &mut self.patch);
                mix_run(target, &self.patch, weights);
            }
        }
    }

    /// The mask of `pixels` pixels, once for each pixel and once for each sample.
    fn load_mask(&mut self, row: usize, column: usize, pixels: usize) {
        self.values.resize(pixels, 0.0);
        self.mask.values(self.index, row, column, &mut self.values);
        self.spread.resize(pixels * self.samples, 0.0);
        match self.samples {
            1 => {}
            2 => spread::<2>(&self.values, &mut self.spread),
            3 => spread::<3>(&self.values, &mut self.spread),
            4 => spread::<4>(&self.values, &mut self.spread),
            samples => {
                for (out, &value) in self.spread.chunks_exact_mut(samples).zip(&self.values) {
                    out.fill(value);
                }
            }
        }
    }
}
