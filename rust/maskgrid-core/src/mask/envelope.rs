//! Distances along a row for any reach, in linear time.

/// The lower envelope of the parabolas that stand on the columns of a row (Felzenszwalb and Huttenlocher, *Distance
/// transforms of sampled functions*, 2012).
///
/// All squares are whole numbers far below 2^53, so f64 holds them exactly; where two parabolas meet is rounded, but
/// only where they differ by less than any two whole numbers do.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The parabolas that are lowest somewhere, from left to right.
    hull: Vec<Parabola>,
}

#[derive(Debug, Clone, Copy)]
struct Parabola {
    /// The column that it stands on.
    column: f64,
    /// The square of the column's own distance.
    height: f64,
    /// Where it begins to be the lowest.
    from: f64,
}

impl Envelope {
    /// Scratch memory.
    pub(super) const fn new() -> Self {
        Self { hull: Vec::new() }
    }

    /// Writes the distances in a row whose distances down the columns are known; `reach` is none.
    pub(super) fn distances(&mut self, vertical: &[u32], reach: usize, out: &mut [f32]) {
        self.build(vertical, reach);
        let mut parabolas = self.hull.iter().copied();
        let Some(mut lowest) = parabolas.next() else {
            out.fill(reach as f32);
            return;
        };
        let mut next = parabolas.next();
        for (column, out) in out.iter_mut().enumerate() {
            let column = column as f64;
            while let Some(parabola) = next.filter(|parabola| parabola.from <= column) {
                lowest = parabola;
                next = parabolas.next();
            }
            let aside = column - lowest.column;
            *out = (aside * aside + lowest.height).sqrt().min(reach as f64) as f32;
        }
    }

    fn build(&mut self, vertical: &[u32], reach: usize) {
        self.hull.clear();
        for (column, &steps) in vertical.iter().enumerate().filter(|&(_, &steps)| (steps as usize) < reach) {
            let mut parabola = Parabola { column: column as f64, height: f64::from(steps).powi(2), from: 0.0 };
            while let Some(last) = self.hull.last() {
                parabola.from = meet(last, &parabola);
                if parabola.from > last.from {
                    break;
                }
                self.hull.pop();
            }
            if self.hull.is_empty() {
                parabola.from = f64::NEG_INFINITY;
            }
            self.hull.push(parabola);
        }
    }
}

/// The column from which on the right one of two parabolas is lower.
#[inline(always)]
fn meet(left: &Parabola, right: &Parabola) -> f64 {
    let rise = right.height - left.height + (right.column - left.column) * (right.column + left.column);
    rise / (2.0 * (right.column - left.column))
}
