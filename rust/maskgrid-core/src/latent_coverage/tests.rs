//! Coverage against its definition: the mask tiled into a full-size canvas, read block by block.

use super::*;
use crate::error::Error;
use crate::grid::Grid;
use crate::rect::Size;
use crate::simd::plain;
use crate::strided_view::View;

const COVERAGES: [Coverage; 5] = [Coverage::Center, Coverage::Nearest, Coverage::Area, Coverage::Max, Coverage::Min];

/// The coverage of the sheet in which some cells hold their mask.
fn expected_of(grid: &Grid, masks: &[f32], cells: impl Iterator<Item = usize>, coverage: Coverage) -> Vec<f32> {
    let (canvas, cell) = (grid.padded_canvas(), grid.cell());
    let (height, width) = (cell.height as usize, cell.width as usize);
    let mut pixels = vec![0.0; canvas.area() as usize];
    for index in cells {
        let rect = grid.cell_rect(index).expect("the cell exists");
        let mask =
            if masks.len() == height * width { masks } else { &masks[index * height * width..][..height * width] };
        let place = [rect.top as usize, rect.left as usize];
        let one = reference::tiled([canvas.height as usize, canvas.width as usize], &[place], mask, [height, width]);
        pixels.iter_mut().zip(one).for_each(|(pixel, value)| *pixel += value);
    }
    let all = reference::coverages(&pixels, canvas.width as usize, grid.stride() as usize);
    all[COVERAGES.iter().position(|&one| one == coverage).expect("all are listed")].clone()
}

fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A third 0, a third 1, a third between.
        ((state >> 40) as f32 / (1 << 24) as f32).mul_add(3.0, -1.0).clamp(0.0, 1.0)
    };
    (0..len).map(|_| next()).collect()
}

fn grids() -> Vec<Grid> {
    let mut grids = Vec::new();
    for stride in [1, 2, 3, 4, 8] {
        for cell in [Size::new(1, 1), Size::new(3, 2), Size::new(4, 5), Size::new(8, 8), Size::new(7, 16)] {
            for (gap, margin) in [(0, 0), (1, 0), (2, 3), (5, 1)] {
                let builder = Grid::builder(2, 3).gap(Size::new(gap, margin)).margin(Size::new(margin, gap));
                grids.push(builder.stride(stride).from_cell(cell).expect("it fits"));
            }
        }
    }
    let uneven = Grid::builder(1, 2).stride(40).from_cell_and_canvas(Size::new(90, 50), Size::new(133, 141));
    grids.push(uneven.expect("it fits"));
    grids
}

fn for_all(mut check: impl FnMut(&Grid, View<'_, f32, 3>, &[f32], Coverage)) {
    for (seed, grid) in (0..).zip(grids()) {
        let (height, width) = (grid.cell().height as usize, grid.cell().width as usize);
        for count in [1, grid.cell_count() as usize] {
            let masks = noise(count * height * width, seed);
            let view = View::dense(&masks, [count, height, width]).expect("it fits");
            COVERAGES.into_iter().for_each(|coverage| check(&grid, view, &masks, coverage));
        }
    }
}

fn assert_close(got: &[f32], expected: &[f32], what: &dyn std::fmt::Debug) {
    let worst = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
    assert!(got.len() == expected.len() && worst < 1e-6, "{what:?}: off by {worst}");
}

#[test]
fn every_fork_has_what_its_full_size_mask_would_give() {
    for_all(|grid, view, masks, coverage| {
        let distinct = DistinctCoverages::new(grid, view.shape()[0]).expect("the count is right");
        let mut latent = vec![f32::NAN; distinct.len()];
        let occupied = cover_cells(grid, view, coverage, &mut latent).expect("it is valid");
        let mut plainly = vec![f32::NAN; distinct.len()];
        plain::without(|| cover_cells(grid, view, coverage, &mut plainly)).expect("it is valid");
        assert_eq!(plainly, latent);
        let size = grid.cell().area() as usize;
        let expected: Vec<bool> = masks.chunks(size).map(|mask| mask.iter().any(|&value| value > 0.0)).collect();
        assert_eq!(occupied, expected);
        let cells: Vec<u32> = (0..grid.cell_count()).rev().collect();
        let sheet = grid.latent_size().area() as usize;
        let mut dense = vec![f32::NAN; cells.len() * sheet];
        lay_noise_masks(&distinct, &latent, &cells, &mut dense).expect("it is valid");
        for (&cell, dense) in cells.iter().zip(dense.chunks_exact(sheet)) {
            let expected = expected_of(grid, masks, std::iter::once(cell as usize), coverage);
            assert_close(dense, &expected, &(grid, coverage, cell));
        }
    });
}

#[test]
fn the_sheet_has_what_its_full_size_mask_would_give() {
    for_all(|grid, view, masks, coverage| {
        let mut out = vec![f32::NAN; grid.latent_size().area() as usize];
        cover_sheet(grid, view, coverage, &mut out).expect("it is valid");
        assert_close(&out, &expected_of(grid, masks, 0..grid.cell_count() as usize, coverage), &(grid, coverage));
        assert!(out.iter().all(|value| (0.0..=1.0).contains(value)));
    });
}

#[test]
fn large_sums_are_exact_to_the_last_bits() {
    let grid = Grid::builder(1, 1).stride(1000).from_cell(Size::new(1000, 1000)).expect("it fits");
    let mask = vec![0.1_f32; 1_000_000];
    let mut out = [0.0];
    cover_cells(&grid, View::dense(&mask, [1, 1000, 1000]).expect("it fits"), Coverage::Area, &mut out).expect("valid");
    assert!((out[0] - 0.1).abs() < 1e-7);
}

#[test]
fn all_types_are_read_alike() {
    let grid = Grid::builder(1, 1).stride(4).from_cell(Size::new(8, 8)).expect("it fits");
    let bytes: Vec<u8> = (0..64).map(|x| if x * x % 7 < 3 { 255 } else { 0 }).collect();
    let floats: Vec<f64> = bytes.iter().map(|&byte| f64::from(byte) / 255.0).collect();
    let halves: Vec<half::f16> = floats.iter().map(|&value| half::f16::from_f64(value)).collect();
    let truths: Vec<bool> = bytes.iter().map(|&byte| byte > 0).collect();
    for coverage in COVERAGES {
        let mut outs = [[0.0; 4]; 4];
        cover_cells(&grid, View::dense(&bytes, [1, 8, 8]).expect("it fits"), coverage, &mut outs[0]).expect("valid");
        cover_cells(&grid, View::dense(&floats, [1, 8, 8]).expect("it fits"), coverage, &mut outs[1]).expect("valid");
        cover_cells(&grid, View::dense(&halves, [1, 8, 8]).expect("it fits"), coverage, &mut outs[2]).expect("valid");
        cover_cells(&grid, View::dense(&truths, [1, 8, 8]).expect("it fits"), coverage, &mut outs[3]).expect("valid");
        assert!(outs.iter().all(|out| *out == outs[0]));
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let grid = Grid::builder(2, 2).stride(4).from_cell(Size::new(8, 8)).expect("it fits");
    let mut mask = vec![0.5_f32; 4 * 64];
    let mut out = vec![0.0; 16];
    let wrong = View::dense(&mask, [3, 8, 8]).expect("it fits");
    assert!(cover_cells(&grid, wrong, Coverage::Max, &mut out).is_err());
    let wrong = View::dense(&mask, [1, 8, 9]).expect("it fits");
    assert!(cover_sheet(&grid, wrong, Coverage::Max, &mut out).is_err());
    let one = View::dense(&mask, [1, 8, 8]).expect("it fits");
    assert!(cover_cells(&grid, one, Coverage::Max, &mut out).is_err());
    let distinct = DistinctCoverages::new(&grid, 1).expect("the count is right");
    assert!(lay_noise_masks(&distinct, &out[..4], &[4], &mut [0.0; 16]).is_err());
    assert!(lay_noise_masks(&distinct, &out[..4], &[0, 1], &mut [0.0; 16]).is_err());
    assert!(lay_noise_masks(&distinct, &out[..3], &[0], &mut [0.0; 16]).is_err());
    mask[2 * 64 + 13] = 1.5;
    let result = cover_cells(&grid, View::dense(&mask, [4, 8, 8]).expect("it fits"), Coverage::Center, &mut out);
    assert_eq!(result, Err(Error::MaskValue { value: 1.5, index: 2, row: 1, column: 5 }));
}
