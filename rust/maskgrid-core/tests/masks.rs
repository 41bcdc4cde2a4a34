//! Mask operations and coverage against their definitions: any size, type, strides, number of threads.

#[path = "reference/latent_coverage.rs"]
mod reference_coverage;
#[path = "reference/pixel_mask.rs"]
mod reference_mask;

use half::{bf16, f16};
use maskgrid_core::latent_coverage::{self, Coverage, DistinctCoverages};
use maskgrid_core::pixel_mask::{self, Placement};
use maskgrid_core::{Element, Flag, Grid, Size, View};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

/// A stack of masks somewhere in memory, and what it says.
#[derive(Debug, Clone)]
struct Stack<T> {
    memory: Vec<T>,
    offset: usize,
    shape: [usize; 3],
    elem_strides: [isize; 3],
}

impl<T: Element> Stack<T> {
    /// Lays values out with steps between columns and rows, and turns axes around.
    fn new(values: &[T], shape: [usize; 3], step: usize, pad: usize, turned: [bool; 2]) -> Self {
        let [_, height, width] = shape;
        let row = (width * step + pad) as isize;
        let mut elem_strides = [row * height as isize, row, step as isize];
        let mut offset = 0;
        for (axis, _) in turned.iter().enumerate().filter(|(axis, turned)| **turned && shape[axis + 1] > 0) {
            offset += (shape[axis + 1] - 1) * elem_strides[axis + 1].unsigned_abs();
            elem_strides[axis + 1] *= -1;
        }
        // What lies between must not be read: 1 would be inside.
        let mut memory = vec![T::ONE; shape[0] * row as usize * height];
        for (index, &value) in values.iter().enumerate() {
            let place = [index / (height * width), index / width % height, index % width];
            let at = place.iter().zip(elem_strides).map(|(&i, stride)| i as isize * stride).sum::<isize>();
            memory[offset.wrapping_add_signed(at)] = value;
        }
        Self { memory, offset, shape, elem_strides }
    }

    fn view(&self) -> View<'_, T, 3> {
        View::new(&self.memory, self.offset, self.shape, self.elem_strides).expect("it lies inside its memory")
    }
}

/// Values in 0..=1, of which many are 0 and 1.
fn values(len: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![3 => Just(0.0_f32), 3 => Just(1.0_f32), 1 => 0.0_f32..=1.0];
    // Runs of equal values make regions that are larger than a pixel.
    prop::collection::vec((value, 1_usize..12), len / 4 + 1).prop_map(move |runs| {
        let pixels = runs.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count));
        pixels.chain(std::iter::repeat(0.0)).take(len).collect()
    })
}

fn stacks() -> impl Strategy<Value = (Vec<f32>, [usize; 3], usize, usize, [bool; 2])> {
    (1_usize..3, 0_usize..16, 0_usize..140).prop_flat_map(|(count, height, width)| {
        let distinct = (1_usize..4, 0_usize..3, any::<[bool; 2]>());
        (values(count * height * width), Just([count, height, width]), distinct)
            .prop_map(|(values, shape, (step, pad, turned))| (values, shape, step, pad, turned))
    })
}

/// All operations on one mask type.
fn check<T: Element>(
    (values, shape, step, pad, turned): &(Vec<f32>, [usize; 3], usize, usize, [bool; 2]),
    length: f64,
    level: f64,
) {
    let numbers: Vec<T> = values.iter().map(|&value| T::from_unit(value)).collect();
    let stack = Stack::new(&numbers, *shape, *step, *pad, *turned);
    let inside: Vec<bool> = numbers.iter().map(|number| number.narrow() >= level as f32).collect();
    let (view, width, size) = (stack.view(), shape[2], (shape[1] * shape[2]).max(1));
    let mut hard = vec![false; values.len()];
    pixel_mask::threshold(view, level, &mut hard).expect("it is valid");
    assert_eq!(hard, inside);
    let boxes = pixel_mask::bounding_boxes(view, level).expect("it is valid");
    for (mask, rect) in inside.chunks(size).zip(boxes) {
        assert_eq!([rect.top, rect.left, rect.bottom, rect.right], reference_mask::bounding_box(mask, width));
    }
    let mut results = vec![vec![0_u8; values.len()]; 4];
    pixel_mask::grow(view, length, level, &mut results[0]).expect("it is valid");
    pixel_mask::shrink(view, length, level, &mut results[1]).expect("it is valid");
    pixel_mask::fill_holes(view, level, &mut results[2]).expect("it is valid");
    pixel_mask::invert(view, &mut results[3]).expect("it is valid");
    let placements = [(Placement::Inside, 0.0), (Placement::Outside, 1.0), (Placement::Centred, 0.5)];
    let ramps = placements.map(|(placement, base)| {
        let mut ramp = vec![0.0_f64; values.len()];
        pixel_mask::feather(view, length, placement, level, &mut ramp).expect("it is valid");
        (ramp, base)
    });
    for (index, mask) in inside.chunks(size).enumerate() {
        let part = index * size..index * size + mask.len();
        let [to_outside, to_inside] = [false, true].map(|inside| reference_mask::squared(mask, width, inside));
        let same =
            |got: &[u8], expected: &[bool]| got.iter().zip(expected).all(|(got, &is)| *got == 255 * u8::from(is));
        assert!(same(&results[0][part.clone()], &reference_mask::within(&to_inside, length)));
        let kept: Vec<bool> = reference_mask::within(&to_outside, length).iter().map(|near| !near).collect();
        assert!(same(&results[1][part.clone()], &kept));
        assert!(same(&results[2][part.clone()], &reference_mask::fill_holes(mask, width)));
        for (ramp, base) in &ramps {
            let expected = reference_mask::feather(&to_outside, &to_inside, length, *base);
            assert!(ramp[part.clone()].iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6));
        }
    }
    let inverted = numbers.iter().map(|number| f64::from(number.complement().narrow()) * 255.0);
    assert!(results[3].iter().zip(inverted).all(|(got, exact)| (f64::from(*got) - exact).abs() < 0.5001));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn operations_follow_their_definitions(
        stack in stacks(),
        length in prop_oneof![Just(0.0), 0.1..4.0, 4.0..40.0, Just(300.0)],
        level in prop_oneof![Just(0.5), Just(0.0), Just(1.0), 0.0..=1.0],
        kind in 0..7,
    ) {
        match kind {
            0 => check::<bool>(&stack, length, level),
            1 => check::<Flag>(&stack, length, level),
            2 => check::<u8>(&stack, length, level),
            3 => check::<f16>(&stack, length, level),
            4 => check::<bf16>(&stack, length, level),
            5 => check::<f32>(&stack, length, level),
            _ => check::<f64>(&stack, length, level),
        }
    }

    #[test]
    fn coverage_follows_its_definition(
        (rows, columns) in (1_u32..4, 1_u32..4),
        (gap, margin) in ((0_u32..6, 0_u32..6), (0_u32..6, 0_u32..6)),
        (cell, rest) in ((1_u32..30, 1_u32..30), (0_u32..5, 0_u32..5)),
        stride in 1_u32..12,
        many in any::<bool>(),
        seed in values(9 * 30 * 30),
    ) {
        let builder = Grid::builder(rows, columns).gap(Size::new(gap.0, gap.1)).margin(Size::new(margin.0, margin.1));
        let cell = Size::new(cell.0, cell.1);
        let canvas = builder.from_cell(cell).expect("it fits").canvas();
        let canvas = Size::new(canvas.height + rest.0, canvas.width + rest.1);
        let grid = builder.stride(stride).from_cell_and_canvas(cell, canvas).expect("it fits");
        check_coverage(&grid, &seed, if many { grid.cell_count() as usize } else { 1 });
    }
}

fn check_coverage(grid: &Grid, seed: &[f32], count: usize) {
    let [height, width] = [grid.cell().height as usize, grid.cell().width as usize];
    let masks = &seed[..count * height * width];
    let view = View::dense(masks, [count, height, width]).expect("it is dense");
    let padded = grid.padded_canvas();
    let canvas = [padded.height as usize, padded.width as usize];
    let places: Vec<[usize; 2]> = grid.cell_rects().map(|rect| [rect.top as usize, rect.left as usize]).collect();
    let distinct = DistinctCoverages::new(grid, count).expect("the count is right");
    let size = grid.latent_size().area() as usize;
    let cells: Vec<u32> = (0..grid.cell_count()).collect();
    let whole = reference_mask_of(&reference_coverage::tiled(canvas, &places, masks, [height, width]), grid);
    let kinds = [Coverage::Center, Coverage::Nearest, Coverage::Area, Coverage::Max, Coverage::Min];
    for (kind, expected) in kinds.into_iter().zip(whole) {
        let mut sheet = vec![f32::NAN; size];
        latent_coverage::cover_sheet(grid, view, kind, &mut sheet).expect("it is valid");
        assert!(close(&sheet, &expected), "the sheet, {kind:?}");
    }
    for (number, kind) in kinds.into_iter().enumerate() {
        let (mut latent, mut dense) = (vec![f32::NAN; distinct.len()], vec![f32::NAN; cells.len() * size]);
        latent_coverage::cover_cells(grid, view, kind, &mut latent).expect("it is valid");
        latent_coverage::lay_noise_masks(&distinct, &latent, &cells, &mut dense).expect("it is valid");
        for (cell, dense) in dense.chunks(size).enumerate() {
            let mask = if count == 1 { masks } else { &masks[cell * height * width..][..height * width] };
            let alone = reference_coverage::tiled(canvas, &places[cell..=cell], mask, [height, width]);
            assert!(close(dense, &reference_mask_of(&alone, grid)[number]), "cell {cell}, {kind:?}");
        }
    }
}

fn reference_mask_of(pixels: &[f32], grid: &Grid) -> [Vec<f32>; 5] {
    reference_coverage::coverages(pixels, grid.padded_canvas().width as usize, grid.stride() as usize)
}

fn close(got: &[f32], expected: &[f32]) -> bool {
    got.len() == expected.len() && got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6)
}

/// A large mask with shapes of many sizes.
fn shapes(height: usize, width: usize) -> Vec<f32> {
    let wave = |y: f64, x: f64| (y / 37.0).sin() + (x / 53.0).cos() + (y * x / 9000.0).sin();
    let pixel = |index: usize| f32::from(u8::from(wave((index / width) as f64, (index % width) as f64) > 0.4));
    (0..height * width).map(pixel).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (height, width) = (700, 900);
    let masks = shapes(2 * height, width);
    let view = View::dense(&masks, [2, height, width]).expect("it is dense");
    let grid = Grid::builder(1, 2).stride(8).from_cell(Size::new(700, 900)).expect("it fits");
    let distinct = DistinctCoverages::new(&grid, 2).expect("the count is right");
    let run = |threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
        pool.install(|| {
            let mut results = vec![vec![9.0_f32; masks.len()]; 9];
            pixel_mask::threshold(view, 0.5, &mut results[0]).expect("it is valid");
            pixel_mask::invert(view, &mut results[1]).expect("it is valid");
            pixel_mask::grow(view, 17.3, 0.5, &mut results[2]).expect("it is valid");
            pixel_mask::shrink(view, 99.0, 0.5, &mut results[3]).expect("it is valid");
            pixel_mask::fill_holes(view, 0.5, &mut results[4]).expect("it is valid");
            pixel_mask::feather(view, 31.0, Placement::Centred, 0.5, &mut results[5]).expect("it is valid");
            pixel_mask::feather(view, 300.0, Placement::Outside, 0.5, &mut results[6]).expect("it is valid");
            results[7].resize(distinct.len(), 9.0);
            latent_coverage::cover_cells(&grid, view, Coverage::Area, &mut results[7]).expect("it is valid");
            let latent = results[7].clone();
            results[8].resize(64 * grid.latent_size().area() as usize, 9.0);
            latent_coverage::lay_noise_masks(&distinct, &latent, &[0, 1].repeat(32), &mut results[8])
                .expect("it is valid");
            results
        })
    };
    let alone = run(1);
    assert!(alone.iter().all(|result| result.iter().all(|value| (0.0..=1.0).contains(value))));
    for threads in [2, 3, 7] {
        assert!(run(threads) == alone, "{threads} threads");
    }
}

#[test]
fn discs_larger_than_a_band_are_exact() {
    // Radii on both sides of where distances take over from spreading.
    let (height, width) = (1500, 70);
    let mut pixels = vec![false; height * width];
    pixels[40 * width + 3] = true;
    pixels[1400 * width + 66] = true;
    let view = View::dense(&pixels, [1, height, width]).expect("it is dense");
    for radius in [200.5, 512.9, 513.0, 1000.0] {
        let mut grown = vec![false; pixels.len()];
        pixel_mask::grow(view, radius, 0.5, &mut grown).expect("it is valid");
        let near = |place: usize, (y, x): (i64, i64)| {
            let (dy, dx) = ((place / width) as i64 - y, (place % width) as i64 - x);
            (dy * dy + dx * dx) as f64 <= radius * radius
        };
        let expected = (0..pixels.len()).map(|place| near(place, (40, 3)) || near(place, (1400, 66)));
        assert!(grown.iter().copied().eq(expected), "radius {radius}");
    }
}
