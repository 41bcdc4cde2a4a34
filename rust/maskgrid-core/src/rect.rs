//! Sizes and half-open rectangles whose unit is part of their type.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

/// What a coordinate counts. Pixels and latent cells never mix by accident.
pub trait Unit: Copy + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static {}

/// Marks sizes and rectangles that count pixels of the sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pixel {}

/// Latent cells of the VAE: one for each stride x stride block of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Latent {}

impl Unit for Pixel {}
impl Unit for Latent {}

/// A rectangle's size: height and width, in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size<U: Unit> {
    /// Rows of the unit.
    pub height: u32,
    /// Columns of the unit.
    pub width: u32,
    unit: PhantomData<U>,
}

impl<U: Unit> Size<U> {
    /// A size of `height` x `width`.
    #[must_use]
    pub const fn new(height: u32, width: u32) -> Self {
        Self { height, width, unit: PhantomData }
    }

    /// The area of a size, height times width.
    #[must_use]
    pub const fn area(self) -> u64 {
        self.height as u64 * self.width as u64
    }
}

impl<U: Unit> fmt::Display for Size<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.height, self.width)
    }
}

/// A half-open rectangle: rows `top..bottom`, columns `left..right`.
///
/// ```
/// use maskgrid_core::{Pixel, Rect};
///
/// let rect = Rect::<Pixel>::new(0, 8, 16, 24);
/// assert_eq!((rect.height(), rect.width()), (16, 16));
/// assert!(rect.intersect(Rect::new(16, 0, 32, 32)).is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rect<U: Unit> {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// One past the last row.
    pub bottom: u32,
    /// One past the last column.
    pub right: u32,
    unit: PhantomData<U>,
}

impl<U: Unit> Rect<U> {
    /// The rectangle of rows `top..bottom` and columns `left..right`; an end before its start gives an empty one.
    #[must_use]
    pub const fn new(top: u32, left: u32, bottom: u32, right: u32) -> Self {
        let bottom = if bottom < top { top } else { bottom };
        let right = if right < left { left } else { right };
        Self { top, left, bottom, right, unit: PhantomData }
    }

    /// The rectangle of a size at a place.
    #[must_use]
    pub const fn at(top: u32, left: u32, size: Size<U>) -> Self {
        Self::new(top, left, top + size.height, left + size.width)
    }

    /// The rows of a rectangle, its height.
    #[must_use]
    pub const fn height(self) -> u32 {
        self.bottom - self.top
    }

    /// The columns of a rectangle, its width.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.right - self.left
    }

    /// The size of a rectangle, height and width.
    #[must_use]
    pub const fn size(self) -> Size<U> {
        Size::new(self.height(), self.width())
    }

    /// Whether a rectangle holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.height() == 0 || self.width() == 0
    }

    /// Whether all of `other` lies inside; an empty rectangle lies inside every one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.is_empty()
            || (self.top <= other.top
                && self.left <= other.left
                && self.bottom >= other.bottom
                && self.right >= other.right)
    }

    /// What both have in common; empty where they do not meet.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self::new(
            self.top.max(other.top),
            self.left.max(other.left),
            self.bottom.min(other.bottom),
            self.right.min(other.right),
        )
    }
}

impl Rect<Pixel> {
    /// The latent cells that touch the rectangle (rounded outward).
    #[must_use]
    pub const fn to_latent(self, stride: u32) -> Rect<Latent> {
        Rect::new(self.top / stride, self.left / stride, self.bottom.div_ceil(stride), self.right.div_ceil(stride))
    }

    /// The latent cells whose centre lies in the rectangle: disjoint rectangles own disjoint latent cells.
    #[must_use]
    pub fn to_latent_centres(self, stride: u32) -> Rect<Latent> {
        // The centre of latent cell i lies at (i + 1/2) stride, so the first one is i >= top / stride - 1/2.
        let first = |edge: u32| u32::try_from((2 * u64::from(edge) + u64::from(stride) - 1) / (2 * u64::from(stride)));
        let [top, left, bottom, right] =
            [self.top, self.left, self.bottom, self.right].map(|edge| first(edge).unwrap_or(u32::MAX));
        Rect::new(top, left, bottom, right)
    }
}

impl Rect<Latent> {
    /// The rectangle of all pixels of a rectangle of latent cells.
    #[must_use]
    pub const fn to_pixel(self, stride: u32) -> Rect<Pixel> {
        Rect::new(self.top * stride, self.left * stride, self.bottom * stride, self.right * stride)
    }
}

impl<U: Unit> fmt::Display for Rect<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}, {}:{}]", self.top, self.bottom, self.left, self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latent_and_back_contains() {
        for stride in 1..=9 {
            for top in 0..20 {
                for bottom in top..=20 {
                    let rect = Rect::<Pixel>::new(top, 3, bottom, 7);
                    assert!(rect.to_latent(stride).to_pixel(stride).contains(rect));
                }
            }
        }
    }

    #[test]
    fn centres_follow_the_definition() {
        for stride in 1_u32..=9 {
            for top in 0_u32..20 {
                for bottom in top..=20 {
                    let rect = Rect::<Pixel>::new(top, 0, bottom, 1).to_latent_centres(stride);
                    let owned: Vec<u32> =
                        (0..40).filter(|i| (2 * top..2 * bottom).contains(&((2 * i + 1) * stride))).collect();
                    assert_eq!((rect.top..rect.bottom).collect::<Vec<_>>(), owned);
                }
            }
        }
    }

    #[test]
    fn an_end_before_its_start_is_empty() {
        assert!(Rect::<Pixel>::new(5, 0, 3, 4).is_empty());
    }
}
