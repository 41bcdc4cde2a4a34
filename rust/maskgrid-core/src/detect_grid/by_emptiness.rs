//! Cells whose edges can't be seen: what lies in them is parted by empty lines, at regular places.

use std::iter;
use std::ops::Range;

use super::layout::{Guess, LEAST_CELL, Layout, MOST_COUNT, MOST_GUESSES, keep_best};
use super::line_profiles::Lines;

/// What counts as empty, as a share of the unrest of busy lines, and how far layouts by it are trusted.
const LEVELS: [(f32, f64); 4] = [(0.0, 1.0), (0.08, 0.9), (0.2, 0.8), (0.35, 0.6)];
/// The unrest of an empty line, in a picture with noise and in one without.
const EMPTY: (f32, f32) = (0.01, 0.0);

/// Layouts by the empty lines between cells, best first; where no line is empty, by those that nearly are.
pub(super) fn guess_by_emptiness(lines: &Lines) -> Vec<Guess> {
    let mut usual = lines.unrest.clone();
    usual.sort_by(f32::total_cmp);
    let usual = usual[usual.len() * 3 / 4];
    let mut found: Vec<Guess> = Vec::new();
    for (share, trust) in LEVELS {
        let is_enough = |guess: &Guess| guess.score > 0.5 && (guess.layout.count > 1 || !lines.is_noisy);
        if found.first().is_some_and(is_enough) {
            break;
        }
        let level = (share * usual).max(if lines.is_noisy { EMPTY.0 } else { EMPTY.1 });
        let guesses = guess_at_level(lines, level);
        found.extend(guesses.into_iter().map(|guess| {
            // Noise fills lines between cells, and any two parts of something make two cells.
            let trust = match guess.layout.count {
                1 if lines.is_noisy || share > 0.0 => 0.6 * trust,
                2 if share > 0.0 => 0.6 * trust,
                2 => 0.8 * trust,
                _ => trust,
            };
            Guess { score: guess.score * trust, ..guess }
        }));
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
    found.truncate(MOST_GUESSES);
    found
}

/// Layouts where lines with no more unrest are empty.
fn guess_at_level(lines: &Lines, level: f32) -> Vec<Guess> {
    let segments = busy_segments(lines, level);
    let length = lines.step.len();
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Vec::new();
    };
    // Where nothing is empty nothing is known, nor where everything is in shreds.
    let is_full = first.len() == length;
    if is_full || segments.len() > 4 * MOST_COUNT {
        return Vec::new();
    }
    let (low, high) = (first.start as isize, last.end as isize);
    let longest = segments.iter().map(Range::len).max().unwrap_or(length);
    let mut best: Vec<Option<Guess>> = vec![None; MOST_COUNT + 1];
    let mut consider = |start: isize, pitch: usize, count: usize| {
        if (1..=MOST_COUNT).contains(&count)
            && let Some(guess) = judge(&segments, length, start, pitch, count)
            && best[count].is_none_or(|known| known.score < guess.score)
        {
            best[count] = Some(guess);
        }
    };
    consider(0, length, 1);
    for pair in segments.windows(2) {
        let cut = (pair[0].end + pair[1].start) / 2;
        consider(0, cut, 2);
        consider(2 * cut as isize - length as isize, length - cut, 2);
    }
    for pitch in longest.max(LEAST_CELL)..=length / 2 + 1 {
        for cut in free_cuts(&segments, pitch) {
            let step = pitch as isize;
            let start = cut as isize + (low - cut as isize).div_euclid(step) * step;
            let count = ((high - start) as usize).div_ceil(pitch);
            consider(start, pitch, count);
            // The first cell or the last one may be empty.
            consider(start, pitch, count + 1);
            consider(start - step, pitch, count + 1);
        }
    }
    let seen = 1.0 - visible_edges(lines, level);
    best.iter_mut().flatten().for_each(|guess| guess.score *= seen);
    let mut guesses: Vec<Guess> = best.into_iter().flatten().collect();
    keep_best(&mut guesses);
    guesses
}

/// How much it looks as if the edges of cells could be seen, 0 to 0.6: steps that most of a line takes at once.
fn visible_edges(lines: &Lines, level: f32) -> f64 {
    let length = lines.step.len();
    // Noise fills the empty lines beside an edge.
    let reach = if lines.is_noisy { 3 } else { 1 };
    let is_beside_empty = |place: usize| {
        let around = place.saturating_sub(reach)..(place + reach).min(length);
        lines.unrest[around].iter().any(|&unrest| unrest <= level)
    };
    let strongest =
        (1..length).filter(|&place| is_beside_empty(place)).map(|place| lines.step[place]).fold(0.0, f32::max);
    0.6 * f64::from((strongest - 0.35) / 0.3).clamp(0.0, 1.0)
}

/// Lines with something in them, one after the other.
fn busy_segments(lines: &Lines, level: f32) -> Vec<Range<usize>> {
    let mut segments: Vec<Range<usize>> = Vec::new();
    for (place, &unrest) in lines.unrest.iter().enumerate() {
        if unrest <= level {
            continue;
        }
        match segments.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => segments.push(place..place + 1),
        }
    }
    segments
}

/// Places, as rests of the pitch, at which no cut goes through a segment: 0 if it is one, and the middle of the widest.
fn free_cuts(segments: &[Range<usize>], pitch: usize) -> Vec<usize> {
    // Cuts strictly inside of a segment go through it.
    let mut walls: Vec<Range<usize>> = Vec::with_capacity(2 * segments.len());
    for segment in segments.iter().filter(|segment| segment.len() > 1) {
        let first = (segment.start + 1) % pitch;
        let last = first + segment.len() - 1;
        walls.push(first..last.min(pitch));
        if last > pitch {
            walls.push(0..last - pitch);
        }
    }
    walls.sort_unstable_by_key(|wall| wall.start);
    let Some(first) = walls.first().map(|wall| wall.start) else {
        return vec![0];
    };
    let mut reached = first;
    let mut widest = 0..0;
    for wall in walls.iter().cloned().chain(iter::once(first + pitch..first + pitch)) {
        if wall.start.saturating_sub(reached) > widest.len() {
            widest = reached..wall.start;
        }
        reached = reached.max(wall.end);
    }
    let mut cuts = Vec::with_capacity(2);
    if !walls.iter().any(|wall| wall.contains(&0)) {
        cuts.push(0);
    }
    if !widest.is_empty() {
        cuts.push((widest.start + widest.end) / 2 % pitch);
    }
    cuts
}

/// A guess with these slots, each of which holds whole segments.
fn judge(segments: &[Range<usize>], length: usize, start: isize, pitch: usize, count: usize) -> Option<Guess> {
    let layout = fit(segments, length, start, pitch, count)?;
    let slots = fill_slots(segments, start, pitch, count);
    let share = |pixels: f64| pixels / pitch as f64;
    let empty = slots.held.iter().filter(|slot| slot.is_none()).count() as f64 / count as f64;
    let between = |pair: &[Option<Range<usize>>]| Some(pair[1].as_ref()?.start - pair[0].as_ref()?.end);
    let narrowest = slots.held.windows(2).filter_map(between).min().unwrap_or(pitch / 4);
    let parted = (slots.widest_inside as f64 / (narrowest as f64 + 0.5)).min(1.5);
    let (mean, spread) = off_centre(&slots.held, start, pitch);
    let rest = length as f64 - (start as f64 + (count * pitch) as f64);
    let is_exact = start == 0 && count * pitch == length;
    // A margin that one more cell would nearly fit into.
    let has_room = rest.max(start as f64) >= 0.9 * pitch as f64;
    let shape = if is_exact { 0.0 } else { 0.02 + 0.2 * share((rest - start as f64).abs()) };
    let room = if has_room && !is_exact { 0.5 } else { 0.0 };
    let cost = 1.2 * parted + empty + 3.0 * share(spread) + 0.5 * share(mean.abs()) + shape + room;
    // Small costs say little, but still which of two layouts is the neater one.
    Some(Guess { layout, score: (-(cost - 0.1).max(0.02 * cost)).exp() })
}

/// What lies in each slot.
struct Slots {
    held: Vec<Option<Range<usize>>>,
    /// The widest empty space inside of a slot.
    widest_inside: usize,
}

fn fill_slots(segments: &[Range<usize>], start: isize, pitch: usize, count: usize) -> Slots {
    let mut slots = Slots { held: vec![None; count], widest_inside: 0 };
    for segment in segments {
        let slot = ((segment.start as isize - start) as usize / pitch).min(count - 1);
        match &mut slots.held[slot] {
            Some(held) => {
                slots.widest_inside = slots.widest_inside.max(segment.start - held.end);
                held.end = segment.end;
            }
            free => *free = Some(segment.clone()),
        }
    }
    slots
}

/// How far what lies in slots is from their middle: mean and standard deviation, in pixels.
fn off_centre(slots: &[Option<Range<usize>>], start: isize, pitch: usize) -> (f64, f64) {
    let mut offsets = Vec::with_capacity(slots.len());
    for (index, slot) in slots.iter().enumerate() {
        let middle = start as f64 + (index as f64 + 0.5) * pitch as f64;
        offsets.extend(slot.as_ref().map(|held| (held.start + held.end) as f64 / 2.0 - middle));
    }
    let count = offsets.len() as f64;
    let mean = offsets.iter().sum::<f64>() / count;
    let variance = offsets.iter().map(|each| (each - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// The slots as cells inside the picture: a slot that reaches over its border loses that much on both sides.
fn fit(segments: &[Range<usize>], length: usize, start: isize, pitch: usize, count: usize) -> Option<Layout> {
    let over = (-start).max(start + (count * pitch) as isize - length as isize).max(0) as usize;
    let (start, gap) = ((start + over as isize) as usize, 2 * over);
    if over > pitch / 4 {
        return None;
    }
    let layout = Layout { count, start, cell: pitch - gap, gap };
    let holds = |segment: &Range<usize>| {
        segment.start >= start && (segment.start - start) % pitch + segment.len() <= layout.cell
    };
    (layout.end() <= length && segments.iter().all(holds)).then_some(layout)
}
