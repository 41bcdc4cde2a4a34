//! Canvas operations element by element, and sheets with any strides to try them on.

use std::any::Any;

use half::{bf16, f16};
use maskgrid_core::canvas::{self, Background, Sheet};
use maskgrid_core::{Grid, Pixel, PixelElement, Rect, View};

/// Numbers that look random (splitmix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A sheet and the memory it lies in.
pub(crate) struct Stored<T> {
    data: Vec<T>,
    offset: usize,
    shape: [usize; 5],
    elem_strides: [isize; 5],
}

impl<T: Copy> Stored<T> {
    /// Axes in any order in memory, some backwards, some with space between, at times one repeated (stride 0).
    pub(crate) fn filled(shape: [usize; 5], mut next: impl FnMut() -> T, seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut order = [0, 1, 2, 3, 4];
        if numbers.below(3) > 0 {
            (1..5).for_each(|axis| order.swap(axis, numbers.below(axis + 1)));
        }
        let mut elem_strides = [0_isize; 5];
        let (mut step, mut offset) = (1, numbers.below(3));
        for &axis in order.iter().rev() {
            if numbers.below(12) == 0 {
                continue;
            }
            elem_strides[axis] = step as isize;
            let backwards = numbers.below(4) == 0;
            if backwards && shape[axis] > 0 {
                elem_strides[axis] = -elem_strides[axis];
                offset += (shape[axis] - 1) * step;
            }
            let space = if numbers.below(3) == 0 { numbers.below(3) } else { 0 };
            step *= shape[axis] + space;
        }
        let data = (0..step + offset + 1).map(|_| next()).collect();
        Self { data, offset, shape, elem_strides }
    }

    pub(crate) fn view(&self) -> Sheet<'_, T> {
        View::new(&self.data, self.offset, self.shape, self.elem_strides).expect("it fits its memory")
    }

    /// All elements in row-major order.
    pub(crate) fn elements(&self) -> Vec<T> {
        let view = self.view();
        indices(self.shape).map(|index| view.get(index)).collect()
    }
}

impl Stored<u16> {
    /// A dense sheet of `first`, `first + 1`, ...
    pub(crate) fn numbered(shape: [usize; 5], first: u16) -> Self {
        let count: usize = shape.iter().product();
        let data = (0..count).map(|i| first.wrapping_add(i as u16)).collect();
        let mut elem_strides = [1; 5];
        (0..4).rev().for_each(|axis| elem_strides[axis] = elem_strides[axis + 1] * shape[axis + 1] as isize);
        Self { data, offset: 0, shape, elem_strides }
    }
}

/// Masks with runs of zeros, of ones and of anything between, of any length.
pub(crate) fn soft_mask(shape: [usize; 3], seed: u64) -> Vec<f32> {
    let mut numbers = Numbers(seed ^ 0xabcd);
    let count = shape.iter().product();
    let mut mask = Vec::new();
    while mask.len() < count {
        let run = 1 + numbers.below(100);
        let kind = numbers.below(4);
        mask.extend((0..run).map(|_| match kind {
            0 => 0.0,
            1 => 1.0,
            2 => -0.0,
            _ => numbers.below(1025) as f32 / 1024.0,
        }));
    }
    mask.truncate(count);
    mask
}

/// The bits of a number of any pixel type, and whether it is NaN.
fn bits<T: PixelElement>(number: T) -> (u64, bool) {
    let number: &dyn Any = &number;
    let of_f16 = |n: &f16| (u64::from(n.to_bits()), n.is_nan());
    let of_bf16 = |n: &bf16| (u64::from(n.to_bits()), n.is_nan());
    let all = [
        number.downcast_ref::<u8>().map(|n| (u64::from(*n), false)),
        number.downcast_ref().map(of_f16),
        number.downcast_ref().map(of_bf16),
        number.downcast_ref::<f32>().map(|n| (u64::from(n.to_bits()), n.is_nan())),
        number.downcast_ref::<f64>().map(|n| (n.to_bits(), n.is_nan())),
    ];
    all.into_iter().flatten().next().expect("one of the pixel types")
}

/// Whether all bits are equal: 0 is not -0, and a NaN only equals itself.
pub(crate) fn same_bits<T: PixelElement>(left: &[T], right: &[T]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(&left, &right)| bits(left) == bits(right))
}

/// As [`same_bits`], but one NaN is as good as another: which of two NaNs a sum keeps is the processor's choice.
pub(crate) fn same_numbers<T: PixelElement>(left: &[T], right: &[T]) -> bool {
    let same = |(left, right): (&T, &T)| bits(*left) == bits(*right) || (bits(*left).1 && bits(*right).1);
    left.len() == right.len() && left.iter().zip(right).all(same)
}

fn indices(shape: [usize; 5]) -> impl Iterator<Item = [usize; 5]> {
    (0..shape.iter().product()).map(move |position| {
        let (mut rest, mut index) = (position, [0; 5]);
        for axis in (0..5).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        index
    })
}

/// For each pixel of the canvas the cell that it lies in, and where in it.
struct Cells {
    at: Vec<Option<(usize, usize, usize)>>,
    width: usize,
}

impl Cells {
    fn of(grid: &Grid) -> Self {
        let [height, width] = [grid.canvas().height as usize, grid.canvas().width as usize];
        let rects: Vec<_> = grid.cell_rects().collect();
        let find =
            |y, x| rects.iter().enumerate().find_map(|(cell, &rect)| within(rect, y, x).map(|(y, x)| (cell, y, x)));
        Self { at: (0..height * width).map(|i| find(i / width, i % width)).collect(), width }
    }

    fn at(&self, y: usize, x: usize) -> Option<(usize, usize, usize)> {
        self.at[y * self.width + x]
    }
}

fn within(rect: Rect<Pixel>, y: usize, x: usize) -> Option<(usize, usize)> {
    let inside = (rect.top as usize..rect.bottom as usize).contains(&y)
        && (rect.left as usize..rect.right as usize).contains(&x);
    inside.then(|| (y - rect.top as usize, x - rect.left as usize))
}

fn sheet_shape(grid: &Grid, like: [usize; 5]) -> [usize; 5] {
    [1, like[1], grid.canvas().height as usize, grid.canvas().width as usize, like[4]]
}

fn background_at<T: Copy>(background: &Background<'_, T>, [_, p, y, x, s]: [usize; 5]) -> T {
    match background {
        Background::Fill(value) => *value,
        Background::Sheet(sheet) => sheet.get([0, p, y, x, s]),
    }
}

/// An output that no copy leaves untouched unnoticed: it begins as what nobody writes.
fn dirty<T: Copy + Default>(shape: [usize; 5]) -> Vec<T> {
    vec![T::default(); shape.iter().product()]
}

pub(crate) trait Number: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug {}
impl<T: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug> Number for T {}

pub(crate) fn check_tile<T: Number>(cell: &Sheet<'_, T>, grid: &Grid, background: &Background<'_, T>) {
    let shape = sheet_shape(grid, cell.shape());
    let places = Cells::of(grid);
    let expected: Vec<T> = indices(shape)
        .map(|index @ [_, p, y, x, s]| match places.at(y, x) {
            Some((_, y, x)) => cell.get([0, p, y, x, s]),
            None => background_at(background, index),
        })
        .collect();
    let mut out = dirty(shape);
    canvas::tile(*cell, grid, *background, &mut out).expect("the shapes fit");
    assert_eq!(out, expected);
}

pub(crate) fn check_join<T: Number>(cells: &Sheet<'_, T>, grid: &Grid, background: &Background<'_, T>) -> Vec<T> {
    let shape = sheet_shape(grid, cells.shape());
    let places = Cells::of(grid);
    let expected: Vec<T> = indices(shape)
        .map(|index @ [_, p, y, x, s]| match places.at(y, x) {
            Some((cell, y, x)) => cells.get([cell, p, y, x, s]),
            None => background_at(background, index),
        })
        .collect();
    let mut out = dirty(shape);
    canvas::join(*cells, grid, *background, &mut out).expect("the shapes fit");
    assert_eq!(out, expected);
    out
}

pub(crate) fn check_split<T: Number>(sheet: &Sheet<'_, T>, grid: &Grid) -> Vec<T> {
    let [_, planes, _, _, samples] = sheet.shape();
    let rects: Vec<_> = grid.cell_rects().collect();
    let shape = [rects.len(), planes, grid.cell().height as usize, grid.cell().width as usize, samples];
    let expected: Vec<T> = indices(shape)
        .map(|[cell, p, y, x, s]| sheet.get([0, p, rects[cell].top as usize + y, rects[cell].left as usize + x, s]))
        .collect();
    let mut out = dirty(shape);
    canvas::split(*sheet, grid, &mut out).expect("the shapes fit");
    assert_eq!(out, expected);
    out
}

pub(crate) fn check_merge<T: Number>(
    forks: &Sheet<'_, T>,
    grid: &Grid,
    cells: &[u32],
    background: Option<&Sheet<'_, T>>,
) -> Vec<T> {
    let shape = sheet_shape(grid, forks.shape());
    let places = Cells::of(grid);
    let expected: Vec<T> = indices(shape)
        .map(|[_, p, y, x, s]| {
            let cell = places.at(y, x).map(|(cell, ..)| cell as u32);
            match (cells.iter().position(|&c| Some(c) == cell), background) {
                (Some(fork), _) => forks.get([fork, p, y, x, s]),
                (None, Some(sheet)) => sheet.get([0, p, y, x, s]),
                (None, None) => forks.get([0, p, y, x, s]),
            }
        })
        .collect();
    let mut out = dirty(shape);
    canvas::merge(*forks, grid, cells, background.copied(), &mut out).expect("the shapes fit");
    assert_eq!(out, expected);
    out
}

type Mask<'a> = View<'a, f32, 3>;

pub(crate) fn paste<T: PixelElement>(
    original: &Sheet<'_, T>,
    patches: &Sheet<'_, T>,
    places: &[Rect<Pixel>],
    mask: Option<&Mask<'_>>,
) -> Vec<T> {
    let shape = original.shape();
    (0..places.len())
        .flat_map(|patch| {
            indices(shape).map(move |index| put(original.get(index), patches, patch, places[patch], mask, index))
        })
        .collect()
}

pub(crate) fn paste_all<T: PixelElement>(
    original: &Sheet<'_, T>,
    patches: &Sheet<'_, T>,
    places: &[Rect<Pixel>],
    mask: Option<&Mask<'_>>,
) -> Vec<T> {
    let over = |index| {
        let patched = places.iter().enumerate();
        patched.fold(original.get(index), |below, (patch, &place)| put(below, patches, patch, place, mask, index))
    };
    indices(original.shape()).map(over).collect()
}

/// A pixel with one patch over it.
fn put<T: PixelElement>(
    below: T,
    patches: &Sheet<'_, T>,
    patch: usize,
    place: Rect<Pixel>,
    mask: Option<&Mask<'_>>,
    [_, plane, y, x, sample]: [usize; 5],
) -> T {
    let Some((y, x)) = within(place, y, x) else {
        return below;
    };
    let value = mask.map_or(1.0, |mask| mask.get([patch.min(mask.shape()[0] - 1), y, x]));
    match patches.get([patch, plane, y, x, sample]) {
        new if value == 1.0 => new,
        _ if value == 0.0 => below,
        new => T::mix(below, new, value),
    }
}
