//! How fast are canvas operations, as a share of a plain copy of the bytes that they write?
//!
//! Every group begins with that copy (`copy_from_slice`, on one thread) of the same number of bytes.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use maskgrid_core::canvas::{self, Background, Sheet, SoftMask};
use maskgrid_core::{Grid, Pixel, PixelElement, Rect, Size, View};

/// Canvas side in pixels: 8192 x 8192 x 3 bytes are 192 MiB, beyond every cache.
const SIDE: usize = 8192;

/// Runs `work` on one thread and on two.
fn on_threads(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut work: impl FnMut() + Send) {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
        group.bench_function(format!("{name}/{threads} threads"), |bencher| pool.install(|| bencher.iter(&mut work)));
    }
}

fn dense<T: Copy>(data: &[T], shape: [usize; 5]) -> Sheet<'_, T> {
    View::dense(data, shape).expect("it is dense")
}

/// A square grid of cells of one size on a canvas of the whole side.
fn grid_of(cell: usize) -> Grid {
    let count = (SIDE / cell) as u32;
    let rows = count.min(maskgrid_core::MAX_CELLS / count);
    let canvas = Size::new(SIDE as u32, SIDE as u32);
    let cell = Size::new((SIDE / rows as usize) as u32, cell as u32);
    Grid::builder(rows, count).from_cell_and_canvas(cell, canvas).expect("it fits")
}

fn baseline<T: Copy>(group: &mut BenchmarkGroup<'_, WallTime>, out: &mut [T], source: &[T]) {
    group.throughput(Throughput::Bytes(size_of_val(out) as u64));
    group.bench_function("copy/1 threads", |bencher| bencher.iter(|| out.copy_from_slice(&source[..out.len()])));
}

/// Channels last, bytes, cells from one pixel column of a cache line to the whole width.
fn cells(criterion: &mut Criterion) {
    let (sheet, mut out) = (vec![1_u8; SIDE * SIDE * 3], vec![2_u8; SIDE * SIDE * 3]);
    let mut group = criterion.benchmark_group("8192 x 8192 x 3 u8");
    group.sample_size(10);
    baseline(&mut group, &mut out, &sheet);
    for cell in [8, 32, 128, 512, 2048, 8192] {
        let grid = grid_of(cell);
        let (height, width) = (grid.cell().height as usize, grid.cell().width as usize);
        let shape = [1, 1, SIDE, SIDE, 3];
        let one = [1, 1, height, width, 3];
        let all = [grid.cell_count() as usize, 1, height, width, 3];
        on_threads(&mut group, &format!("tile {cell}"), || {
            canvas::tile(dense(&sheet, one), &grid, Background::Fill(0), &mut out).expect("the shapes fit");
        });
        on_threads(&mut group, &format!("split {cell}"), || {
            canvas::split(dense(&sheet, shape), &grid, &mut out).expect("the shapes fit");
        });
        on_threads(&mut group, &format!("join {cell}"), || {
            canvas::join(dense(&sheet, all), &grid, Background::Fill(0), &mut out).expect("the shapes fit");
        });
    }
    group.finish();
}

/// Forks of 1024 x 1024 x 3 f32, channels first.
fn forks(criterion: &mut Criterion) {
    let (rows, cell) = (4, 256);
    let grid = Grid::builder(rows, rows).from_cell(Size::new(cell, cell)).expect("it fits");
    let shape = [16, 3, 1024, 1024, 1];
    let count: usize = shape.iter().product();
    let (forks, mut out) = (vec![0.25_f32; count], vec![0.5_f32; count]);
    let mut group = criterion.benchmark_group("16 forks of 3 x 1024 x 1024 f32");
    group.sample_size(10);
    let cells: Vec<u32> = (0..16).collect();
    group.throughput(Throughput::Bytes((size_of_val(out.as_slice()) / 16) as u64));
    on_threads(&mut group, "merge", || {
        canvas::merge(dense(&forks, shape), &grid, &cells, None, &mut out[..count / 16]).expect("the shapes fit");
    });
    baseline(&mut group, &mut out, &forks);
    pastes(&mut group, &forks, [1, 3, 1024, 1024, 1], &grid, &mut out);
    group.finish();
}

/// Windows of 16 forks over 2048 x 2048 x 3 bytes, channels last.
fn windows(criterion: &mut Criterion) {
    let grid = Grid::builder(4, 4).from_cell(Size::new(512, 512)).expect("it fits");
    let shape = [1, 1, 2048, 2048, 3];
    let count: usize = 16 * shape.iter().product::<usize>();
    let (sheet, mut out) = (vec![1_u8; count], vec![2_u8; count]);
    let mut group = criterion.benchmark_group("16 forks of 2048 x 2048 x 3 u8");
    group.sample_size(10);
    baseline(&mut group, &mut out, &sheet);
    pastes(&mut group, &sheet, shape, &grid, &mut out);
    group.finish();
}

/// Every cell of the grid pasted, one sheet each and all into one; hard, and through a round mask with a soft rim.
fn pastes<T: PixelElement>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    data: &[T],
    shape: [usize; 5],
    grid: &Grid,
    out: &mut [T],
) {
    let side = grid.cell().height as usize;
    let patches = dense(data, [16, shape[1], side, side, shape[4]]);
    let original = dense(data, shape);
    let places: Vec<Rect<Pixel>> = grid.cell_rects().collect();
    let round = disc(side, 16.0);
    let soft = vec![0.5_f32; side * side];
    let view = |mask| View::dense(mask, [1, side, side]).expect("it is dense");
    for (name, mask) in [("no mask", None), ("disc", Some(view(&round))), ("all soft", Some(view(&soft)))] {
        on_threads(group, &format!("paste {name}"), || {
            let mask = mask.map(|mask| SoftMask::new(mask).expect("it is in range"));
            canvas::paste(original, patches, &places, mask.as_ref(), out).expect("the shapes fit");
        });
    }
    let one = &mut out[..original.len()];
    group.throughput(Throughput::Bytes(size_of_val(one) as u64));
    on_threads(group, "paste together disc", || {
        let mask = SoftMask::new(view(&round)).expect("it is in range");
        canvas::paste_all(original, patches, &places, Some(&mask), one).expect("the shapes fit");
    });
    on_threads(group, "paste together all soft", || {
        let mask = SoftMask::new(view(&soft)).expect("it is in range");
        canvas::paste_all(original, patches, &places, Some(&mask), one).expect("the shapes fit");
    });
}

/// A disc that fills a square, with a rim `width` px wide.
fn disc(side: usize, width: f32) -> Vec<f32> {
    let centre = side as f32 / 2.0;
    let value = |y: usize, x: usize| (centre - (y as f32 - centre).hypot(x as f32 - centre)) / width;
    (0..side * side).map(|i| value(i / side, i % side).clamp(0.0, 1.0)).collect()
}

criterion_group!(benches, cells, forks, windows);
criterion_main!(benches);
