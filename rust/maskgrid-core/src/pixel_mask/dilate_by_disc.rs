//! Dilation by a disc, 64 pixels at once.
//!
//! A disc is a stack of rows. From the outermost to the middle one they only get wider, so all rows of the mask are
//! widened step by step, and after each step they are laid over the result that many rows above and below.

use std::ops::Range;

use super::bit_mask::Bits;
use super::disc::Disc;
use crate::error::Result;
use crate::parallel;
use crate::scratch;
use crate::simd::vectorized;

/// The pixels within the disc around any inside pixel.
pub(super) fn dilate_by_disc(bits: &Bits, disc: Disc) -> Result<Bits> {
    let mut out = Bits::new(bits.height, bits.width)?;
    if bits.words.is_empty() {
        return Ok(out);
    }
    // Bands share the rows around them, so they should be higher than the disc.
    let band = (2 * disc.height).clamp(64, 1024).min(bits.height);
    let cost = band * bits.stride * (8 + 4 * disc.height);
    let stride = bits.stride;
    parallel::for_each_chunk(&mut out.words, band * stride, cost, |index, words| {
        let rows = index * band..index * band + words.len() / stride;
        vectorized(
            #[inline(always)]
            || dilate_band(bits, disc, rows, words),
        )
    })?;
    out.clip();
    Ok(out)
}

/// Writes the rows of a band.
#[inline(always)]
fn dilate_band(bits: &Bits, disc: Disc, rows: Range<usize>, out: &mut [u64]) -> Result<()> {
    let Some(mut wide) = Wide::new(bits, disc, rows.clone())? else {
        return Ok(());
    };
    let stride = wide.stride;
    let mut result = scratch::filled(0, rows.len() * stride)?;
    for offset in (0..=disc.height).rev() {
        let near = rows.start.saturating_sub(offset)..rows.end + offset;
        wide.widen(disc.half_width(offset), &near);
        let above = wide.rows.start.max(near.start)..wide.rows.end.min(rows.end.saturating_sub(offset));
        wide.lay(above, |row| row + offset - rows.start, &mut result);
        if offset > 0 {
            let below = wide.rows.start.max(rows.start + offset)..wide.rows.end.min(near.end);
            wide.lay(below, |row| row - offset - rows.start, &mut result);
        }
    }
    let len = wide.columns.len();
    for (out, result) in out.chunks_exact_mut(bits.stride).zip(result.chunks_exact(stride)) {
        out[wide.columns.clone()].copy_from_slice(&result[..len]);
    }
    Ok(())
}

/// Rows of a mask, each pixel widened to both sides by `reach`.
struct Wide {
    /// The rows that have inside pixels, and those between them.
    rows: Range<usize>,
    /// The words that the widest row reaches.
    columns: Range<usize>,
    /// Words between neighbouring rows, so that nothing gets from one into the next.
    room: usize,
    /// Words per row: the columns and the room.
    stride: usize,
    /// One word, the room, the rows, one word.
    words: Vec<u64>,
    spare: Vec<u64>,
    reach: usize,
}

impl Wide {
    /// The rows of a mask that a band needs, not widened yet; None if there is nothing in them.
    #[inline(always)]
    fn new(bits: &Bits, disc: Disc, band: Range<usize>) -> Result<Option<Self>> {
        let near = band.start.saturating_sub(disc.height)..(band.end + disc.height).min(bits.height);
        let occupied = |row: &usize| bits.row(*row).iter().any(|&word| word != 0);
        let (Some(first), Some(last)) = (near.clone().find(occupied), near.clone().rev().find(occupied)) else {
            return Ok(None);
        };
        let rows = first..last + 1;
        let mut any = scratch::filled(0, bits.stride)?;
        for row in rows.clone() {
            any.iter_mut().zip(bits.row(row)).for_each(|(any, &word)| *any |= word);
        }
        let room = disc.width.div_ceil(64);
        let occupied = |&word: &u64| word != 0;
        let (Some(first), Some(last)) = (any.iter().position(occupied), any.iter().rposition(occupied)) else {
            return Ok(None);
        };
        let columns = first.saturating_sub(room)..(last + 1 + room).min(bits.stride);
        let stride = columns.len() + room;
        let mut words = scratch::filled(0, room + rows.len() * stride + 2)?;
        for (wide, row) in words[1 + room..].chunks_exact_mut(stride).zip(rows.clone()) {
            wide[..columns.len()].copy_from_slice(&bits.row(row)[columns.clone()]);
        }
        let spare = scratch::filled(0, words.len())?;
        Ok(Some(Self { rows, columns, room, stride, spare, words, reach: 0 }))
    }

    /// Widens rows (those of them that there are) until each pixel reaches `reach` to both sides.
    #[inline(always)]
    fn widen(&mut self, reach: usize, rows: &Range<usize>) {
        let rows = rows.start.max(self.rows.start)..rows.end.min(self.rows.end);
        if rows.is_empty() {
            return;
        }
        // What gets beyond a row's ends is kept, on the left in the room before it: the next step starts from there.
        let start = 1 + (rows.start - self.rows.start) * self.stride;
        let len = self.room + rows.len() * self.stride;
        while self.reach < reach {
            // A step must not leave a hole between what lies left and right of a pixel.
            let step = (reach - self.reach).min(2 * self.reach + 1).min(63);
            let (left, right) = (step as u32, 64 - step as u32);
            let around = &self.words[start - 1..start + len + 1];
            let spare = &mut self.spare[start..start + len];
            for ((out, before), (word, after)) in spare.iter_mut().zip(around).zip(around[1..].iter().zip(&around[2..]))
            {
                *out = word | word << left | before >> right | word >> left | after << right;
            }
            std::mem::swap(&mut self.words, &mut self.spare);
            self.reach += step;
        }
    }

    /// Adds rows to the rows of the result that `place` names.
    #[inline(always)]
    fn lay(&self, rows: Range<usize>, place: impl Fn(usize) -> usize, result: &mut [u64]) {
        if rows.is_empty() {
            return;
        }
        let from = 1 + self.room + (rows.start - self.rows.start) * self.stride;
        let words = &self.words[from..][..rows.len() * self.stride];
        let result = &mut result[place(rows.start) * self.stride..][..words.len()];
        result.iter_mut().zip(words).for_each(|(result, &word)| *result |= word);
    }
}
