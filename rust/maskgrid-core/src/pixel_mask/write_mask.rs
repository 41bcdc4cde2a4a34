//! Writing results: bits or distances in, any element type out.

use super::bit_mask::{Bits, unpack};
use crate::error::Result;
use crate::mask_element::Element;
use crate::parallel;
use crate::simd::vectorized;

/// Writes 1 for inside, 0 for outside; never fails.
pub(super) fn write_mask<U: Element>(bits: &Bits, out: &mut [U]) -> Result<()> {
    let width = bits.width.max(1);
    parallel::for_each_piece(out, width, width * size_of::<U>(), |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (row, out) in out.chunks_mut(width).enumerate() {
                    unpack(bits.row(first + row), out);
                }
            },
        );
        Ok(())
    })
}
