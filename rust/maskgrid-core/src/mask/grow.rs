//! Growing and shrinking by a disc.

use super::bits::Bits;
use super::distance::{Targets, within};
use super::emit::emit;
use super::ingest;
use super::spread::spread;
use crate::element::Element;
use crate::error::Result;
use crate::view::View;

/// Rows above and below a disc's centre from which on distances are faster.
const LONG: usize = 512;

/// Writes 1 where an inside pixel lies within `radius` pixels, 0 elsewhere. Radius 0 is the threshold.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn grow<T: Element, U: Element>(mask: View<'_, T, 3>, radius: f64, level: f64, out: &mut [U]) -> Result<()> {
    each(mask, radius, level, out, |bits, disc| reach(&bits, disc))
}

/// Writes 0 where an outside pixel lies within `radius` pixels, 1 elsewhere. Radius 0 is the threshold.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn shrink<T: Element, U: Element>(mask: View<'_, T, 3>, radius: f64, level: f64, out: &mut [U]) -> Result<()> {
    each(mask, radius, level, out, |mut bits, disc| {
        bits.complement();
        let mut outside = reach(&bits, disc);
        outside.complement();
        outside
    })
}

fn each<T: Element, U: Element>(
    mask: View<'_, T, 3>,
    radius: f64,
    level: f64,
    out: &mut [U],
    change: impl Fn(Bits, Disc) -> Bits + Sync + Send,
) -> Result<()> {
    ingest::check_length("radius", radius)?;
    let level = ingest::level_key::<T>(level)?;
    ingest::for_each_mask(mask, out, |index, out| {
        let bits = ingest::inside(mask, index, level)?;
        let disc = Disc::new(radius, bits.height, bits.width);
        emit(&if disc.height == 0 && disc.width == 0 { bits } else { change(bits, disc) }, out);
        Ok(())
    })
}

/// The pixels within the disc around any inside pixel.
fn reach(bits: &Bits, disc: Disc) -> Bits {
    // Spreading takes longer with every row of the disc, distances do not.
    if disc.height > LONG { within(Targets::new(bits, true), disc.squared) } else { spread(bits, disc) }
}

/// The pixels within a radius, as far as they matter in a mask of a certain size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disc {
    /// The largest squared distance, in whole numbers as all squared distances are.
    pub(super) squared: u64,
    /// Rows above and below the centre.
    pub(super) height: usize,
    /// Columns to the left and to the right of the centre.
    pub(super) width: usize,
}

impl Disc {
    fn new(radius: f64, height: usize, width: usize) -> Self {
        // No two pixels are farther apart than both sides together.
        let radius = radius.min((height + width) as f64);
        let squared = (radius * radius) as u64;
        let reach = squared.isqrt() as usize;
        Self { squared, height: reach.min(height.saturating_sub(1)), width: reach.min(width.saturating_sub(1)) }
    }

    /// Columns to the left and to the right of the centre, `offset` rows (at most `height`) away from it.
    pub(super) fn half_width(self, offset: usize) -> usize {
        let rest = self.squared - (offset * offset) as u64;
        (rest.isqrt() as usize).min(self.width)
    }
}
