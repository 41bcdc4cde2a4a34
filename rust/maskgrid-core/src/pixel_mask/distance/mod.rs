//! Exact Euclidean distances to the nearest target, up to a reach, in two passes.
//!
//! 1. [`first_down_columns`]: how many rows each pixel is away from the nearest target of its column.
//! 2. Then along each row: the squared distance of a pixel is the least of `dx * dx + dy * dy` over all columns `dx`
//!    away, `dy` the column's own distance. [`then_along_rows_short`] tries every column, many pixels at once;
//!    [`then_along_rows_long`] keeps the lower envelope of the parabolas, in linear time.
//!
//! The two passes are those of Saito and Toriwaki, *New algorithms for Euclidean distance transformation of an
//! n-dimensional digitized picture*, Pattern Recognition 27 (1994); the envelope is that of Felzenszwalb and
//! Huttenlocher, *Distance transforms of sampled functions*, Theory of Computing 8 (2012).

mod first_down_columns;
mod targets;
mod then_along_rows_long;
mod then_along_rows_short;

use std::ops::Range;

use self::first_down_columns::Vertical;
pub(super) use self::targets::Targets;
use self::then_along_rows_long::Envelope;
pub(super) use self::then_along_rows_short::MOST as MOST_SHORT;
use super::bit_mask::Bits;
use crate::error::Result;
use crate::parallel;
use crate::scratch;
use crate::simd::vectorized;

/// Rows that [`within`] looks at together.
const BAND: usize = 128;

/// Distances to the nearest target in a band of rows.
#[derive(Debug)]
pub(super) struct Distances(Passes);

#[derive(Debug)]
enum Passes {
    /// For reaches up to [`MOST_SHORT`].
    Short {
        /// Distances down the columns, and the reach beyond it.
        vertical: Vertical<u16>,
        /// The squares of one row with room at both ends.
        squares: Vec<u16>,
    },
    /// For all others.
    Long(Vertical<u32>, Envelope),
}

impl Distances {
    /// Distances to targets in some rows; those from `reach` on (at least 1) are all given as `reach`.
    pub(super) fn new(targets: Targets<'_>, reach: usize, rows: Range<usize>) -> Result<Self> {
        if reach <= MOST_SHORT {
            let vertical = vectorized(
                #[inline(always)]
                || Vertical::new(targets, reach, rows),
            )?;
            let squares = scratch::filled((reach * reach) as u16, vertical.width + 2 * reach)?;
            return Ok(Self(Passes::Short { vertical, squares }));
        }
        let vertical = vectorized(
            #[inline(always)]
            || Vertical::new(targets, reach, rows),
        )?;
        Ok(Self(Passes::Long(vertical, Envelope::new())))
    }

    /// Writes the distances in a row of the band; `out` is as long as the row.
    pub(super) fn row(&mut self, index: usize, out: &mut [f32]) -> Result<()> {
        match &mut self.0 {
            Passes::Short { vertical, squares } => vectorized(
                #[inline(always)]
                || then_along_rows_short::distances(vertical.row(index), vertical.reach, squares, out),
            ),
            Passes::Long(vertical, envelope) => {
                let most = (vertical.reach as u64).pow(2);
                envelope.squares(&vertical.row(index)[..out.len()], vertical.reach, |column, squared| {
                    out[column] = squared.min(most) as f32;
                })?;
                out.iter_mut().for_each(|out| *out = out.sqrt());
            }
        }
        Ok(())
    }
}

/// The pixels within a distance of a target, its square given; for distances of any length.
pub(super) fn within(targets: Targets<'_>, squared: u64) -> Result<Bits> {
    let bits = targets.bits;
    let mut out = Bits::new(bits.height, bits.width)?;
    let (stride, reach) = (bits.stride.max(1), squared.isqrt() as usize + 1);
    parallel::for_each_chunk(&mut out.words, stride * BAND, BAND * bits.width * 32, |index, words| {
        let rows = index * BAND..index * BAND + words.len() / stride;
        let vertical = vectorized(
            #[inline(always)]
            || Vertical::<u32>::new(targets, reach, rows),
        )?;
        let mut envelope = Envelope::new();
        for (row, words) in words.chunks_exact_mut(stride).enumerate() {
            let vertical = &vertical.row(row)[..bits.width];
            envelope.squares(vertical, reach, |column, distance| {
                words[column / 64] |= u64::from(distance <= squared) << (column % 64);
            })?;
        }
        Ok(())
    })?;
    Ok(out)
}
