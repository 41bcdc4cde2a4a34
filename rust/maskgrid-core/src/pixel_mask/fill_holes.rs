//! Filling holes.

use super::bit_mask::Bits;
use super::read_mask::{MaskReader, level_key};
use super::write_mask::write_mask;
use crate::error::Result;
use crate::mask_element::Element;
use crate::scratch;
use crate::strided_view::View;

/// Writes 1 where the mask is inside or lies in a hole: outside pixels with no way to the border over the 4 neighbours
/// of a pixel. 0 elsewhere.
///
/// # Errors
/// When a number is outside its range or `out` has another size than the mask.
pub fn fill_holes<T: Element, U: Element>(mask: View<'_, T, 3>, level: f64, out: &mut [U]) -> Result<()> {
    let level = level_key::<T>(level)?;
    let reader = MaskReader::new(mask)?;
    reader.for_each_mask(out, |index, out| {
        let mut bits = reader.inside(index, level)?;
        fill(&mut bits)?;
        write_mask(&bits, out)
    })
}

/// Pixels of one row that lie side by side, all outside.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    /// A run of the same region that comes before this one, or this one.
    parent: u32,
}

/// What touches the border belongs to the region of run 0, which has no pixels of its own.
const OPEN: u32 = 0;

/// Regions of runs, joined row by row: linear in the number of runs, however they wind.
#[derive(Debug)]
struct Regions(Vec<Run>);

impl Regions {
    /// The first run of a run's region.
    fn root(&mut self, mut run: u32) -> u32 {
        let runs = &mut self.0;
        while runs[run as usize].parent != run {
            let grandparent = runs[runs[run as usize].parent as usize].parent;
            runs[run as usize].parent = grandparent;
            run = grandparent;
        }
        run
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize].parent = a.min(b);
    }

    /// Appends the runs of a row; those that reach its ends are open, and all are `if open`.
    fn add_row(&mut self, row: &[u64], width: u32, open: bool) -> Result<()> {
        // Between two of its runs lies a pixel.
        scratch::make_room(&mut self.0, width as usize / 2 + 1)?;
        let mut start = None;
        let mut before = 1;
        for (&word, first) in row.iter().zip((0_u32..).step_by(64)) {
            let mut changes = word ^ (word << 1 | before);
            before = word >> 63;
            while changes != 0 && first + changes.trailing_zeros() < width {
                let place = first + changes.trailing_zeros();
                changes &= changes - 1;
                match start.take() {
                    None => start = Some(place),
                    Some(start) => self.add(start, place, open || start == 0),
                }
            }
        }
        if let Some(start) = start {
            self.add(start, width, true);
        }
        Ok(())
    }

    fn add(&mut self, start: u32, end: u32, open: bool) {
        let parent = if open { OPEN } else { self.0.len() as u32 };
        self.0.push(Run { start, end, parent });
    }

    /// Joins the runs of two neighbouring rows that have a column in common.
    fn join_rows(&mut self, mut above: std::ops::Range<u32>, mut below: std::ops::Range<u32>) {
        while !above.is_empty() && !below.is_empty() {
            let (a, b) = (self.0[above.start as usize], self.0[below.start as usize]);
            if a.start < b.end && b.start < a.end {
                self.join(above.start, below.start);
            }
            if a.end <= b.end {
                above.start += 1;
            } else {
                below.start += 1;
            }
        }
    }
}

/// Makes the holes of a mask inside.
fn fill(bits: &mut Bits) -> Result<()> {
    let (height, width) = (bits.height, bits.width as u32);
    let mut regions = Regions(scratch::filled(Run { start: 0, end: 0, parent: OPEN }, 1)?);
    let mut starts = scratch::with_room(height + 1)?;
    starts.push(1);
    for row in 0..height {
        regions.add_row(bits.row(row), width, row == 0 || row == height - 1)?;
        let end = regions.0.len() as u32;
        if let [.., above, below] = starts[..] {
            regions.join_rows(above..below, below..end);
        }
        starts.push(end);
    }
    let ends = &starts[1..];
    for (row, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        for run in start..end {
            if regions.root(run) != OPEN {
                let Run { start, end, .. } = regions.0[run as usize];
                let first = row * bits.stride;
                set(&mut bits.words[first..first + bits.stride], start as usize, end as usize);
            }
        }
    }
    Ok(())
}

/// Sets the bits `start..end`.
fn set(row: &mut [u64], start: usize, end: usize) {
    for (index, word) in row.iter_mut().enumerate().take(end.div_ceil(64)).skip(start / 64) {
        let from = start.saturating_sub(64 * index);
        let to = (end - 64 * index).min(64);
        *word |= (u64::MAX >> (64 - (to - from))) << from;
    }
}
