//! Grids that are found in pictures, beside those that the pictures were drawn by.

use maskgrid_core::detect_grid::{Detected, detect_grids};
use maskgrid_core::{Grid, Size, View};
use proptest::prelude::*;

const GROUND: [u8; 4] = [240, 240, 240, 255];

/// Numbers that look like chance and are the same every time.
fn noise(seed: u32) -> u32 {
    let mixed = (seed ^ 61 ^ (seed >> 16)).wrapping_mul(9).wrapping_mul(0x27d4_eb2d);
    mixed ^ (mixed >> 15)
}

/// Cells of a colour each, with a darker block in each of them.
fn draw(grid: &Grid) -> Vec<u8> {
    let (height, width) = (grid.canvas().height as usize, grid.canvas().width as usize);
    let mut pixels: Vec<u8> = GROUND.repeat(height * width);
    for (index, cell) in grid.cell_rects().enumerate() {
        let colour = [0, 1, 2].map(|channel| 40 + (noise(index as u32 * 3 + channel) % 140) as u8);
        for y in cell.top..cell.bottom {
            for x in cell.left..cell.right {
                let in_block = y - cell.top > 5 && y - cell.top < 11 && x - cell.left > 4 && x - cell.left < 12;
                let place = 4 * (y as usize * width + x as usize);
                for channel in 0..3 {
                    pixels[place + channel] = if in_block { colour[channel] / 3 } else { colour[channel] };
                }
            }
        }
    }
    pixels
}

fn shape(grid: &Grid) -> [usize; 3] {
    [grid.canvas().height as usize, grid.canvas().width as usize, 4]
}

fn detect(pixels: &[u8], shape: [usize; 3]) -> Vec<Detected> {
    detect_grids(View::dense(pixels, shape).expect("it fits")).expect("it is a picture")
}

#[test]
fn boxes_with_gaps_are_found_to_the_pixel() {
    for (rows, columns) in [(1, 2), (3, 1), (2, 2), (3, 4), (5, 3)] {
        for gap in [1, 2, 7] {
            for margin in [0, 1, 9] {
                let grid = Grid::builder(rows, columns)
                    .gap(Size::new(gap, gap))
                    .margin(Size::new(margin, margin))
                    .stride(1)
                    .from_cell(Size::new(20, 26))
                    .expect("it fits");
                let found = detect(&draw(&grid), shape(&grid));
                // A single row has no gap that could be seen.
                let rects = |grid: &Grid| grid.cell_rects().collect::<Vec<_>>();
                assert_eq!(rects(&found[0].grid), rects(&grid), "{rows} x {columns}, gap {gap}, margin {margin}");
            }
        }
    }
}

#[test]
fn a_margin_may_be_wider_than_what_follows_the_last_cell() {
    let grid = Grid::builder(2, 3)
        .gap(Size::new(4, 3))
        .margin(Size::new(12, 9))
        .stride(1)
        .from_cell_and_canvas(Size::new(20, 24), Size::new(12 + 44 + 2, 9 + 78))
        .expect("it fits");
    assert_eq!(detect(&draw(&grid), shape(&grid))[0].grid, grid);
}

#[test]
fn what_is_found_does_not_depend_on_how_the_pixels_lie() {
    let grid = Grid::builder(2, 3).gap(Size::new(3, 3)).stride(1).from_cell(Size::new(24, 20)).expect("it fits");
    let pixels = draw(&grid);
    let [height, width, _] = shape(&grid);
    let expected = detect(&pixels, shape(&grid));
    let rgb: Vec<u8> = pixels.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
    assert_eq!(detect(&rgb, [height, width, 3]), expected, "without alpha");
    let wide: Vec<u8> = pixels.iter().flat_map(|&value| [value, 99]).collect();
    let strides = [2 * 4 * width as isize, 2 * 4, 2];
    let view = View::new(&wide, 0, [height, width, 4], strides).expect("it fits");
    assert_eq!(detect_grids(view).expect("it is a picture"), expected, "every second item");
}

#[test]
fn what_is_found_does_not_depend_on_threads() {
    let grid = Grid::builder(4, 4).gap(Size::new(8, 8)).stride(1).from_cell(Size::new(400, 300)).expect("it fits");
    let pixels = draw(&grid);
    let expected = detect(&pixels, shape(&grid));
    assert_eq!(expected[0].grid, grid);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
        let found = pool.install(|| detect(&pixels, shape(&grid)));
        assert_eq!(found, expected, "{threads} threads");
    }
}

#[test]
fn pictures_without_a_grid_are_not_believed() {
    let blank = [77_u8; 3 * 90 * 120];
    let noisy: Vec<u8> = (0..3 * 90 * 120).map(|index| noise(index) as u8).collect();
    for pixels in [&blank[..], &noisy[..]] {
        let best = &detect(pixels, [90, 120, 3])[0];
        assert!(best.confidence < 0.5, "{best:?}");
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    for shape in [[0, 4, 3], [4, 4, 5], [4, 4, 0]] {
        let refused = detect_grids(View::dense(&[0_u8; 80], shape).expect("it fits"));
        assert!(refused.expect_err("it must be refused").to_string().contains("C of 1 to 4"));
    }
}

proptest! {
    #[test]
    fn whatever_the_pixels_are_there_are_grids_of_its_size(
        height in 1_usize..40,
        width in 1_usize..40,
        channels in 1_usize..5,
        levels in 1_u32..5,
        seed in any::<u32>(),
    ) {
        let count = (height * width * channels) as u32;
        let pixels: Vec<u8> = (0..count).map(|index| (noise(seed ^ index) % levels * 60) as u8).collect();
        let found = detect(&pixels, [height, width, channels]);
        prop_assert!((1..=5).contains(&found.len()));
        for each in &found {
            prop_assert_eq!(each.grid.canvas(), Size::new(height as u32, width as u32));
            prop_assert!((0.0..=1.0).contains(&each.confidence));
        }
    }
}
