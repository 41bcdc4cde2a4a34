//! Growing and shrinking by a disc.

use super::bit_mask::Bits;
use super::dilate_by_disc::dilate_by_disc;
use super::disc::Disc;
use super::distance::{Targets, within};
use super::read_mask::{MaskReader, check_length, level_key};
use super::write_mask::write_mask;
use crate::error::Result;
use crate::mask_element::Element;
use crate::strided_view::View;

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
        let mut outside = reach(&bits, disc)?;
        outside.complement();
        Ok(outside)
    })
}

fn each<T: Element, U: Element>(
    mask: View<'_, T, 3>,
    radius: f64,
    level: f64,
    out: &mut [U],
    change: impl Fn(Bits, Disc) -> Result<Bits> + Sync + Send,
) -> Result<()> {
    check_length("radius", radius)?;
    let level = level_key::<T>(level)?;
    let reader = MaskReader::new(mask)?;
    reader.for_each_mask(out, |index, out| {
        let bits = reader.inside(index, level)?;
        let disc = Disc::new(radius, bits.height, bits.width);
        write_mask(&if disc.height == 0 && disc.width == 0 { bits } else { change(bits, disc)? }, out)
    })
}

/// The pixels within the disc around any inside pixel.
fn reach(bits: &Bits, disc: Disc) -> Result<Bits> {
    // Spreading takes longer with every row of the disc, distances do not.
    if disc.height > LONG { within(Targets::new(bits, true), disc.squared) } else { dilate_by_disc(bits, disc) }
}
