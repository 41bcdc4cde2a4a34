//! Cells along one axis.

use std::ops::Range;

/// The smallest cell that is found, in pixels.
pub(super) const LEAST_CELL: usize = 8;
/// The most cells along an axis.
pub(super) const MOST_COUNT: usize = 64;
/// How many layouts are kept in each place.
pub(super) const MOST_GUESSES: usize = 8;

/// Equal cells along one axis, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) count: usize,
    pub(super) start: usize,
    pub(super) cell: usize,
    pub(super) gap: usize,
}

impl Layout {
    /// From one cell to the next.
    pub(super) const fn pitch(self) -> usize {
        self.cell + self.gap
    }

    /// Where the last cell ends.
    pub(super) const fn end(self) -> usize {
        self.start + self.count * self.pitch() - self.gap
    }

    /// Whether every line of so many lies in a cell.
    pub(super) const fn covers(self, length: usize) -> bool {
        self.start == 0 && self.gap == 0 && self.end() == length
    }

    /// Whether what no cell covers is there only because the length can't be shared out.
    pub(super) const fn has_rest(self, length: usize) -> bool {
        self.start == 0 && self.gap == 0 && length - self.end() < self.count
    }

    pub(super) fn cells(self) -> impl ExactSizeIterator<Item = Range<usize>> {
        (0..self.count).map(move |index| {
            let start = self.start + index * self.pitch();
            start..start + self.cell
        })
    }
}

/// A layout and how much speaks for it, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    pub(super) layout: Layout,
    pub(super) score: f64,
}

/// Sorts guesses, best first, and keeps some.
pub(super) fn keep_best(guesses: &mut Vec<Guess>) {
    guesses.sort_by(|a, b| b.score.total_cmp(&a.score));
    guesses.truncate(MOST_GUESSES);
}
