//! Cells whose edges can't be seen: what lies in them is parted by empty lines, at regular places.

use std::ops::Range;

use super::layout::{Guess, LEAST_CELL, Layout, MOST_COUNT, MOST_GUESSES, keep_best};
use super::line_profiles::Lines;


/// Layouts by the empty lines between cells, best first; where no line is empty, by those that nearly are.
pub(super) fn guess_by_emptiness(lines: &Lines) -> Vec<Guess> {
    let mut usual = lines.unrest.clone();
    usual.sort_by(f32::total_cmp);
    let usual = usual[usual.len() * 3 / 4];
    let mut found: Vec<Guess> = Vec::new();
    for (share, trust) in [(0.0, 1.0), (0.08, 0.9), (0.2, 0.8), (0.35, 0.6)] {
        let is_enough = |guess: &Guess| guess.score > 0.5 && (guess.layout.count > 1 || !lines.is_noisy);
        if found.first().is_some_and(is_enough) {
            break;
        }
        let level = (share * usual).max(if lines.is_noisy { 0.01 } else { 0.0 });
        let guesses = guess_at_level(lines, level);
        found.extend(guesses.into_iter().map(|guess| {
            let trust = match guess.layout.count {
                1 if lines.is_noisy => 0.6 * trust,
                2 if share > 0.0 => 0.6 * trust,
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
    let (low, high) = (first.start, last.end);
    if low == 0 && high == length && segments.len() == 1 {
        // Nothing is empty, so nothing is known.
        return Vec::new();
    }
    if segments.len() > 4 * MOST_COUNT {
        return Vec::new();
    }
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
            let cut = cut as isize;
            let start = cut + (low as isize - cut).div_euclid(pitch as isize) * pitch as isize;
            let count = (high as isize - start) as usize;
            let count = count.div_ceil(pitch);
            consider(start, pitch, count);
            consider(start, pitch, count + 1);
            consider(start - pitch as isize, pitch, count + 1);
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
    let strongest = (1..lines.step.len())
        .filter(|&place| lines.unrest[place - 1] <= level || lines.unrest[place] <= level)
        .map(|place| lines.step[place])
        .fold(0.0, f32::max);
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
    for wall in walls.iter().cloned().chain([first + pitch..first + pitch]) {
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
    let mut slots: Vec<Option<Range<usize>>> = vec![None; count];
    let mut inner = 0;
    for segment in segments {
        let slot = ((segment.start as isize - start) as usize / pitch).min(count - 1);
        match &mut slots[slot] {
            Some(held) => {
                inner = inner.max(segment.start - held.end);
                held.end = segment.end;
            }
            free => *free = Some(segment.clone()),
        }
    }
    let empty = slots.iter().filter(|slot| slot.is_none()).count();
    let mut narrowest = usize::MAX;
    for pair in slots.windows(2) {
        if let [Some(one), Some(next)] = pair {
            narrowest = narrowest.min(next.start - one.end);
        }
    }
    let offsets: Vec<f64> = slots
        .iter()
        .enumerate()
        .filter_map(|(index, slot)| slot.as_ref().map(|slot| (index, slot)))
        .map(|(index, slot)| (slot.start + slot.end) as f64 / 2.0 - start as f64 - (index as f64 + 0.5) * pitch as f64)
        .collect();
    let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
    let spread = (offsets.iter().map(|each| (each - mean).powi(2)).sum::<f64>() / offsets.len() as f64).sqrt() / pitch as f64;
    let narrowest = if narrowest == usize::MAX { pitch / 4 } else { narrowest };
    let parted = (inner as f64 / (narrowest as f64 + 0.5)).min(1.5);
    let rest = length as f64 - (start as f64 + (count * pitch) as f64);
    let uneven = (rest - start as f64).abs() / pitch as f64;
    let exact = start == 0 && count * pitch == length;
    let has_room = rest.max(start as f64) >= 0.9 * pitch as f64;
    let shape = if exact { 0.0 } else { 0.02 + 0.2 * uneven + if has_room { 0.5 } else { 0.0 } };
    let cost = 1.2 * parted + 1.0 * empty as f64 / count as f64 + 3.0 * spread + 0.5 * mean.abs() / pitch as f64 + shape;
    Some(Guess { layout, score: (-cost).exp() })
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
        segment.start >= start && {
            let at = (segment.start - start) % pitch;
            at + segment.len() <= layout.cell
        }
    };
    (layout.end() <= length && segments.iter().all(holds)).then_some(layout)
}
