//! Finding the cells of a sheet in its pixels: by their edges, by the empty lines between them, and by repeats.
//!
//! Rows and columns are found apart from each other, from how much changes from line to line and along each line. Then
//! each axis is looked at again within the cells of the other, where gutters and margins no longer mix in.

mod by_edges;
mod by_emptiness;
mod by_repeats;
mod layout;
mod line_profiles;

use std::slice;

use by_edges::guess_by_edges;
use by_emptiness::guess_by_emptiness;
use by_repeats::guess_by_repeats;
use layout::{Guess, Layout};
use line_profiles::{Lines, measure_lines};

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::rect::{Pixel, Size};
use crate::strided_view::View;

/// The most grids that are told of a picture.
const MOST: usize = 5;
/// How far a single cell is believed: that is a picture, no sheet.
const TRUST_IN_ONE_CELL: f64 = 0.25;
/// How far cells that are three times as long as wide are believed, where nothing parts them along their length.
const TRUST_IN_LONG_CELLS: f64 = 0.8;
/// How far empty lines are believed where edges say something else.
const TRUST_IN_EMPTINESS: f64 = 0.85;
/// From here on edges on both axes need no second look.
const PLAIN: f64 = 0.97;

/// A grid that a sheet may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// Where the cells lie; its stride is 1.
    pub grid: Grid,
    /// How much speaks for it, 0 to 1.
    pub confidence: f64,
}

/// The grids that a picture (height, width, channels) may have, the likeliest first; at least one, at most 5.
///
/// Channels are grey, grey and alpha, RGB, or RGBA. Where edges of cells can be seen the grid has them, to the pixel.
/// Where they can't, as with sprites on one common ground, it is one in which every sprite lies in a cell of its own.
///
/// # Errors
/// When there is no pixel, another number of channels, a side beyond [`MAX_SIDE`](crate::MAX_SIDE), or not enough
/// memory.
pub fn detect_grids(image: View<'_, u8, 3>) -> Result<Vec<Detected>> {
    let [height, width, channels] = image.shape();
    if image.is_empty() || !(1..=4).contains(&channels) {
        return Err(Error::shape("image", &image.shape(), "(H, W, C) with pixels, C of 1 to 4"));
    }
    // Whether it is too large is known before it is read.
    let canvas = Size::new(side(height), side(width));
    Grid::builder(1, 1).from_canvas(canvas)?;
    let [down, across] = measure_lines(image, slice::from_ref(&(0..height)), slice::from_ref(&(0..width)))?;
    let (mut rows, mut columns) = (guess(&down), guess(&across));
    let (row, column) = (rows[0], columns[0]);
    let covers_all = row.layout.covers(height) && column.layout.covers(width);
    let are_plain = [row, column].iter().all(|guess| guess.layout.count > 1 && guess.score > PLAIN);
    if !covers_all && !are_plain {
        let row_ranges: Vec<_> = row.layout.cells().collect();
        let column_ranges: Vec<_> = column.layout.cells().collect();
        let [down, across] = measure_lines(image, &row_ranges, &column_ranges)?;
        look_again(&mut rows, &down, column.score);
        look_again(&mut columns, &across, row.score);
    }
    pair_axes(&rows, &columns, canvas)
}

/// Grids of the layouts of both axes.
fn pair_axes(rows: &[Guess], columns: &[Guess], canvas: Size<Pixel>) -> Result<Vec<Detected>> {
    let mut found = Vec::with_capacity(rows.len() * columns.len());
    for row in rows {
        for column in columns {
            let (y, x) = (row.layout, column.layout);
            let grid = Grid::builder(side(y.count), side(x.count))
                .gap(Size::new(side(y.gap), side(x.gap)))
                .margin(Size::new(side(y.start), side(x.start)))
                .stride(1)
                .from_cell_and_canvas(Size::new(side(y.cell), side(x.cell)), canvas)?;
            let is_one = |axis: Layout, other: Layout| axis.count == 1 && axis.cell >= 3 * other.cell;
            let trust = match grid.cell_count() {
                1 => TRUST_IN_ONE_CELL,
                _ if is_one(y, x) || is_one(x, y) => TRUST_IN_LONG_CELLS,
                _ => 1.0,
            };
            found.push(Detected { grid, confidence: row.score * column.score * trust });
        }
    }
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    found.truncate(MOST);
    Ok(found)
}

fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Guesses once more by lines that were measured within the cells of the other axis, which are trusted so far.
fn look_again(guesses: &mut Vec<Guess>, lines: &Lines, trust: f64) {
    let mut again = guess(lines);
    look_inside(&mut again, lines);
    again.iter_mut().for_each(|guess| guess.score *= trust.sqrt());
    guesses.iter_mut().for_each(|guess| guess.score *= 1.0 - 0.5 * trust);
    guesses.extend(again);
    sort_distinct(guesses);
}

/// A single cell whose edges can be seen may be what lies around all of them.
fn look_inside(guesses: &mut Vec<Guess>, lines: &Lines) {
    let outer = guesses[0];
    if outer.layout.count > 1 || outer.layout.cell == lines.step.len() {
        return;
    }
    let range = outer.layout.start..outer.layout.end();
    let inner = guess(&lines.part(range.clone()));
    if inner[0].layout.count == 1 {
        return;
    }
    for guess in guesses.iter_mut().filter(|guess| guess.layout.count == 1) {
        guess.score *= 1.0 - inner[0].score;
    }
    for mut guess in inner {
        guess.layout.start += range.start;
        guess.score *= outer.score;
        guesses.extend(with_room(guess, lines.step.len()));
    }
    sort_distinct(guesses);
}

/// A guess, and where the margin has room for one more cell, which may be empty, that one too.
fn with_room(guess: Guess, length: usize) -> Vec<Guess> {
    let Guess { layout, score } = guess;
    let (pitch, rest) = (layout.pitch(), length - layout.end());
    let longer = match (layout.start >= pitch, rest >= pitch) {
        (true, false) => Layout { start: layout.start - pitch, count: layout.count + 1, ..layout },
        (false, true) => Layout { count: layout.count + 1, ..layout },
        _ => return vec![guess],
    };
    let is_even = longer.start == length - longer.end();
    let (longer_trust, trust) = if is_even { (0.6, 0.3) } else { (0.3, 0.4) };
    vec![Guess { layout: longer, score: score * longer_trust }, Guess { layout, score: score * trust }]
}

/// Layouts along one axis, best first; at least one.
fn guess(lines: &Lines) -> Vec<Guess> {
    let mut guesses = guess_by_edges(lines);
    let mut others = guess_by_emptiness(lines);
    others.iter_mut().for_each(|guess| guess.score *= TRUST_IN_EMPTINESS);
    others.extend(guess_by_repeats(lines));
    let several = others.iter().filter(|guess| guess.layout.count > 1).map(|guess| guess.score).fold(0.0, f64::max);
    for guess in others.iter_mut().filter(|guess| guess.layout.count == 1) {
        guess.score *= 1.0 - 0.6 * several.powi(2);
    }
    guesses.extend(others);
    if !guesses.iter().any(|guess| guess.layout.count == 1 && guess.score > 0.5) {
        // Nothing speaks for one cell but that nothing else is found.
        let best = guesses.iter().map(|guess| guess.score).fold(0.0, f64::max);
        let layout = Layout { count: 1, start: 0, cell: lines.step.len(), gap: 0 };
        guesses.push(Guess { layout, score: 0.85 * (1.0 - best).powi(3) });
    }
    sort_distinct(&mut guesses);
    guesses[0].score *= 1.0 - 0.8 * parted_inside(lines, guesses[0].layout);
    sort_distinct(&mut guesses);
    guesses
}

/// How much it looks as if one of several cells were three or more: as where an empty cell parts two runs of them.
fn parted_inside(lines: &Lines, layout: Layout) -> f64 {
    if layout.count == 1 {
        return 0.0;
    }
    let part = lines.part(layout.start..layout.start + layout.cell);
    let inner = guess_by_emptiness(&part);
    inner.iter().filter(|guess| guess.layout.count > 2).map(|guess| guess.score).fold(0.0, f64::max)
}

/// Best first, each layout once.
fn sort_distinct(guesses: &mut Vec<Guess>) {
    guesses.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut distinct: Vec<Guess> = Vec::with_capacity(layout::MOST_GUESSES);
    for &guess in guesses.iter() {
        if distinct.len() < layout::MOST_GUESSES && !distinct.iter().any(|known| known.layout == guess.layout) {
            distinct.push(guess);
        }
    }
    *guesses = distinct;
}
