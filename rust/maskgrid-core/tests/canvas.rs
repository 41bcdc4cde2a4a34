//! Canvas operations against references that go element by element.

#[path = "reference/canvas.rs"]
mod reference;

use half::{bf16, f16};
use maskgrid_core::canvas::{self, Background, SoftMask};
use maskgrid_core::{Error, Grid, Pixel, PixelElement, Rect, Size, View};
use proptest::prelude::*;
use reference::Stored;

/// Every grid of at most 3 x 2 cells of at most 3 x 2 px, with gaps, margins and a canvas that has a rest.
fn small_grids() -> impl Iterator<Item = Grid> {
    (0..3 * 2 * 3 * 2 * 2 * 2 * 2_u32).map(|number| {
        let mut rest = number;
        let mut digit = |base| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let (rows, columns) = (digit(3) + 1, digit(2) + 1);
        let cell = Size::new(digit(3) + 1, digit(2) + 1);
        let (gap, margin, more) = (digit(2), digit(2), digit(2));
        let builder = Grid::builder(rows, columns).gap(Size::new(gap, 2 * gap)).margin(Size::new(margin, margin));
        let least = builder.from_cell(cell).expect("it is small").canvas();
        builder.from_cell_and_canvas(cell, Size::new(least.height + more, least.width + 2 * more)).expect("it fits")
    })
}

fn shape_of(grid: &Grid, images: usize, planes: usize, samples: usize) -> [usize; 5] {
    [images, planes, grid.canvas().height as usize, grid.canvas().width as usize, samples]
}

fn cell_shape(grid: &Grid, images: usize, planes: usize, samples: usize) -> [usize; 5] {
    [images, planes, grid.cell().height as usize, grid.cell().width as usize, samples]
}

#[test]
fn all_small_grids_are_copied_as_element_by_element() {
    for grid in small_grids() {
        for (planes, samples) in [(1, 1), (2, 3)] {
            let cells = grid.cell_count() as usize;
            let one = Stored::numbered(cell_shape(&grid, 1, planes, samples), 0);
            let all = Stored::numbered(cell_shape(&grid, cells, planes, samples), 100);
            let back = Stored::numbered(shape_of(&grid, 1, planes, samples), 10_000);
            let forks = Stored::numbered(shape_of(&grid, cells, planes, samples), 20_000);
            let order: Vec<u32> = (0..grid.cell_count()).rev().collect();
            for background in [Background::Fill(9), Background::Sheet(back.view())] {
                reference::check_tile(&one.view(), &grid, &background);
                reference::check_join(&all.view(), &grid, &background);
            }
            reference::check_split(&back.view(), &grid);
            reference::check_merge(&forks.view(), &grid, &order, None);
            reference::check_merge(&forks.view(), &grid, &order, Some(&back.view()));
        }
    }
}

#[test]
fn splitting_what_was_joined_gives_the_cells() {
    for grid in small_grids() {
        let shape = cell_shape(&grid, grid.cell_count() as usize, 2, 3);
        let cells = Stored::numbered(shape, 0);
        let mut sheet = vec![0_u16; shape_of(&grid, 1, 2, 3).iter().product()];
        canvas::join(cells.view(), &grid, Background::Fill(0), &mut sheet).expect("the shapes fit");
        let mut back = vec![0_u16; shape.iter().product()];
        let view = View::dense(&sheet, shape_of(&grid, 1, 2, 3)).expect("it is dense");
        canvas::split(view, &grid, &mut back).expect("the shapes fit");
        assert_eq!(back, cells.elements());
    }
}

/// Sheets that are worked on in several pieces, with pieces that end within an image.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let grid = Grid::builder(3, 5).gap(Size::new(3, 1)).margin(Size::new(2, 7)).from_cell(Size::new(23, 67));
    let grid = grid.expect("it fits");
    let sheet = Stored::numbered(shape_of(&grid, 1, 3, 4), 5);
    let forks = Stored::numbered(shape_of(&grid, 15, 3, 4), 9);
    assert!(size_of_val(sheet.elements().as_slice()) > 1 << 19, "too small to be shared out");
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
        pool.install(|| {
            let cells = reference::check_split(&sheet.view(), &grid);
            let cells = View::dense(&cells, cell_shape(&grid, 15, 3, 4)).expect("it is dense");
            let joined = reference::check_join(&cells, &grid, &Background::Sheet(sheet.view()));
            let order: Vec<u32> = (0..15).map(|cell| (cell * 7) % 15).collect();
            (joined, reference::check_merge(&forks.view(), &grid, &order, None))
        })
    };
    let single = run(1);
    assert_eq!(single.0, sheet.elements());
    assert!(single == run(2) && single == run(5));
}

#[test]
fn nothing_in_nothing_out() {
    let grid = Grid::builder(2, 2).from_cell(Size::new(2, 2)).expect("it fits");
    let empty: [u8; 0] = [];
    let view = |shape| View::dense(&empty, shape).expect("it is empty");
    canvas::tile(view([1, 0, 2, 2, 3]), &grid, Background::Fill(0), &mut []).expect("no planes");
    canvas::split(view([1, 1, 4, 4, 0]), &grid, &mut []).expect("no samples");
    canvas::paste(view([1, 0, 4, 4, 1]), view([0, 0, 2, 2, 1]), &[], None, &mut []).expect("no patches");
    let none = SoftMask::new(View::<f32, 3>::dense(&[], [1, 0, 5]).expect("it is empty")).expect("it is empty");
    let places = [Rect::<Pixel>::new(1, 1, 1, 6)];
    let sheet = Stored::numbered([1, 1, 4, 7, 1], 0_u8.into());
    let mut out = [0_f32; 28];
    let original: Vec<f32> = sheet.elements().into_iter().map(f32::from).collect();
    let original = View::dense(&original, [1, 1, 4, 7, 1]).expect("it is dense");
    let patch = View::dense(&[], [1, 1, 0, 5, 1]).expect("it is empty");
    canvas::paste(original, patch, &places, Some(&none), &mut out).expect("an empty patch");
    assert_eq!(out.as_slice(), original.as_slice().expect("it is dense"));
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let grid = Grid::builder(2, 2).from_cell(Size::new(2, 3)).expect("it fits");
    let data = vec![0_u8; 4096];
    let view = |shape| View::dense(&data, shape).expect("it is dense");
    let mut out = vec![0_u8; 24];
    let fill = Background::Fill(0);
    let name = |result: maskgrid_core::Result<()>| match result.expect_err("it must be refused") {
        Error::Shape { name, .. } | Error::OutOfRange { name, .. } | Error::NoSuchIndex { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(name(canvas::tile(view([1, 1, 3, 3, 1]), &grid, fill, &mut out)), "cell");
    assert_eq!(name(canvas::tile(view([2, 1, 2, 3, 1]), &grid, fill, &mut out)), "cell");
    assert_eq!(name(canvas::tile(view([1, 1, 2, 3, 2]), &grid, fill, &mut out)), "out");
    let background = Background::Sheet(view([1, 1, 4, 6, 2]));
    assert_eq!(name(canvas::tile(view([1, 1, 2, 3, 1]), &grid, background, &mut out)), "background");
    assert_eq!(name(canvas::join(view([3, 1, 2, 3, 1]), &grid, fill, &mut out)), "cells");
    assert_eq!(name(canvas::split(view([1, 1, 4, 5, 1]), &grid, &mut out)), "sheet");
    let forks = view([2, 1, 4, 6, 1]);
    assert_eq!(name(canvas::merge(forks, &grid, &[0], None, &mut out)), "forks");
    assert_eq!(name(canvas::merge(forks, &grid, &[1, 1], None, &mut out)), "cells");
    assert_eq!(name(canvas::merge(forks, &grid, &[1, 4], None, &mut out)), "cell");
    assert_eq!(name(canvas::merge(view([0, 1, 4, 6, 1]), &grid, &[], None, &mut out)), "forks");
    assert_eq!(name(canvas::merge(forks, &grid, &[0, 1], Some(forks), &mut out)), "background");
    let (original, patch) = (view([1, 1, 4, 6, 1]), view([1, 1, 2, 3, 1]));
    let place = |top, left| Rect::<Pixel>::at(top, left, Size::new(2, 3));
    assert_eq!(name(canvas::paste(original, patch, &[place(3, 0)], None, &mut out)), "a place");
    assert_eq!(name(canvas::paste(original, patch, &[place(0, 4)], None, &mut out)), "a place");
    assert_eq!(name(canvas::paste(original, patch, &[Rect::new(0, 0, 1, 3)], None, &mut out)), "a place");
    assert_eq!(name(canvas::paste(original, patch, &[], None, &mut out)), "patches");
    assert_eq!(name(canvas::paste(original, patch, &[place(0, 0)], None, &mut out[1..])), "out");
    let mask = SoftMask::new(View::dense(&data, [1, 3, 3]).expect("it is dense")).expect("all 0");
    assert_eq!(name(canvas::paste(original, patch, &[place(0, 0)], Some(&mask), &mut out)), "mask");
    let mask = SoftMask::new(View::dense(&data, [2, 2, 3]).expect("it is dense")).expect("all 0");
    assert_eq!(name(canvas::paste(original, patch, &[place(0, 0)], Some(&mask), &mut out)), "mask");
}

#[test]
fn the_first_bad_value_of_a_mask_is_named() {
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
        let mut mask = vec![0.5_f32; 2 * 300 * 500];
        (mask[299 * 500 + 77], mask[450 * 500 + 400]) = (1.5, f32::NAN);
        let view = View::dense(&mask, [2, 300, 500]).expect("it is dense");
        let error = pool.install(|| SoftMask::new(view).err()).expect("it must be refused");
        assert_eq!(error, Error::MaskValue { value: 1.5, index: 0, row: 299, column: 77 });
        let view = View::new(&mask, 0, [1, 500, 600], [0, 1, 500]).expect("it fits");
        let error = SoftMask::new(view).err().expect("it must be refused");
        assert_eq!(error, Error::MaskValue { value: 1.5, index: 0, row: 77, column: 299 });
    }
}

/// u8 against the definition, for all pairs of bytes.
#[test]
fn all_bytes_are_mixed_to_the_nearest() {
    let shape = [1, 1, 256, 256, 1];
    let original: Vec<u8> = (0..65_536_u32).map(|i| (i >> 8) as u8).collect();
    let patch: Vec<u8> = (0..65_536_u32).map(|i| i as u8).collect();
    let view = |data| View::dense(data, shape).expect("it is dense");
    for value in [0.0, 1e-30, 0.001, 0.25, 1.0 / 3.0, 0.5, 0.502, 0.75, 0.999_999_9, 1.0_f32] {
        let mask = vec![value; 65_536];
        let mask = SoftMask::new(View::dense(&mask, [1, 256, 256]).expect("it is dense")).expect("it is in range");
        let mut out = vec![0; 65_536];
        let places = [Rect::new(0, 0, 256, 256)];
        canvas::paste(view(&original), view(&patch), &places, Some(&mask), &mut out).expect("the shapes fit");
        for ((&out, &from), &to) in out.iter().zip(&original).zip(&patch) {
            let (from, to) = (f32::from(from), f32::from(to));
            assert_eq!(f32::from(out), (from + (to - from) * value).round_ties_even());
        }
    }
}

/// Pastes bits of every kind, NaN and -0 among them, through keep, replace and soft runs.
fn check_paste<T: PixelElement>(from_bits: impl Fn(u64) -> T, seed: u64, widths: [usize; 2], samples: usize) {
    let [width, patch_width] = widths;
    let mut numbers = reference::Numbers(seed);
    let mut sheet = |shape: [usize; 5]| Stored::filled(shape, || from_bits(numbers.next()), seed);
    let original = sheet([1, 2, 3, width, samples]);
    let patches = sheet([2, 2, 2, patch_width, samples]);
    let (original, patches) = (original.view(), patches.view());
    let right = (width - patch_width) as u32;
    let places = [(1, 0), (0, right)].map(|(top, left)| Rect::at(top, left, Size::new(2, patch_width as u32)));
    let soft = reference::soft_mask([2, 2, patch_width], seed);
    let hard: Vec<f32> = soft.iter().map(|value| value.round()).collect();
    let mut out = vec![original.get([0; 5]); 2 * 2 * 3 * width * samples];
    for (mask, masks, same) in [
        (&soft, 1, reference::same_numbers as fn(&[T], &[T]) -> bool),
        (&soft, 2, reference::same_numbers),
        (&hard, 1, reference::same_bits),
        (&hard, 2, reference::same_bits),
    ] {
        let view = View::dense(mask, [masks, 2, patch_width]).expect("it is dense");
        let mask = SoftMask::new(view).expect("it is in range");
        canvas::paste(original, patches, &places, Some(&mask), &mut out).expect("the shapes fit");
        assert!(same(&out, &reference::paste(&original, &patches, &places, Some(&view))));
        let all = &mut out[..2 * 3 * width * samples];
        canvas::paste_all(original, patches, &places, Some(&mask), all).expect("the shapes fit");
        assert!(same(all, &reference::paste_all(&original, &patches, &places, Some(&view))));
    }
    canvas::paste(original, patches, &places, None, &mut out).expect("the shapes fit");
    assert!(reference::same_bits(&out, &reference::paste(&original, &patches, &places, None)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_strides_are_copied_as_element_by_element(
        (rows, columns) in (1..4_u32, 1..4_u32), (height, width) in (1..6_u32, 1..40_u32),
        gap in 0..3_u32, margin in 0..3_u32, planes in 1..3_usize, samples in 1..5_usize, seed in any::<u64>(),
    ) {
        let builder = Grid::builder(rows, columns).gap(Size::new(gap, margin)).margin(Size::new(margin, gap));
        let grid = builder.from_cell(Size::new(height, width)).expect("it fits");
        let mut numbers = reference::Numbers(seed);
        let mut next = || numbers.next() as u32;
        let cells = grid.cell_count() as usize;
        let sheet = Stored::filled(shape_of(&grid, 1, planes, samples), &mut next, seed);
        let forks = Stored::filled(shape_of(&grid, cells, planes, samples), &mut next, seed ^ 1);
        let all = Stored::filled(cell_shape(&grid, cells, planes, samples), &mut next, seed ^ 2);
        let one = Stored::filled(cell_shape(&grid, 1, planes, samples), &mut next, seed ^ 3);
        reference::check_split(&sheet.view(), &grid);
        reference::check_tile(&one.view(), &grid, &Background::Sheet(sheet.view()));
        reference::check_join(&all.view(), &grid, &Background::Fill(7));
        let order: Vec<u32> = (0..grid.cell_count()).collect();
        reference::check_merge(&forks.view(), &grid, &order, None);
        reference::check_merge(&forks.view(), &grid, &order, Some(&sheet.view()));
    }

    #[test]
    fn pastes_of_every_type_keep_the_bits(
        width in prop_oneof![1..150_usize, 200..600_usize], more in 0..40_usize, samples in 1..5_usize, seed in any::<u64>(),
    ) {
        let widths = [width + more, width];
        check_paste(|bits| bits as u8, seed, widths, samples);
        check_paste(|bits| f16::from_bits(bits as u16), seed, widths, samples);
        check_paste(|bits| bf16::from_bits(bits as u16), seed, widths, samples);
        check_paste(|bits| f32::from_bits(bits as u32), seed, widths, samples);
        check_paste(f64::from_bits, seed, widths, samples);
    }

    #[test]
    fn masks_of_every_type_are_read_the_same(seed in any::<u64>()) {
        let bytes: Vec<u8> = reference::soft_mask([1, 4, 70], seed).iter().map(|value| (value * 255.0) as u8).collect();
        let wide: Vec<f64> = bytes.iter().map(|&value| f64::from(f32::from(value) / 255.0)).collect();
        let hard: Vec<bool> = bytes.iter().map(|&value| value > 100).collect();
        let half: Vec<f16> = hard.iter().map(|&value| f16::from_f32(f32::from(u8::from(value)))).collect();
        let brain: Vec<bf16> = hard.iter().map(|&value| bf16::from_f32(f32::from(u8::from(value)))).collect();
        let paste = |mask: SoftMask<'_>| {
            let (zeros, ones) = ([0.0_f32; 280], [1.0_f32; 280]);
            let view = |data| View::dense(data, [1, 1, 4, 70, 1]).expect("it is dense");
            let mut out = vec![0.0; 280];
            canvas::paste(view(&zeros), view(&ones), &[Rect::new(0, 0, 4, 70)], Some(&mask), &mut out).map(|()| out)
        };
        fn soft<M: maskgrid_core::Element>(mask: &[M]) -> SoftMask<'_> {
            SoftMask::new(View::dense(mask, [1, 4, 70]).expect("it is dense")).expect("it is in range")
        }
        prop_assert_eq!(paste(soft(&bytes)), paste(soft(&wide)));
        prop_assert_eq!(paste(soft(&hard)), paste(soft(&half)));
        prop_assert_eq!(paste(soft(&hard)), paste(soft(&brain)));
    }
}
