//! Which axes of an array are masks, rows, columns and channels: one rule for everything that takes a mask.

use crate::error::{Error, Result};

/// Sides up to this could as well be the number of channels of a picture.
const FEW: usize = 4;

/// Which axis of an array is which.
///
/// | shape | read as |
/// |---|---|
/// | (H, W) | one mask |
/// | (N, H, W) | N masks |
/// | (N, 1, H, W) | N masks, as torch has them |
/// | (H, W, C), C of 1, 3 or 4 | one mask: channel 0 |
/// | (N, H, W, C), C of 1, 3 or 4 | N masks: channel 0 of each |
///
/// Four axes are (N, 1, H, W) where the second is 1. Three axes are (N, H, W) where the last is larger than 4, and
/// (H, W, C) where it is 1, 3 or 4 and both others are larger than 4; what is left may be either and is refused. Where
/// the size of the masks is known beforehand, the one reading that has it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskAxes {
    /// The axis that counts masks.
    pub masks: Option<usize>,
    /// The axis of rows.
    pub rows: usize,
    /// The axis of columns.
    pub columns: usize,
    /// The axis of channels, always the last.
    pub channels: Option<usize>,
}

/// What a refusal says is allowed.
const ALLOWED: &str = "(H, W), (N, H, W), (N, 1, H, W), and (H, W, C) or (N, H, W, C) with C of 1, 3 or 4";

const ONE: MaskAxes = MaskAxes { masks: None, rows: 0, columns: 1, channels: None };
const SEVERAL: MaskAxes = MaskAxes { masks: Some(0), rows: 1, columns: 2, channels: None };
const PLANES: MaskAxes = MaskAxes { masks: Some(0), rows: 2, columns: 3, channels: None };
const PICTURE: MaskAxes = MaskAxes { masks: None, rows: 0, columns: 1, channels: Some(2) };
const PICTURES: MaskAxes = MaskAxes { masks: Some(0), rows: 1, columns: 2, channels: Some(3) };

impl MaskAxes {
    /// The axes of a shape; `size` is the height and width that the masks should have, where that is known.
    ///
    /// # Errors
    /// When the shape can't be a mask's, or could be read in two ways; `name` is what the message calls the array.
    pub fn of(name: &'static str, shape: &[usize], size: Option<[usize; 2]>) -> Result<Self> {
        let refused = |hint: &str| Err(Error::shape(name, shape, format!("{ALLOWED}{hint}")));
        match *shape {
            [_, _] => Ok(ONE),
            [a, b, last] => {
                let [stack, picture] = [size == Some([b, last]), size == Some([a, b]) && has_channels(last)];
                match (last, stack, picture) {
                    // Both readings of (1, 1, 1) are the same pixel.
                    (1, true, true) => Ok(SEVERAL),
                    (_, true, false) => Ok(SEVERAL),
                    (_, false, true) => Ok(PICTURE),
                    (2, ..) if a > FEW && b > FEW => refused("; of a picture with 2 channels take one: mask[..., 0]"),
                    (1..=FEW, _, both) if !both && a > FEW && b > FEW => Ok(PICTURE),
                    (1..=FEW, ..) => refused(
                        "; this one can be read in two ways: say mask[:, None] for N masks, mask[..., 0] for a picture",
                    ),
                    _ => Ok(SEVERAL),
                }
            }
            [_, b, c, last] => {
                let [planes, pictures] =
                    [size == Some([c, last]) && b == 1, size == Some([b, c]) && has_channels(last)];
                match (planes, pictures) {
                    (false, true) => Ok(PICTURES),
                    _ if b == 1 => Ok(PLANES),
                    _ if has_channels(last) => Ok(PICTURES),
                    _ => refused("; take one channel: mask[:, :1] of (N, C, H, W), mask[..., 0] of (N, H, W, C)"),
                }
            }
            _ => refused(""),
        }
    }
}

const fn has_channels(last: usize) -> bool {
    matches!(last, 1 | 3 | 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shape: &[usize]) -> Option<MaskAxes> {
        MaskAxes::of("the mask", shape, None).ok()
    }

    fn sized(shape: &[usize], size: [usize; 2]) -> Option<MaskAxes> {
        MaskAxes::of("the mask", shape, Some(size)).ok()
    }

    #[test]
    fn shapes_of_the_field_are_read_as_they_are_meant() {
        assert_eq!(of(&[64, 64]), Some(ONE));
        assert_eq!(of(&[3, 3]), Some(ONE));
        assert_eq!(of(&[7, 64, 64]), Some(SEVERAL));
        assert_eq!(of(&[1, 64, 64]), Some(SEVERAL));
        assert_eq!(of(&[7, 1, 64, 64]), Some(PLANES));
        assert_eq!(of(&[7, 1, 64, 3]), Some(PLANES));
        for channels in [1, 3, 4] {
            assert_eq!(of(&[64, 64, channels]), Some(PICTURE));
            assert_eq!(of(&[7, 64, 64, channels]), Some(PICTURES));
        }
        assert_eq!(of(&[0, 64, 64]), Some(SEVERAL));
        assert_eq!(of(&[5, 5, 0]), Some(SEVERAL));
    }

    #[test]
    fn what_is_ambiguous_or_absurd_is_refused() {
        for shape in [&[64, 64, 2][..], &[3, 5, 4], &[9, 4, 3], &[1, 64, 1], &[2, 3, 4]] {
            assert_eq!(of(shape), None, "{shape:?}");
        }
        for shape in [&[7, 3, 64, 64][..], &[1, 64, 64, 2], &[7, 64, 64, 64], &[1, 1, 1, 8, 8], &[8], &[]] {
            assert_eq!(of(shape), None, "{shape:?}");
        }
    }

    #[test]
    fn a_size_that_is_known_decides() {
        assert_eq!(sized(&[9, 4, 4], [4, 4]), Some(SEVERAL));
        assert_eq!(sized(&[4, 4, 3], [4, 4]), Some(PICTURE));
        assert_eq!(sized(&[100, 64, 4], [64, 4]), Some(SEVERAL));
        assert_eq!(sized(&[64, 64, 64], [64, 64]), Some(SEVERAL));
        assert_eq!(sized(&[2, 1, 9, 3], [1, 9]), Some(PICTURES));
        assert_eq!(sized(&[2, 1, 9, 3], [9, 3]), Some(PLANES));
        assert_eq!(sized(&[4, 4, 4], [4, 4]), None);
        assert_eq!(sized(&[1, 1, 1], [1, 1]), Some(SEVERAL));
        assert_eq!(sized(&[64, 64, 3], [32, 32]), Some(PICTURE));
    }
}
