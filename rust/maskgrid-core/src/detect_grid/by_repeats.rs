//! Cells that neither edges nor empty lines part: what lies in them repeats itself.

use super::layout::{Guess, LEAST_CELL, Layout, MOST_COUNT, keep_best};
use super::line_profiles::Lines;
use crate::simd::vectorized;

/// The least correlation that is a repeat.
const LEAST_LIKENESS: f64 = 0.4;

/// Layouts by how much the lines are like those of the next cell, best first.
pub(super) fn guess_by_repeats(lines: &Lines) -> Vec<Guess> {
    let length = lines.unrest.len();
    let alike = likenesses(&lines.unrest);
    let varied = variation(&lines.unrest);
    let mut guesses = Vec::new();
    let (mut valley, mut earlier) = (1.0_f64, 0.0_f64);
    for pitch in 1..alike.len() {
        let here = alike[pitch];
        let is_peak = here >= alike[pitch - 1] && alike.get(pitch + 1).is_none_or(|&next| here >= next);
        let count = (length + pitch / 2) / pitch;
        if pitch >= LEAST_CELL && is_peak && here > LEAST_LIKENESS && (2..=MOST_COUNT).contains(&count) {
            // Multiples of the pitch are as much alike.
            let order = if earlier < 0.8 * here { 1.0 } else { 0.4 };
            // Two halves are alike by chance more easily than three thirds.
            let chance = if count == 2 { 0.5 } else { 1.0 };
            let score = 0.7 * here * (here - valley).clamp(0.0, 1.0) * order * chance * varied;
            guesses.extend(place(lines, pitch, count).map(|layout| Guess { layout, score }));
        }
        valley = valley.min(here);
        if pitch >= LEAST_CELL {
            earlier = earlier.max(here);
        }
    }
    keep_best(&mut guesses);
    guesses
}

/// How much lines differ in their unrest at all, 0 to 1.
fn variation(unrest: &[f32]) -> f64 {
    let mean = unrest.iter().map(|&each| f64::from(each)).sum::<f64>() / unrest.len() as f64;
    let square = unrest.iter().map(|&each| (f64::from(each) - mean).powi(2)).sum::<f64>() / unrest.len() as f64;
    (square.sqrt() / (0.3 * mean + 1e-9)).min(1.0)
}

/// By distance up to half the length: how much the unrest of lines goes with that of lines so much farther on, their
/// correlation.
fn likenesses(unrest: &[f32]) -> Vec<f64> {
    let length = unrest.len();
    let mean = unrest.iter().sum::<f32>() / length as f32;
    let apart: Vec<f32> = unrest.iter().map(|&each| each - mean).collect();
    let mut energy = vec![0.0];
    for &each in &apart {
        energy.push(energy[energy.len() - 1] + f64::from(each * each));
    }
    let both = |lag: usize| vectorized(|| dot(&apart[..length - lag], &apart[lag..]));
    let correlation = |lag: usize| {
        let power = energy[length - lag] * (energy[length] - energy[lag]);
        if power <= 1e-12 { 0.0 } else { f64::from(both(lag)) / power.sqrt() }
    };
    (0..=length / 2).map(correlation).collect()
}

/// The sum of products, in sixteen parts so that it needs not be done one by one.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0_f32; 16];
    for (a, b) in a.0.iter().zip(b.0) {
        for index in 0..16 {
            sums[index] += a[index] * b[index];
        }
    }
    sums.iter().sum::<f32>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f32>()
}

/// Cells of this pitch that begin where least is cut through.
fn place(lines: &Lines, pitch: usize, count: usize) -> Option<Layout> {
    let length = lines.unrest.len();
    let cut = |place: usize| {
        let beside = [place.saturating_sub(1), place.min(length - 1)];
        beside.map(|line| lines.unrest[line]).into_iter().fold(f32::INFINITY, f32::min)
    };
    let cost = |start: usize| (1..count).map(|index| f64::from(cut(start + index * pitch))).sum::<f64>();
    let gap = (count * pitch).saturating_sub(length);
    if gap > pitch / 4 {
        return None;
    }
    let last = length + 1 - (count * pitch - gap);
    let (mut best, mut least) = (0, f64::INFINITY);
    for start in 0..last {
        let cost = cost(start);
        if cost < least - 1e-9 {
            (best, least) = (start, cost);
        }
    }
    Some(Layout { count, start: best, cell: pitch - gap, gap })
}
