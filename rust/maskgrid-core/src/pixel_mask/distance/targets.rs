//! Which pixels distances are measured to.

use crate::pixel_mask::bit_mask::Bits;

/// The pixels that distances are measured to.
#[derive(Debug, Clone, Copy)]
pub(in crate::pixel_mask) struct Targets<'a> {
    pub(super) bits: &'a Bits,
    /// Turns the bits into those of the targets.
    flip: u64,
}

impl<'a> Targets<'a> {
    /// The pixels that are inside (or are not).
    pub(in crate::pixel_mask) fn new(bits: &'a Bits, inside: bool) -> Self {
        Self { bits, flip: if inside { 0 } else { u64::MAX } }
    }

    /// The words of a row of targets that distances are measured to.
    #[inline(always)]
    pub(super) fn row(self, row: usize) -> impl Iterator<Item = u64> + 'a {
        let Self { bits, flip } = self;
        let (end, last) = (bits.stride - 1, bits.last_word());
        let valid = move |index: usize| if index == end { last } else { u64::MAX };
        bits.row(row).iter().enumerate().map(move |(index, &word)| (word ^ flip) & valid(index))
    }
}
