//! All operations against their definitions, on all small sizes and on widths around a word of 64 pixels.

use super::*;
use crate::error::{Error, Result};
use crate::simd::plain;
use crate::strided_view::View;

/// Masks of many kinds: empty, full, single pixels, lines, noise of several densities.
fn masks(height: usize, width: usize) -> Vec<Vec<bool>> {
    let size = height * width;
    let mut masks = vec![vec![false; size], vec![true; size]];
    let mut state = (height * 1000 + width) as u64 + 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for density in [1, 10, 50, 90, 99] {
        masks.push((0..size).map(|_| random() % 100 < density).collect());
    }
    if size > 0 {
        let place = random() as usize % size;
        masks.push((0..size).map(|other| other == place).collect());
        masks.push((0..size).map(|other| other != place).collect());
        masks.push((0..size).map(|other| other % width == place % width).collect());
        masks.push((0..size).map(|other| (other / width + other % width) % 5 < 2).collect());
    }
    masks
}

/// Every size up to 10, and some where rows have more than one word.
fn sizes() -> impl Iterator<Item = (usize, usize)> {
    let small = (0..=10).flat_map(|height| (0..=10).map(move |width| (height, width)));
    small.chain([(3, 64), (4, 65), (2, 130), (70, 3), (7, 129)])
}

fn view<T: Copy>(mask: &[T], height: usize, width: usize) -> View<'_, T, 3> {
    View::dense(mask, [1, height, width]).expect("the slice is as long as the shape says")
}

fn for_all(mut check: impl FnMut(&[bool], usize, usize)) {
    for (height, width) in sizes() {
        masks(height, width).iter().for_each(|mask| check(mask, height, width));
    }
}

const RADII: [f64; 10] = [0.0, 0.5, 1.0, 1.414, 1.415, 2.0, 2.9, 4.3, 8.0, 1e9];

#[test]
fn grow_and_shrink_follow_their_definitions() {
    for_all(|mask, height, width| {
        let [to_outside, to_inside] = [false, true].map(|inside| reference::squared(mask, width, inside));
        for radius in RADII {
            let mut out = vec![false; mask.len()];
            grow(view(mask, height, width), radius, 0.5, &mut out).expect("it is valid");
            assert_eq!(out, reference::within(&to_inside, radius), "grow {height} x {width} by {radius}");
            shrink(view(mask, height, width), radius, 0.5, &mut out).expect("it is valid");
            let lost: Vec<bool> = out.iter().map(|inside| !inside).collect();
            assert_eq!(lost, reference::within(&to_outside, radius), "shrink {height} x {width} by {radius}");
        }
    });
}

#[test]
fn feather_follows_its_definition() {
    for_all(|mask, height, width| {
        let [to_outside, to_inside] = [false, true].map(|inside| reference::squared(mask, width, inside));
        for ramp in [0.0, 1e-30, 0.7, 1.0, 3.0, 7.5, 400.0, 1e30] {
            for (placement, base) in [(Placement::Inside, 0.0), (Placement::Outside, 1.0), (Placement::Centred, 0.5)] {
                let mut out = vec![9.0_f32; mask.len()];
                feather(view(mask, height, width), ramp, placement, 0.5, &mut out).expect("it is valid");
                let expected = reference::feather(&to_outside, &to_inside, ramp, base);
                for (place, (got, expected)) in out.iter().zip(expected).enumerate() {
                    let close = (f64::from(*got) - expected).abs() < 1e-6;
                    assert!(close, "{placement:?} {ramp}: {got}, not {expected} at {place} of {height} x {width}");
                }
            }
        }
    });
}

#[test]
fn fill_holes_and_boxes_follow_their_definitions() {
    for_all(|mask, height, width| {
        let mut out = vec![false; mask.len()];
        fill_holes(view(mask, height, width), 0.5, &mut out).expect("it is valid");
        assert_eq!(out, reference::fill_holes(mask, width), "{height} x {width}");
        let boxes = bounding_boxes(view(mask, height, width), 0.5).expect("it is valid");
        let rects: Vec<[u32; 4]> = boxes.iter().map(|rect| [rect.top, rect.left, rect.bottom, rect.right]).collect();
        assert_eq!(rects, [reference::bounding_box(mask, width)]);
    });
}

#[test]
fn every_mask_of_4_x_4_pixels_is_filled_right() {
    for bits in 0..1 << 16_u32 {
        let mask: Vec<bool> = (0..16).map(|place| bits >> place & 1 == 1).collect();
        let mut out = [false; 16];
        fill_holes(view(&mask, 4, 4), 0.5, &mut out).expect("it is valid");
        // The four inner pixels stay open if any of them has an open neighbour on the border.
        assert_eq!(out.to_vec(), reference::fill_holes(&mask, 4), "{bits:#018b}");
    }
}

#[test]
fn long_reaches_give_what_short_ones_do() {
    // The envelope takes over where the reach is too long for trying every column.
    let (height, width) = (30, 250);
    for mask in masks(height, width).into_iter().skip(2) {
        let view = view(&mask, height, width);
        for placement in [Placement::Inside, Placement::Outside] {
            let (mut short, mut long) = (vec![0.0_f64; mask.len()], vec![0.0_f64; mask.len()]);
            feather(view, 180.0, placement, 0.5, &mut short).expect("it is valid");
            feather(view, 360.0, placement, 0.5, &mut long).expect("it is valid");
            let base = if placement == Placement::Inside { 0.0 } else { 1.0 };
            for (short, long) in short.iter().zip(&long).filter(|(short, _)| (0.01..0.99).contains(*short)) {
                assert!(((short - base) - 2.0 * (long - base)).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn results_have_any_type_and_masks_any_strides() {
    let data: Vec<u8> = (0..60).map(|x| (x * 37 % 256) as u8).collect();
    // Two masks of 3 x 5, upside down, every other byte.
    let strided = View::new(&data, 20, [2, 3, 5], [30, -10, 2]).expect("it fits");
    let plain: Vec<u8> = (0..30).map(|i| strided.get([i / 15, i / 5 % 3, i % 5])).collect();
    let dense = View::dense(&plain, [2, 3, 5]).expect("it fits");
    let (mut a, mut b) = (vec![0.0_f64; 30], vec![false; 30]);
    grow(strided, 1.0, 0.5, &mut a).expect("it is valid");
    grow(dense, 1.0, 0.5, &mut b).expect("it is valid");
    assert!(a.iter().zip(&b).all(|(a, b)| (*a == 1.0) == *b));
    let mut inverted = vec![0_u8; 30];
    invert(strided, &mut inverted).expect("it is valid");
    assert!(inverted.iter().zip(&plain).all(|(a, b)| *a == 255 - b));
}

#[test]
fn inverting_twice_gives_the_mask() {
    let data: Vec<f64> = (0..=1024).map(|x| f64::from(x) / 1024.0).collect();
    let (mut once, mut twice) = (vec![0.0_f64; 1025], vec![0.0_f64; 1025]);
    invert(view(&data, 1, 1025), &mut once).expect("it is valid");
    invert(view(&once, 1, 1025), &mut twice).expect("it is valid");
    assert_eq!(data, twice);
    let mut bytes = vec![0_u8; 1025];
    invert(view(&data, 1, 1025), &mut bytes).expect("it is valid");
    assert!(bytes.iter().zip(&once).all(|(byte, value)| (f64::from(*byte) - value * 255.0).abs() <= 0.5001));
}

#[test]
fn refusals_say_where_and_what() {
    let mut data = vec![0.25_f32; 2 * 3 * 70];
    data[3 * 70 + 70 + 66] = f32::NAN;
    let mask = View::dense(&data, [2, 3, 70]).expect("it fits");
    let mut out = vec![0.0_f32; data.len()];
    let place = |result: Result<()>| match result.expect_err("a NaN must be refused") {
        Error::MaskValue { value, index, row, column } => (value.is_nan(), index, row, column),
        other => panic!("{other}"),
    };
    let results = [
        threshold(mask, 0.5, &mut out),
        invert(mask, &mut out),
        grow(mask, 2.0, 0.5, &mut out),
        shrink(mask, 0.0, 0.5, &mut out),
        feather(mask, 2.0, Placement::Inside, 0.5, &mut out),
        fill_holes(mask, 0.5, &mut out),
        bounding_boxes(mask, 0.5).map(|_| ()),
    ];
    assert!(results.into_iter().all(|result| place(result) == (true, 1, 1, 66)));
    let text = |result: Result<()>| result.expect_err("it must be refused").to_string();
    assert!(text(grow(mask, -1.0, 0.5, &mut out)).contains("radius is -1"));
    assert!(text(grow(mask, f64::NAN, 0.5, &mut out)).contains("NaN"));
    assert!(text(threshold(mask, 1.5, &mut out)).contains("level is 1.5"));
    assert!(text(threshold(mask, 0.5, &mut out[1..])).contains("(2, 3, 70)"));
    let wide = View::new(&data, 0, [1, 2, 1 << 40], [0, 0, 0]).expect("one element is enough");
    assert!(bounding_boxes(wide, 0.5).is_err());
}

#[test]
fn every_processor_gives_the_same_bits() {
    let (height, width) = (40, 333);
    for mask in masks(height, width).into_iter().skip(2) {
        let soft: Vec<f32> =
            mask.iter().zip(0..).map(|(&inside, i)| (f32::from(u8::from(inside)) + i as f32 / 2e4) / 2.0).collect();
        let view = view(&soft, height, width);
        let run = || {
            let mut results = vec![vec![0.0_f32; soft.len()]; 6];
            threshold(view, 0.5, &mut results[0]).expect("it is valid");
            invert(view, &mut results[1]).expect("it is valid");
            grow(view, 5.5, 0.5, &mut results[2]).expect("it is valid");
            fill_holes(view, 0.5, &mut results[3]).expect("it is valid");
            feather(view, 9.0, Placement::Centred, 0.5, &mut results[4]).expect("it is valid");
            feather(view, 190.0, Placement::Inside, 0.5, &mut results[5]).expect("it is valid");
            results
        };
        assert!(plain::without(run) == run());
    }
}
