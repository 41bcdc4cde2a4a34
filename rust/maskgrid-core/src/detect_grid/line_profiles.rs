//! How much changes from line to line, and along each line: the only pass over the pixels.

use std::ops::Range;

use crate::error::Result;
use crate::parallel::for_each_chunk;
use crate::scratch::{filled, with_room};
use crate::simd::vectorized;
use crate::strided_view::View;

/// Rows that are looked at together; so few that sums of 16 bits hold them.
const BAND: usize = 512;
/// How far apart pixels along a line are compared: close ones of a smooth picture are alike, and so are those that lie
/// apart by whole cells. Multiples of every spacing of samples.
const REACHES: [usize; 2] = [8, 48];
/// Pixels of which all are looked at; of more only every second, fourth or eighth along a line.
const PLENTY: usize = 1 << 21;

/// An alpha that can't be seen.
const CLEAR: u8 = 8;

type Colour = [u8; 4];

/// What is known of all rows of a picture, or of all columns.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    /// How much a line differs from the one before, 0 to 1; 0 for the first.
    pub(super) step: Vec<f32>,
    /// The share of a line's pixels that differ from those farther along it.
    pub(super) unrest: Vec<f32>,
    /// Whether the picture has noise, as after JPEG or of a camera.
    pub(super) is_noisy: bool,
}

impl Lines {
    /// The lines of a part alone.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let mut step = self.step[range.clone()].to_vec();
        // What noise leaves of the edge beside it is no step of its own.
        let blurred = if self.is_noisy { 4.min(step.len()) } else { 1 };
        step[..blurred].fill(0.0);
        let inside = step.len() + 1 - blurred;
        step[inside..].fill(0.0);
        Self { step, unrest: self.unrest[range].to_vec(), is_noisy: self.is_noisy }
    }
}

/// From where on a difference counts, and from where on it counts in full.
#[derive(Debug, Clone, Copy)]
struct Levels {
    counts: u8,
    full: u8,
    is_noisy: bool,
}

/// Sums over the rows of a band.
#[derive(Clone, Default)]
struct Band {
    step_across: Vec<u16>,
    unrest_down: Vec<u16>,
    step_down: Vec<u32>,
    unrest_across: Vec<u32>,
}

/// What is looked at: ranges of rows and columns, and of each every so manieth line.
struct Samples<'a> {
    rows: &'a [Range<usize>],
    columns: &'a [Range<usize>],
    spacing: usize,
}

/// The lines of a picture (height, width, channels): of its rows within `columns`, and of its columns within `rows`.
///
/// The ranges are what counts of a line; pixels of different ranges are not compared along it.
///
/// # Errors
/// When there is not enough memory.
pub(super) fn measure_lines(
    image: View<'_, u8, 3>,
    rows: &[Range<usize>],
    columns: &[Range<usize>],
) -> Result<[Lines; 2]> {
    let [height, width, channels] = image.shape();
    let levels = choose_levels(image)?;
    let spacing = (height * width).div_ceil(PLENTY).next_power_of_two().min(REACHES[0]);
    let samples = Samples { rows, columns, spacing };
    let mut bands = filled(Band::default(), height.div_ceil(BAND))?;
    for_each_chunk(&mut bands, 1, BAND * width * channels * 8 / spacing, |index, bands| {
        let span = index * BAND..((index + 1) * BAND).min(height);
        let mut band = Band::default();
        (band.step_across, band.unrest_down) = compare_columns(image, span.clone(), &samples, levels)?;
        (band.step_down, band.unrest_across) = compare_rows(image, span, &samples, levels)?;
        bands[0] = band;
        Ok(())
    })?;
    Ok(add_bands(&bands, [height, width], &samples, levels))
}

/// For the columns: steps and unrest in the rows of a band.
fn compare_columns(
    image: View<'_, u8, 3>,
    span: Range<usize>,
    samples: &Samples<'_>,
    levels: Levels,
) -> Result<(Vec<u16>, Vec<u16>)> {
    let (width, spacing) = (image.shape()[1], samples.spacing);
    let (mut step, mut unrest) = (filled(0, width)?, filled(0, width)?);
    let slots = REACHES[1] / spacing + 1;
    let (mut ring, mut differences) = (filled([0; 4], width * slots)?, filled(0_u8, width)?);
    let first = span.start.saturating_sub(REACHES[1]).next_multiple_of(spacing);
    for y in (first..span.end).step_by(spacing) {
        let slot = y / spacing % slots * width;
        load_row(image, y, &mut ring[slot..slot + width]);
        let Some(range) = samples.rows.iter().find(|range| range.contains(&y)).filter(|_| y >= span.start) else {
            continue;
        };
        let row = |y: usize| &ring[y / spacing % slots * width..][..width];
        vectorized(|| {
            differ(&row(y)[1..], &row(y)[..width - 1], &mut differences[..width - 1]);
            add_capped(&differences[..width - 1], levels.full, &mut step[1..]);
            for reach in reaches_of(range, spacing).into_iter().filter(|reach| y >= range.start + reach) {
                differ(row(y), row(y - reach), &mut differences);
                add_counted(&differences, levels.counts, &mut unrest);
            }
        });
    }
    Ok((step, unrest))
}

/// For the rows of a band: steps and unrest in the columns.
fn compare_rows(
    image: View<'_, u8, 3>,
    span: Range<usize>,
    samples: &Samples<'_>,
    levels: Levels,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let spacing = samples.spacing;
    let mut places = with_room(samples.columns.iter().map(|range| sampled(range, spacing).len()).sum())?;
    places.extend(samples.columns.iter().flat_map(|range| sampled(range, spacing)));
    let (mut step, mut unrest) = (filled(0, span.len())?, filled(0, span.len())?);
    let (mut row, mut before) = (filled([0; 4], places.len())?, filled([0; 4], places.len())?);
    let mut differences = filled(0_u8, places.len())?;
    for y in span.start.saturating_sub(1)..span.end {
        std::mem::swap(&mut row, &mut before);
        load_pixels(image, y, &places, &mut row);
        if y < span.start {
            continue;
        }
        let place = y - span.start;
        vectorized(|| {
            if y > 0 {
                differ(&row, &before, &mut differences);
                step[place] = total(&differences, levels.full);
            }
            let mut start = 0;
            for range in samples.columns {
                let here = &row[start..start + sampled(range, spacing).len()];
                start += here.len();
                for reach in reaches_of(range, spacing).map(|reach| reach / spacing) {
                    let pairs = here.len().saturating_sub(reach);
                    differ(&here[here.len() - pairs..], &here[..pairs], &mut differences[..pairs]);
                    unrest[place] += count(&differences[..pairs], levels.counts);
                }
            }
        });
    }
    Ok((step, unrest))
}

/// The lines of a range that are looked at.
fn sampled(range: &Range<usize>, spacing: usize) -> std::iter::StepBy<Range<usize>> {
    (range.start.next_multiple_of(spacing)..range.end.max(range.start.next_multiple_of(spacing))).step_by(spacing)
}

/// How far apart pixels are compared inside a range.
fn reaches_of(range: &Range<usize>, spacing: usize) -> [usize; 2] {
    let longest = [range.len() / 4, range.len() / 2];
    [0, 1].map(|index| (REACHES[index].min(longest[index]) / spacing).max(1) * spacing)
}

fn add_bands(bands: &[Band], [height, width]: [usize; 2], samples: &Samples<'_>, levels: Levels) -> [Lines; 2] {
    let spacing = samples.spacing;
    let pixels =
        |ranges: &[Range<usize>]| ranges.iter().map(|range| sampled(range, spacing).len()).sum::<usize>().max(1) as f32;
    let pairs = |ranges: &[Range<usize>]| {
        let pairs = |range: &Range<usize>| {
            let count = sampled(range, spacing).len();
            reaches_of(range, spacing).map(|reach| count.saturating_sub(reach / spacing)).iter().sum::<usize>()
        };
        ranges.iter().map(pairs).sum::<usize>().max(1) as f32
    };
    let full = f32::from(levels.full);
    let of_rows = |part: fn(&Band) -> &[u32], most: f32| {
        let sums = bands.iter().flat_map(|band| part(band).iter().map(|&sum| sum as f32 / most));
        let mut all = Vec::with_capacity(height);
        all.extend(sums);
        all
    };
    let of_columns = |part: fn(&Band) -> &[u16], most: f32| {
        let mut all = vec![0_f32; width];
        for band in bands {
            all.iter_mut().zip(part(band)).for_each(|(sum, &part)| *sum += f32::from(part));
        }
        all.iter_mut().for_each(|sum| *sum /= most);
        all
    };
    let is_noisy = levels.is_noisy;
    let down = Lines {
        step: of_rows(|band| &band.step_down, full * pixels(samples.columns)),
        unrest: of_rows(|band| &band.unrest_across, pairs(samples.columns)),
        is_noisy,
    };
    let across = Lines {
        step: of_columns(|band| &band.step_across, full * pixels(samples.rows)),
        unrest: of_columns(|band| &band.unrest_down, pairs(samples.rows)),
        is_noisy,
    };
    [down, across]
}

/// A row as RGBA; what can't be seen has no colour.
fn load_row(image: View<'_, u8, 3>, y: usize, row: &mut [Colour]) {
    let [_, width, channels] = image.shape();
    if image.dense_from(1) {
        let items = image.run([y, 0, 0], width * channels);
        vectorized(|| match channels {
            1 => load_items::<1>(items, row),
            2 => load_items::<2>(items, row),
            3 => load_items::<3>(items, row),
            _ => load_items::<4>(items, row),
        });
        return;
    }
    for (x, pixel) in row.iter_mut().enumerate() {
        *pixel = pixel_at(image, y, x);
    }
}

/// Some pixels of a row, likewise.
fn load_pixels(image: View<'_, u8, 3>, y: usize, places: &[usize], row: &mut [Colour]) {
    let [_, width, channels] = image.shape();
    if places.len() == width {
        load_row(image, y, row);
    } else if image.dense_from(1) && channels >= 3 {
        let items = image.run([y, 0, 0], width * channels);
        for (pixel, &place) in row.iter_mut().zip(places) {
            let item = &items[place * channels..(place + 1) * channels];
            *pixel = rgba([item[0], item[1], item[2], if channels == 4 { item[3] } else { 255 }]);
        }
    } else {
        row.iter_mut().zip(places).for_each(|(pixel, &place)| *pixel = pixel_at(image, y, place));
    }
}

fn pixel_at(image: View<'_, u8, 3>, y: usize, x: usize) -> Colour {
    let at = |channel: usize| image.get([y, x, channel]);
    match image.shape()[2] {
        1 => rgba([at(0)]),
        2 => rgba([at(0), at(1)]),
        3 => rgba([at(0), at(1), at(2)]),
        _ => rgba([at(0), at(1), at(2), at(3)]),
    }
}

#[inline(always)]
fn load_items<const C: usize>(items: &[u8], row: &mut [Colour]) {
    for (pixel, item) in row.iter_mut().zip(items.as_chunks::<C>().0) {
        *pixel = rgba(*item);
    }
}

#[inline(always)]
fn rgba<const C: usize>(item: [u8; C]) -> Colour {
    let colour = match C {
        1 => [item[0], item[0], item[0], 255],
        2 => [item[0], item[0], item[0], item[1]],
        3 => [item[0], item[1], item[2], 255],
        _ => [item[0], item[1], item[2], item[3]],
    };
    if colour[3] <= CLEAR { [0; 4] } else { colour }
}

/// By pixel, the largest difference of a channel.
#[inline(always)]
fn differ(here: &[Colour], there: &[Colour], out: &mut [u8]) {
    for ((out, here), there) in out.iter_mut().zip(here).zip(there) {
        let apart = |channel: usize| here[channel].abs_diff(there[channel]);
        *out = apart(0).max(apart(1)).max(apart(2).max(apart(3)));
    }
}

#[inline(always)]
fn total(differences: &[u8], full: u8) -> u32 {
    differences.chunks(256).map(|part| u32::from(part.iter().map(|&each| u16::from(each.min(full))).sum::<u16>())).sum()
}

#[inline(always)]
fn count(differences: &[u8], level: u8) -> u32 {
    differences.chunks(255).map(|part| u32::from(part.iter().map(|&each| u8::from(each > level)).sum::<u8>())).sum()
}

#[inline(always)]
fn add_capped(differences: &[u8], full: u8, sums: &mut [u16]) {
    sums.iter_mut().zip(differences).for_each(|(sum, &each)| *sum += u16::from(each.min(full)));
}

#[inline(always)]
fn add_counted(differences: &[u8], level: u8, sums: &mut [u16]) {
    sums.iter_mut().zip(differences).for_each(|(sum, &each)| *sum += u16::from(each > level));
}

/// What differences count: nearly all in a file without loss, in a noisy one only those that no noise makes.
///
/// A drawing has many neighbours of one colour and few that nearly have it. In a picture without loss the ground right
/// beside a hard edge is of one colour; after JPEG it is not.
fn choose_levels(image: View<'_, u8, 3>) -> Result<Levels> {
    let [height, width, _] = image.shape();
    let mut row = filled([0; 4], width)?;
    let mut differences = filled(0_u8, width)?;
    let (mut same, mut nearly, mut others) = (0_usize, 0_usize, 0_usize);
    let (mut hard, mut clean) = (0_usize, 0_usize);
    for y in (0..height).step_by((height / 64).max(1)) {
        load_row(image, y, &mut row);
        let between = &mut differences[..width - 1];
        differ(&row[1..], &row[..width - 1], between);
        same += between.iter().filter(|&&each| each == 0).count();
        nearly += between.iter().filter(|&&each| (1..=8).contains(&each)).count();
        others += between.iter().filter(|&&each| each > 8).count();
        for three in between.windows(3).filter(|three| three[1] > 64) {
            hard += 1;
            clean += usize::from(three[0] == 0 || three[2] == 0);
        }
    }
    let is_drawn = nearly <= others && nearly * 8 <= same;
    let is_clean = hard > 0 && clean * 4 >= hard;
    let counts = if is_drawn {
        8
    } else if is_clean {
        4
    } else {
        24
    };
    Ok(Levels { counts, full: 64, is_noisy: !is_drawn && !is_clean })
}
