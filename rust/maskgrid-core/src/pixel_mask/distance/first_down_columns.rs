//! The first pass: how far each pixel is from the nearest target of its own column, one step a row.

use std::ops::Range;

use super::targets::Targets;
use crate::error::Result;
use crate::pixel_mask::bit_mask::unpack;
use crate::scratch;

/// A whole number that counts rows, first down the columns.
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
    pub(super) width: usize,
    pub(super) reach: usize,
}

impl<V: Steps> Vertical<V> {
    #[inline(always)]
    pub(super) fn new(targets: Targets<'_>, reach: usize, rows: Range<usize>) -> Result<Self> {
        let width = targets.bits.stride * 64;
        let mut steps = scratch::filled(V::default(), rows.len() * width)?;
        let mut before = scratch::filled(V::of(reach), width)?;
        outer(targets, reach, (0..rows.start).rev(), &mut before)?;
        let mut above = &before[..];
        for (row, current) in rows.clone().zip(steps.chunks_exact_mut(width)) {
            step_down(targets.row(row), V::of(reach), above, current);
            above = current;
        }
        let mut after = scratch::filled(V::of(reach), width)?;
        outer(targets, reach, rows.end..targets.bits.height, &mut after)?;
        let mut below = &after[..];
        for current in steps.chunks_exact_mut(width).rev() {
            for (current, below) in current.iter_mut().zip(below) {
                *current = (*current).min(below.next());
            }
            below = current;
        }
        Ok(Self { steps, width, reach })
    }

    #[inline(always)]
    pub(super) fn row(&self, index: usize) -> &[V] {
        &self.steps[index * self.width..][..self.width]
    }
}

/// Sets, for each column that has a target in `rows`, how many rows there are up to the first one, less one, if that is
/// less than `reach`.
#[inline(always)]
fn outer<V: Steps>(targets: Targets<'_>, reach: usize, rows: impl Iterator<Item = usize>, out: &mut [V]) -> Result<()> {
    let mut open = scratch::filled(u64::MAX, targets.bits.stride)?;
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
    Ok(())
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
