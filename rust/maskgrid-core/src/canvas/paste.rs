//! Windows put over an original, hard or through a soft mask.

use super::Sheet;
use super::copy::{Pixel, Rows, copy_rect, copy_strided, for_rows};
use super::mix::mix_run;
use super::shape::{expect, expect_len};
use super::soft_mask::{Kind, SoftMask};
use crate::element::PixelElement;
use crate::error::{Error, Result, tuple};
use crate::geometry::{Pixel as PixelUnit, Rect};

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
        overlay(&patches, rows.image, places[rows.image], mask, rows, width, out);
    });
    Ok(())
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
            overlay(&patches, patch, place, mask, rows, width, out);
        }
    });
    Ok(())
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
) {
    let samples = patches.shape()[4];
    let (first, end) = (rows.rows.start.max(place.top as usize), rows.rows.end.min(place.bottom as usize));
    if first >= end || place.is_empty() {
        return;
    }
    let pitch = width * samples;
    let target = &mut out[(first - rows.rows.start) * pitch + place.left as usize * samples..];
    let from = Pixel { image: patch, plane: rows.plane, row: first - place.top as usize, column: 0 };
    let size = (end - first, place.width() as usize);
    match mask {
        None => copy_rect(patches, from, size, target, pitch),
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
) {
    let samples = patches.shape()[4];
    let mut mixer = Mixer::new(patches, mask, if mask.shape()[0] == 1 { 0 } else { from.image });
    for (y, target) in target.chunks_mut(pitch).take(height).enumerate() {
        let from = Pixel { row: from.row + y, ..from };
        let line = &mut target[..width * samples];
        for (kind, run) in mask.runs(mixer.index, from.row) {
            let from = Pixel { column: run.start, ..from };
            let target = &mut line[run.start * samples..run.end * samples];
            match kind {
                Kind::Keep => {}
                Kind::Replace => copy_rect(patches, from, (1, run.len()), target, run.len() * samples),
                Kind::Mix => mixer.mix(from, target),
            }
        }
    }
}

/// Scratch memory for strips of a patch and of its mask.
struct Mixer<'a, T> {
    patches: &'a Sheet<'a, T>,
    mask: &'a SoftMask<'a>,
    /// Which of the masks.
    index: usize,
    values: Vec<f32>,
    samples: Vec<f32>,
    strip: Vec<T>,
}

impl<'a, T: PixelElement> Mixer<'a, T> {
    const fn new(patches: &'a Sheet<'a, T>, mask: &'a SoftMask<'a>, index: usize) -> Self {
        Self { patches, mask, index, values: Vec::new(), samples: Vec::new(), strip: Vec::new() }
    }

    /// Mixes the pixels of a patch from `from` on into `target`.
    fn mix(&mut self, from: Pixel, target: &mut [T]) {
        let samples = self.patches.shape()[4];
        let pixels = (STRIP / samples).max(1);
        for (strip, target) in target.chunks_mut(pixels * samples).enumerate() {
            let column = from.column + strip * pixels;
            self.load_mask(from.row, column, target.len() / samples);
            let index = [from.image, from.plane, from.row, column, 0];
            if self.patches.dense_from(3) {
                mix_run(target, self.patches.run(index, target.len()), &self.samples);
            } else {
                self.strip.clear();
                self.strip.extend_from_slice(target);
                copy_strided(self.patches, index, &mut self.strip);
                mix_run(target, &self.strip, &self.samples);
            }
        }
    }

    /// The mask of `pixels` pixels, once for each sample.
    fn load_mask(&mut self, row: usize, column: usize, pixels: usize) {
        let samples = self.patches.shape()[4];
        self.values.resize(pixels, 0.0);
        self.mask.values(self.index, row, column, &mut self.values);
        self.samples.clear();
        if samples == 1 {
            self.samples.extend_from_slice(&self.values);
        } else {
            self.samples.extend(self.values.iter().flat_map(|&value| std::iter::repeat_n(value, samples)));
        }
    }
}
