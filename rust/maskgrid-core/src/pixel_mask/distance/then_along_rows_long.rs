//! The second pass for any reach: along each row, in linear time.

use std::ops::Range;

use crate::error::Result;
use crate::scratch;

/// The lower envelope of the parabolas that stand on the columns of a row (Felzenszwalb and Huttenlocher, *Distance
/// transforms of sampled functions*, 2012), in whole numbers.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The parabolas that are lowest somewhere, from left to right.
    hull: Vec<Parabola>,
}

/// `(x - column)^2 + height`.
#[derive(Debug, Clone, Copy)]
struct Parabola {
    column: i64,
    height: i64,
    /// `height + column^2`: without `x^2`, which all have in common, parabolas are lines.
    constant: i64,
}

impl Parabola {
    fn new(column: usize, steps: u32) -> Self {
        let (column, height) = (column as i64, i64::from(steps).pow(2));
        Self { column, height, constant: height + column * column }
    }

    fn at(&self, column: i64) -> i64 {
        (column - self.column).pow(2) + self.height
    }

    /// Whether it is nowhere lower than both its neighbours.
    fn is_hidden(&self, left: &Self, right: &Self) -> bool {
        // It begins to be lower than the left one no earlier than the right one gets lower than it.
        (self.constant - left.constant) * (right.column - self.column)
            >= (right.constant - self.constant) * (self.column - left.column)
    }
}

impl Envelope {
    /// Scratch memory for distances along long rows.
    pub(super) const fn new() -> Self {
        Self { hull: Vec::new() }
    }

    /// Calls `each(column, squared distance)` for all columns of a row whose distances down the columns are known. A
    /// distance of `reach` down a column is none; squares from that of `reach` on are only given as such.
    pub(super) fn squares(&mut self, vertical: &[u32], reach: usize, mut each: impl FnMut(usize, u64)) -> Result<()> {
        let mut start = 0;
        // Targets shield what lies on one side of them from what lies on the other.
        for gap in vertical.split_inclusive(|&steps| steps == 0) {
            let (before, end) = (start.max(1) - 1, start + gap.len());
            if gap == [0] {
                each(start, 0);
            } else {
                self.build(before, &vertical[before..end], reach)?;
                self.lowest(start..end, reach, &mut each);
            }
            start = end;
        }
        Ok(())
    }

    /// Makes the envelope of columns from `first` on.
    fn build(&mut self, first: usize, vertical: &[u32], reach: usize) -> Result<()> {
        self.hull.clear();
        scratch::make_room(&mut self.hull, vertical.len())?;
        for (column, &steps) in (first..).zip(vertical).filter(|&(_, &steps)| (steps as usize) < reach) {
            let parabola = Parabola::new(column, steps);
            while let [.., left, last] = &self.hull[..]
                && last.is_hidden(left, &parabola)
            {
                self.hull.pop();
            }
            self.hull.push(parabola);
        }
        Ok(())
    }

    /// Calls `each` for some columns.
    fn lowest(&self, columns: Range<usize>, reach: usize, each: &mut impl FnMut(usize, u64)) {
        let [lowest, rest @ ..] = &self.hull[..] else {
            return columns.for_each(|column| each(column, (reach as u64).pow(2)));
        };
        let (mut lowest, mut rest) = (lowest, rest.iter().peekable());
        for column in columns {
            let mut squared = lowest.at(column as i64);
            while let Some(next) = rest.next_if(|next| next.at(column as i64) <= squared) {
                lowest = next;
                squared = next.at(column as i64);
            }
            each(column, squared as u64);
        }
    }
}
