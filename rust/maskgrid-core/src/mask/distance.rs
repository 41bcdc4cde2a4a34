//! Exact Euclidean distances to the nearest target, up to a reach.
//!
//! First down the columns, one step a row; then along each row, where the squared distance of a pixel is the least of
//! `dx * dx + dy * dy` over all columns `dx` away, `dy` the column's own distance. Short reaches try every column,
//! many pixels at once; long ones keep the lower envelope of the parabolas, in linear time.

use std::ops::Range;

use super::bits::{Bits, unpack};
use super::envelope::Envelope;
use super::near;
use crate::parallel;
use crate::simd::vectorized;

/// Rows that [`within`] looks at together.
const BAND: usize = 128;

/// The pixels that distances are measured to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets<'a> {
    bits: &'a Bits,
    /// Turns the bits into those of the targets.
    flip: u64,
}

impl<'a> Targets<'a> {
    /// The pixels that are inside (or are not).
    pub(super) fn new(bits: &'a Bits, inside: bool) -> Self {
        Self { bits, flip: if inside { 0 } else { u64::MAX } }
    }

    /// The words of a row.
    #[inline(always)]
    fn row(self, row: usize) -> impl Iterator<Item = u64> + 'a {
        let Self { bits, flip } = self;
        let (end, last) = (bits.stride - 1, bits.last_word());
        let valid = move |index: usize| if index == end { last } else { u64::MAX };
        bits.row(row).iter().enumerate().map(move |(index, &word)| (word ^ flip) & valid(index))
    }
}

/// Distances in a band of rows.
#[derive(Debug)]
pub(super) enum Distances {
    /// For reaches up to [`near::MOST`].
    Near {
        /// Distances down the columns, and the reach beyond it.
        vertical: Vertical<u16>,
        /// The squares of one row with room at both ends.
        squares: Vec<u16>,
    },
    /// For all others.
    Far(Vertical<u32>, Envelope),
}

impl Distances {
    /// Distances to targets in some rows; those from `reach` on (at least 1) are all given as `reach`.
    pub(super) fn new(targets: Targets<'_>, reach: usize, rows: Range<usize>) -> Self {
        if reach <= near::MOST {
            let vertical = vectorized(
                #[inline(always)]
                || Vertical::new(targets, reach, rows),
            );
            let squares = vec![(reach * reach) as u16; vertical.width + 2 * reach];
            return Self::Near { vertical, squares };
        }
        let vertical = vectorized(
            #[inline(always)]
            || Vertical::new(targets, reach, rows),
        );
        Self::Far(vertical, Envelope::new())
    }

    /// Writes the distances in a row of the band; `out` is as long as the row.
    pub(super) fn row(&mut self, index: usize, out: &mut [f32]) {
        match self {
            Self::Near { vertical, squares } => vectorized(
                #[inline(always)]
                || near::distances(vertical.row(index), vertical.reach, squares, out),
            ),
            Self::Far(vertical, envelope) => {
                let most = (vertical.reach as u64).pow(2);
                envelope.squares(&vertical.row(index)[..out.len()], vertical.reach, |column, squared| {
                    out[column] = squared.min(most) as f32;
                });
                out.iter_mut().for_each(|out| *out = out.sqrt());
            }
        }
    }
}

/// The pixels within a distance of a target, its square given; for distances of any length.
pub(super) fn within(targets: Targets<'_>, squared: u64) -> Bits {
    let Targets { bits, .. } = targets;
    let mut out = Bits::new(bits.height, bits.width);
    let (stride, reach) = (bits.stride.max(1), squared.isqrt() as usize + 1);
    parallel::for_each_costly_chunk(&mut out.words, stride * BAND, BAND * bits.width * 32, |index, words| {
        let rows = index * BAND..index * BAND + words.len() / stride;
        let vertical = vectorized(
            #[inline(always)]
            || Vertical::<u32>::new(targets, reach, rows),
        );
        let mut envelope = Envelope::new();
        for (row, words) in words.chunks_exact_mut(stride).enumerate() {
            let vertical = &vertical.row(row)[..bits.width];
            envelope.squares(vertical, reach, |column, distance| {
                words[column / 64] |= u64::from(distance <= squared) << (column % 64);
            });
        }
    });
    out
}

/// A whole number that counts rows.
pub(super) trait Steps: Copy + Ord + Default {
    /// This many; it has to fit.
    fn of(count: usize) -> Self;
    /// One more.
    fn next(self) -> Self;
}

impl Steps for u16 {
    #[inline(always)]
    fn of(count: usize) -> Self {
        count as Self
    }

    #[inline(always)]
    fn next(self) -> Self {
        self + 1
    }
}

impl Steps for u32 {
    #[inline(always)]
    fn of(count: usize) -> Self {
        count as Self
    }

    #[inline(always)]
    fn next(self) -> Self {
        self + 1
    }
}

/// Distances down the columns in a band of rows.
#[derive(Debug)]
pub(super) struct Vertical<V> {
    /// (rows, width).
    steps: Vec<V>,
    /// Columns, rounded up to whole words; those that do not exist have no targets.
    width: usize,
    reach: usize,
}

impl<V: Steps> Vertical<V> {
    #[inline(always)]
    fn new(targets: Targets<'_>, reach: usize, rows: Range<usize>) -> Self {
        let width = targets.bits.stride * 64;
        let mut steps = vec![V::default(); rows.len() * width];
        let mut before = vec![V::of(reach); width];
        outer(targets, reach, (0..rows.start).rev(), &mut before);
        let mut above = &before[..];
        for (row, current) in rows.clone().zip(steps.chunks_exact_mut(width)) {
            step_down(targets.row(row), V::of(reach), above, current);
            above = current;
        }
        let mut after = vec![V::of(reach); width];
        outer(targets, reach, rows.end..targets.bits.height, &mut after);
        let mut below = &after[..];
        for current in steps.chunks_exact_mut(width).rev() {
            for (current, below) in current.iter_mut().zip(below) {
                *current = (*current).min(below.next());
            }
            below = current;
        }
        Self { steps, width, reach }
    }

    #[inline(always)]
    fn row(&self, index: usize) -> &[V] {
        &self.steps[index * self.width..][..self.width]
    }
}

/// Sets, for each column that has a target in `rows`, how many rows there are up to the first one, less one, if that is
/// less than `reach`.
#[inline(always)]
fn outer<V: Steps>(targets: Targets<'_>, reach: usize, rows: impl Iterator<Item = usize>, out: &mut [V]) {
    let mut open = vec![u64::MAX; targets.bits.stride];
    for (distance, row) in (0..reach).zip(rows) {
        let mut left = 0;
        for ((index, word), open) in targets.row(row).enumerate().zip(&mut open) {
            let mut found = word & *open;
            *open ^= found;
            left |= *open;
            while found != 0 {
                out[64 * index + found.trailing_zeros() as usize] = V::of(distance);
                found &= found - 1;
            }
        }
        if left == 0 {
            break;
        }
    }
}

/// One row from the one above it: 0 at targets, one more elsewhere.
#[inline(always)]
fn step_down<V: Steps>(targets: impl Iterator<Item = u64>, reach: V, above: &[V], out: &mut [V]) {
    for ((word, above), out) in targets.zip(above.chunks_exact(64)).zip(out.chunks_exact_mut(64)) {
        if word == u64::MAX {
            out.fill(V::default());
            continue;
        }
        out.iter_mut().zip(above).for_each(|(out, above)| *out = above.next().min(reach));
        if word != 0 {
            let mut hit = [0_u8; 64];
            unpack(&[word], &mut hit);
            out.iter_mut().zip(hit).for_each(|(out, hit)| *out = if hit == 0 { *out } else { V::default() });
        }
    }
}
