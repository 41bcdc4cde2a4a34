//! Pixels mixed through a soft mask, many at a time.

use crate::element::PixelElement;

/// Replaces each target by [`PixelElement::mix`] of it, its patch and its mask; all three of one length.
pub(super) fn mix_run<T: PixelElement>(target: &mut [T], patch: &[T], mask: &[f32]) {
    for ((target, &patch), &mask) in target.iter_mut().zip(patch).zip(mask) {
        *target = T::mix(*target, patch, mask);
    }
}
