//! The disc that masks are grown by: how far it reaches in each row.

/// The pixels within a radius, as far as they matter in a mask of a certain size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disc {
    /// The largest squared distance, in whole numbers as all squared distances are.
    pub(super) squared: u64,
    /// Rows above and below the centre.
    pub(super) height: usize,
    /// Columns to the left and to the right of the centre.
    pub(super) width: usize,
}

impl Disc {
    pub(super) fn new(radius: f64, height: usize, width: usize) -> Self {
        // No two pixels are farther apart than both sides together.
        let radius = radius.min((height + width) as f64);
        let squared = (radius * radius) as u64;
        let reach = squared.isqrt() as usize;
        Self { squared, height: reach.min(height.saturating_sub(1)), width: reach.min(width.saturating_sub(1)) }
    }

    /// Columns to the left and to the right of the centre, `offset` rows (at most `height`) away from it.
    pub(super) fn half_width(self, offset: usize) -> usize {
        let rest = self.squared - (offset * offset) as u64;
        (rest.isqrt() as usize).min(self.width)
    }
}
