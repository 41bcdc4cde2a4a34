//! Cells whose edges can be seen: steps across whole lines at regular places, and none as strong anywhere else.

use std::ops::Range;

use super::layout::{Guess, LEAST_CELL, Layout, MOST_COUNT, keep_best};
use super::line_profiles::Lines;

/// The strongest steps, of which layouts are made.
const PEAKS: usize = 48;

/// What is known of the steps along an axis.
struct Steps<'a> {
    step: &'a [f32],
    /// Places by how strong their steps are, strongest first.
    order: Vec<usize>,
    /// How many lines before each are calm.
    calm: Vec<u32>,
    /// Sums of the unrest before each line.
    unrest: Vec<f64>,
    /// The median step.
    usual: f32,
    is_noisy: bool,
}

/// Layouts by the edges of cells, best first.
pub(super) fn guess_by_edges(lines: &Lines) -> Vec<Guess> {
    let steps = Steps::of(lines);
    let mut guesses = Vec::new();
    let length = lines.step.len();
    for count in 2..=MOST_COUNT.min(length / LEAST_CELL) {
        consider(&steps, Layout { count, start: 0, cell: length / count, gap: 0 }, &mut guesses);
    }
    let mut peaks: Vec<usize> = steps.order.iter().take(PEAKS).copied().collect();
    let least = steps.order.first().map_or(0.0, |&first| lines.step[first]) * 0.2;
    peaks.retain(|&peak| lines.step[peak] > least);
    peaks.sort_unstable();
    let mut ends = peaks.clone();
    ends.push(length);
    let mut starts = peaks.clone();
    starts.insert(0, 0);
    for &start in &starts {
        for &end in ends.iter().filter(|&&end| end >= start + LEAST_CELL) {
            consider(&steps, Layout { count: 1, start, cell: end - start, gap: 0 }, &mut guesses);
            for &next in ends.iter().filter(|&&next| next >= end && next < length && next - end <= end - start) {
                consider_pitch(&steps, start, end - start, next - end, &mut guesses);
            }
        }
    }
    guesses
}

/// All layouts with a cell at this place.
fn consider_pitch(steps: &Steps<'_>, place: usize, cell: usize, gap: usize, guesses: &mut Vec<Guess>) {
    let (length, pitch) = (steps.step.len(), cell + gap);
    let first = place % pitch;
    for start in [first, first + pitch] {
        if start + cell > length {
            continue;
        }
        let count = (length - start - cell) / pitch + 1;
        for count in [count, count.saturating_sub(1)] {
            if (2..=MOST_COUNT).contains(&count) {
                consider(steps, Layout { count, start, cell, gap }, guesses);
            }
        }
    }
}

fn consider(steps: &Steps<'_>, layout: Layout, guesses: &mut Vec<Guess>) {
    if guesses.iter().any(|known| known.layout == layout) {
        return;
    }
    if let Some(score) = steps.score(layout) {
        guesses.push(Guess { layout, score });
        keep_best(guesses);
    }
}

impl<'a> Steps<'a> {
    fn of(lines: &'a Lines) -> Self {
        let mut order: Vec<usize> = (1..lines.step.len()).collect();
        order.sort_by(|&a, &b| lines.step[b].total_cmp(&lines.step[a]));
        let level = if lines.is_noisy { 0.1 } else { 0.005 };
        let mut calm = vec![0];
        let mut sum = 0;
        for &unrest in &lines.unrest {
            sum += u32::from(unrest <= level);
            calm.push(sum);
        }
        let mut unrest = vec![0.0];
        for &each in &lines.unrest {
            unrest.push(unrest[unrest.len() - 1] + f64::from(each));
        }
        let usual = order.get(order.len() / 2).map_or(0.0, |&place| lines.step[place]);
        Self { step: &lines.step, order, calm, unrest, usual, is_noisy: lines.is_noisy }
    }

    /// How much calmer it is between cells and around them than inside, 0.3 to 1.
    fn calmness(&self, layout: Layout) -> f64 {
        let length = self.step.len();
        let end = if layout.has_rest(length) { length } else { layout.end() };
        let total = self.unrest[length];
        let sum = |spaces: &[Range<usize>]| {
            let lines: usize = spaces.iter().map(Range::len).sum();
            let unrest: f64 = spaces.iter().map(|space| self.unrest[space.end] - self.unrest[space.start]).sum();
            (lines as f64, unrest)
        };
        let around = [0..layout.start, end..length];
        let between: Vec<Range<usize>> = (1..layout.count)
            .map(|index| {
                let start = layout.start + index * layout.pitch();
                start - layout.gap..start
            })
            .collect();
        let ((margins, outer), (gaps, inner)) = (sum(&around), sum(&between));
        let inside = (total - outer - inner) / (length as f64 - margins - gaps).max(1.0);
        let worst = (outer / margins.max(1.0)).max(inner / gaps.max(1.0));
        if worst <= 0.0 { 1.0 } else { 1.0 - 0.85 * (worst / (0.6 * inside + 1e-6)).min(1.0) }
    }

    fn calm_share(&self, start: usize, end: usize) -> f64 {
        if start >= end { 1.0 } else { f64::from(self.calm[end] - self.calm[start]) / (end - start) as f64 }
    }

    /// How strong the weakest edge is beside the strongest step that is no edge; None where it can't be.
    fn score(&self, layout: Layout) -> Option<f64> {
        let length = self.step.len();
        let Layout { count, start, cell, gap } = layout;
        let end = layout.end();
        if cell < LEAST_CELL || end > length || start >= cell + gap || length - end >= cell + gap {
            return None;
        }
        let is_calm = |start: usize, end: usize| {
            self.is_noisy || self.calm_share(start, end) >= 0.95
        };
        let has_rest = layout.has_rest(length);
        if !is_calm(0, start) || (!has_rest && !is_calm(end, length)) {
            return None;
        }
        let mut edges = Vec::with_capacity(2 * count);
        let mut inner = Vec::with_capacity(2 * count);
        let mut last_empty = false;
        for (index, range) in layout.cells().enumerate() {
            let empty = count > 2 && gap > 0 && self.is_plain(range.start, range.end);
            if index > 0 && gap > 0 && !is_calm(range.start - gap, range.start) {
                return None;
            }
            if range.start > 0 && !empty && !(gap == 0 && last_empty) {
                edges.push(self.step[range.start]);
                inner.extend((index > 0).then_some(self.step[range.start]));
            }
            let shared = gap == 0 && index + 1 < count;
            if range.end < length && !empty && !shared && !(has_rest && index + 1 == count) {
                edges.push(self.step[range.end]);
                inner.extend((index + 1 < count).then_some(self.step[range.end]));
            }
            last_empty = empty;
        }
        if edges.is_empty() {
            return None;
        }
        let least = edges.iter().copied().fold(f32::INFINITY, f32::min);
        inner.sort_by(f32::total_cmp);
        let middle = inner.get((inner.len().max(1) - 1) / 2).copied().unwrap_or(least);
        let weak = f64::from(least.min(middle) + middle.max(least)) / 2.0;
        let other = f64::from(self.strongest_other(layout));
        let usual = f64::from(self.usual);
        let ratio = (weak - usual).max(0.0) / ((other - usual).max(0.0) + 0.03);
        let power = ratio.powi(4);
        let strength = ((weak - usual) / 0.12).clamp(0.0, 1.0);
        let width = 1.0 - 0.2 * (gap as f64 / cell as f64).powi(2);
        let room = if start.max(length - end) as f64 > 0.8 * layout.pitch() as f64 { 0.6 } else { 1.0 };
        Some(power / (2.4 + power) * self.calmness(layout) * strength * width * room)
    }

    /// Whether there is nothing between two places.
    fn is_plain(&self, start: usize, end: usize) -> bool {
        self.calm_share(start, end) >= 1.0 && self.step[start + 1..end].iter().all(|&step| step < 0.02)
    }

    /// The strongest step that is no edge. Noise leaves something of an edge beside it.
    fn strongest_other(&self, layout: Layout) -> f32 {
        let beside = if self.is_noisy { [0.0, 0.75, 0.75, 0.85] } else { [0.0, 1.0, 1.0, 1.0] };
        let mut strongest = 0.0_f32;
        for &place in &self.order {
            let step = self.step[place];
            if step <= strongest {
                break;
            }
            let counts = beside.get(distance_to_edge(layout, place)).copied().unwrap_or(1.0);
            strongest = strongest.max(step * counts);
        }
        strongest
    }
}

/// How many pixels the nearest edge of a cell is away.
fn distance_to_edge(layout: Layout, place: usize) -> usize {
    let Layout { start, cell, .. } = layout;
    let (pitch, end) = (layout.pitch(), layout.end());
    if place <= start || place >= end {
        return if place <= start { start - place } else { place - end };
    }
    let at = (place - start) % pitch;
    at.min(pitch - at).min(at.abs_diff(cell)).min(end - place)
}
