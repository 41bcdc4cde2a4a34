//! Soft edges.

use super::bit_mask::Bits;
use super::distance::{Distances, MOST_SHORT, Targets};
use super::read_mask::{MaskReader, check_length, level_key};
use crate::error::Result;
use crate::mask_element::Element;
use crate::parallel;
use crate::scratch;
use crate::simd::vectorized;
use crate::strided_view::View;

/// Pixels of a row that are turned into numbers at once.
const SEGMENT: usize = 128;

/// On which side of the edge the ramp of [`feather`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Inside: 0 at the edge, 1 from `width` pixels inward on.
    Inside,
    /// Outside: 1 at the edge, 0 from `width` pixels outward on.
    Outside,
    /// Half on each side: 1/2 at the edge.
    Centred,
}

/// Writes a ramp from 0 to 1, `width` pixels wide, along the mask's edge.
///
/// The edge lies half way between neighbouring pixel centres: a pixel whose nearest pixel of the other side is `d`
/// pixels away lies `s = d - 1/2` inside of it, or that much outside. Inside the ramp is `s / width`, outside
/// `1 + s / width`, centred `1/2 + s / width`, cut to 0..=1. Width 0 is the threshold. A mask without an edge stays
/// all 1 or all 0.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn feather<T: Element, U: Element>(
    mask: View<'_, T, 3>,
    width: f64,
    placement: Placement,
    level: f64,
    out: &mut [U],
) -> Result<()> {
    check_length("width", width)?;
    let key = level_key::<T>(level)?;
    let ramp = Ramp::new(width, placement, mask.shape());
    if width == 0.0 {
        return super::threshold(mask, level, out);
    }
    let reader = MaskReader::new(mask)?;
    reader.for_each_mask(out, |index, out| {
        let bits = reader.inside(index, key)?;
        match bits.uniform() {
            Some(inside) => out.fill(if inside { U::ONE } else { U::ZERO }),
            None => ramp.write(&bits, out)?,
        }
        Ok(())
    })
}

/// The ramp along the edge.
#[derive(Debug, Clone, Copy)]
struct Ramp {
    width: f32,
    placement: Placement,
    /// The distance from which on the ramp has ended.
    reach: usize,
}

impl Ramp {
    fn new(width: f64, placement: Placement, [_, height, columns]: [usize; 3]) -> Self {
        let end = if placement == Placement::Centred { width / 2.0 } else { width } + 0.5;
        // No two pixels are farther apart than both sides together.
        let reach = end.ceil().min((height + columns) as f64) as usize;
        Self { width: width as f32, placement, reach }
    }

    fn write<U: Element>(self, bits: &Bits, out: &mut [U]) -> Result<()> {
        let width = bits.width;
        let band = if self.reach <= MOST_SHORT { 32 } else { 128 };
        let cost = width * band * (16 + self.reach.min(MOST_SHORT));
        parallel::for_each_chunk(out, band * width, cost, |index, out| {
            let rows = index * band..index * band + out.len() / width;
            let towards = |inside| Distances::new(Targets::new(bits, inside), self.reach, rows.clone());
            let mut to_outside = (self.placement != Placement::Outside).then(|| towards(false)).transpose()?;
            let mut to_inside = (self.placement != Placement::Inside).then(|| towards(true)).transpose()?;
            let (mut outside, mut inside) = (scratch::filled(0.0, width)?, scratch::filled(0.0, width)?);
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                to_outside.iter_mut().try_for_each(|distances| distances.row(row, &mut outside))?;
                to_inside.iter_mut().try_for_each(|distances| distances.row(row, &mut inside))?;
                vectorized(
                    #[inline(always)]
                    || self.write_row(&outside, &inside, out),
                );
            }
            Ok(())
        })
    }

    /// Writes a row of the ramp; distances that the placement does not need are not read.
    #[inline(always)]
    fn write_row<U: Element>(self, to_outside: &[f32], to_inside: &[f32], out: &mut [U]) {
        let segments = to_outside.chunks(SEGMENT).zip(to_inside.chunks(SEGMENT)).zip(out.chunks_mut(SEGMENT));
        for ((outside, inside), out) in segments {
            match self.placement {
                Placement::Inside => self.write_segment(0.0, outside, out, |depth| depth - 0.5),
                Placement::Outside => self.write_segment(1.0, inside, out, |height| 0.5 - height),
                Placement::Centred => {
                    let mut signed = [0.0; SEGMENT];
                    for ((signed, outside), inside) in signed.iter_mut().zip(outside).zip(inside) {
                        // One of them is 0, so this is the one or minus the other.
                        *signed = outside - inside;
                    }
                    let signed = &signed[..out.len()];
                    self.write_segment(0.5, signed, out, |signed| signed - 0.5_f32.copysign(signed));
                }
            }
        }
    }

    /// Writes some pixels of the ramp; `from_edge` makes a distance from the edge of what is in `distances`.
    #[inline(always)]
    fn write_segment<U: Element>(self, base: f32, distances: &[f32], out: &mut [U], from_edge: impl Fn(f32) -> f32) {
        let value = |distance: f32| (base + from_edge(distance) / self.width).clamp(0.0, 1.0);
        let first = distances[0];
        if distances.iter().fold(true, |alike, &distance| alike & (distance == first)) {
            return out.fill(U::from_unit(value(first)));
        }
        let mut values = [0.0; SEGMENT];
        values.iter_mut().zip(distances).for_each(|(out, &distance)| *out = value(distance));
        U::from_units(&values, out);
    }
}
