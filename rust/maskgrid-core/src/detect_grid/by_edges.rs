//! Cells whose edges can be seen: steps across whole lines at regular places, and none as strong anywhere else.

use std::ops::Range;

use super::layout::{Guess, LEAST_CELL, Layout, MOST_COUNT, keep_best};
use super::line_profiles::Lines;

/// The strongest steps, of which layouts are made.
const PEAKS: usize = 48;
/// The weakest of them, as a share of the strongest.
const WEAKEST_PEAK: f32 = 0.2;
/// How far above the usual step an edge has to be to count in full: without it, chance would do in small pictures.
const FULL_EDGE: f64 = 0.12;
/// A line with less unrest is calm, in a picture with noise and in one without.
const CALM: (f32, f32) = (0.1, 0.005);
/// How much of a step counts as one of its own 0, 1, 2, 3 pixels from an edge, where noise blurs edges.
const BLURRED: [f32; 4] = [0.0, 0.75, 0.75, 0.85];

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
    let peaks = steps.peaks();
    let starts: Vec<usize> = [0].into_iter().chain(peaks.iter().copied()).collect();
    let ends: Vec<usize> = peaks.into_iter().chain([length]).collect();
    for &start in &starts {
        for &end in ends.iter().filter(|&&end| end >= start + LEAST_CELL) {
            let cell = end - start;
            consider(&steps, Layout { count: 1, start, cell, gap: 0 }, &mut guesses);
            for &next in ends.iter().filter(|&&next| next >= end && next < length && next - end <= cell) {
                consider_pitch(&steps, start, cell, next - end, &mut guesses);
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
        let level = if lines.is_noisy { CALM.0 } else { CALM.1 };
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

    /// The places of the strongest steps, in order.
    fn peaks(&self) -> Vec<usize> {
        let least = self.order.first().map_or(0.0, |&first| self.step[first]) * WEAKEST_PEAK;
        let mut peaks: Vec<usize> = self.order.iter().take(PEAKS).copied().collect();
        peaks.retain(|&peak| self.step[peak] > least);
        peaks.sort_unstable();
        peaks
    }

    /// How much calmer it is between cells and around them than inside, 0.15 to 1.
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

    /// How strong the weakest edge is beside the strongest step that is no edge, 0 to 1; None where it can't be.
    fn score(&self, layout: Layout) -> Option<f64> {
        let length = self.step.len();
        let Layout { start, cell, gap, .. } = layout;
        let pitch = layout.pitch();
        let is_possible = cell >= LEAST_CELL && layout.end() <= length;
        if !is_possible || start >= pitch || length - layout.end() >= pitch || !self.has_calm_spaces(layout) {
            return None;
        }
        let weak = self.weak_edge(layout)?;
        let (other, usual) = (f64::from(self.strongest_other(layout)), f64::from(self.usual));
        let ratio = (weak - usual).max(0.0) / ((other - usual).max(0.0) + 0.03);
        let power = ratio.powi(4);
        let strength = ((weak - usual) / FULL_EDGE).clamp(0.0, 1.0);
        let slimness = 1.0 - 0.2 * (gap as f64 / cell as f64).powi(2);
        // A margin that one more cell would nearly fit into.
        let room = if start.max(length - layout.end()) as f64 > 0.8 * pitch as f64 { 0.6 } else { 1.0 };
        // JPEG makes edges of its own, every 8 pixels.
        let is_block = self.is_noisy && layout.count > 1 && pitch < 16;
        let size = if is_block { 0.4 } else { 1.0 };
        Some(power / (2.4 + power) * self.calmness(layout) * strength * slimness * room * size)
    }

    /// Whether nothing is between cells and around them; noise makes that unknown.
    fn has_calm_spaces(&self, layout: Layout) -> bool {
        let length = self.step.len();
        let is_calm = |start: usize, end: usize| self.is_noisy || self.calm_share(start, end) >= 0.95;
        let ends_calm = layout.has_rest(length) || is_calm(layout.end(), length);
        let mut gaps = layout.cells().skip(1);
        is_calm(0, layout.start) && ends_calm && gaps.all(|cell| is_calm(cell.start - layout.gap, cell.start))
    }

    /// The step of the weakest edge, drawn half way to the middle one between cells: one cell may be much like the
    /// ground. None without edges. Those of an empty cell can't be seen.
    fn weak_edge(&self, layout: Layout) -> Option<f64> {
        let Layout { count, gap, .. } = layout;
        let length = self.step.len();
        let has_rest = layout.has_rest(length);
        let (mut least, mut inner) = (f32::INFINITY, Vec::with_capacity(2 * count));
        for (index, cell) in layout.cells().enumerate() {
            if count > 2 && gap > 0 && self.is_empty(&cell) {
                continue;
            }
            let (is_first, is_last) = (index == 0, index + 1 == count);
            let starts = cell.start > 0;
            let ends = if is_last { cell.end < length && !has_rest } else { gap > 0 };
            for (place, is_outer) in
                [(cell.start, is_first)].into_iter().filter(|_| starts).chain(ends.then_some((cell.end, is_last)))
            {
                least = least.min(self.step[place]);
                inner.extend((!is_outer).then_some(self.step[place]));
            }
        }
        inner.sort_by(f32::total_cmp);
        let middle = inner.get(inner.len().saturating_sub(1) / 2).copied().unwrap_or(least);
        least.is_finite().then_some(f64::from(least + middle.max(least)) / 2.0)
    }

    /// Whether there is nothing in a cell.
    fn is_empty(&self, cell: &Range<usize>) -> bool {
        let steps = &self.step[cell.start + 1..cell.end];
        self.calm_share(cell.start, cell.end) >= 1.0 && steps.iter().all(|&step| step < 0.02)
    }

    /// The strongest step that is no edge. Noise leaves something of an edge beside it.
    fn strongest_other(&self, layout: Layout) -> f32 {
        let beside = if self.is_noisy { BLURRED } else { [0.0, 1.0, 1.0, 1.0] };
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
