//! How fast are mask operations and latent coverages, and how does that grow with size, radius and type?
//!
//! All but `lay_noise_masks` run on one thread, so that they compare with other libraries on one thread.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use maskgrid_core::latent_coverage::{self, Coverage, DistinctCoverages};
use maskgrid_core::pixel_mask::{self, Placement};
use maskgrid_core::{Element, Grid, Size, View};
use rayon::prelude::*;

/// Four discs that make about a third of a square mask.
fn discs<T: Element>(side: usize) -> Vec<T> {
    const DISCS: [[f64; 3]; 4] = [[0.3, 0.3, 0.18], [0.7, 0.35, 0.12], [0.5, 0.75, 0.2], [0.15, 0.8, 0.07]];
    let inside = |y: f64, x: f64| DISCS.iter().any(|&[cy, cx, r]| (y - cy).hypot(x - cx) < r);
    let pixel = |index: usize| inside((index / side) as f64 / side as f64, (index % side) as f64 / side as f64);
    (0..side * side).map(|index| if pixel(index) { T::ONE } else { T::ZERO }).collect()
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had").install(work)
}

/// Operations on one mask, from a cell to a whole sheet; bytes are those read and written.
fn operations<T: Element>(criterion: &mut Criterion, kind: &str) {
    for side in [512, 1024, 4096] {
        let (pixels, mut out) = (discs::<T>(side), vec![T::ZERO; side * side]);
        let view = View::dense(&pixels, [1, side, side]).expect("it is dense");
        let mut group = criterion.benchmark_group(format!("{kind} {side} px"));
        group.throughput(Throughput::Bytes(2 * size_of_val(&pixels[..]) as u64));
        let mut bench = |name: &str, work: &mut (dyn FnMut(&mut [T]) + Send)| {
            group.bench_function(name, |bencher| on_threads(1, || bencher.iter(|| work(&mut out))));
        };
        bench("copy", &mut |out| out.copy_from_slice(&pixels));
        bench("threshold", &mut |out| pixel_mask::threshold(view, 0.5, out).expect("it is valid"));
        bench("invert", &mut |out| pixel_mask::invert(view, out).expect("it is valid"));
        bench("bounding box", &mut |_| drop(pixel_mask::bounding_boxes(view, 0.5).expect("it is valid")));
        bench("fill holes", &mut |out| pixel_mask::fill_holes(view, 0.5, out).expect("it is valid"));
        for radius in [2.0, 8.0, 32.0, 128.0, 1000.0] {
            bench(&format!("grow {radius}"), &mut |out| pixel_mask::grow(view, radius, 0.5, out).expect("it is valid"));
        }
        for width in [2.0, 8.0, 32.0, 128.0, 1000.0] {
            let placement = Placement::Centred;
            let work = &mut |out: &mut [T]| pixel_mask::feather(view, width, placement, 0.5, out).expect("it is valid");
            bench(&format!("feather {width}"), work);
        }
    }
}

fn bytes(criterion: &mut Criterion) {
    operations::<u8>(criterion, "u8");
}

fn floats(criterion: &mut Criterion) {
    operations::<f32>(criterion, "f32");
}

/// The latent coverage of one cell of 256 px, of all coverages and of some types; the masks of 256 cells on two threads.
fn cells(criterion: &mut Criterion) {
    let grid = Grid::builder(16, 16).stride(8).from_cell(Size::new(256, 256)).expect("it fits");
    let mut group = criterion.benchmark_group("latent coverages of cells of 256 px");
    let mut out = vec![0.0; 256 * 32 * 32];
    let kinds = [Coverage::Center, Coverage::Nearest, Coverage::Area, Coverage::Max, Coverage::Min];
    let pixels = discs::<f32>(256);
    let view = View::dense(&pixels, [1, 256, 256]).expect("it is dense");
    for kind in kinds {
        let work = |out: &mut [f32]| latent_coverage::cover_cells(&grid, view, kind, out).expect("it is valid");
        group.bench_function(format!("f32 {kind:?}"), |bencher| bencher.iter(|| work(&mut out[..1024])));
    }
    let (bytes, halves) = (discs::<u8>(256), discs::<f16>(256));
    let view = View::dense(&bytes, [1, 256, 256]).expect("it is dense");
    let work = |out: &mut [f32]| latent_coverage::cover_cells(&grid, view, Coverage::Center, out).expect("it is valid");
    group.bench_function("u8 Center", |bencher| bencher.iter(|| work(&mut out[..1024])));
    let view = View::dense(&halves, [1, 256, 256]).expect("it is dense");
    let work = |out: &mut [f32]| latent_coverage::cover_cells(&grid, view, Coverage::Center, out).expect("it is valid");
    group.bench_function("f16 Center", |bencher| bencher.iter(|| work(&mut out[..1024])));
    let all = pixels.repeat(256);
    let view = View::dense(&all, [256, 256, 256]).expect("it is dense");
    group.throughput(Throughput::Bytes(size_of_val(&all[..]) as u64));
    for threads in [1, 2] {
        let mut work = || latent_coverage::cover_cells(&grid, view, Coverage::Center, &mut out).expect("it is valid");
        let name = format!("256 of f32 Center, {threads} threads");
        group.bench_function(name, |bencher| on_threads(threads, || bencher.iter(&mut work)));
    }
}

/// Dense latent coverages of 256 forks, 268 MB, beside setting that memory with the same threads; and the sheet's.
fn dense(criterion: &mut Criterion) {
    let grid = Grid::builder(16, 16).stride(8).from_cell(Size::new(256, 256)).expect("it fits");
    let distinct = DistinctCoverages::new(&grid, 1).expect("one is right");
    let pixels = discs::<f32>(256);
    let view = View::dense(&pixels, [1, 256, 256]).expect("it is dense");
    let mut masks = vec![0.0; distinct.len()];
    latent_coverage::cover_cells(&grid, view, Coverage::Center, &mut masks).expect("it is valid");
    let (cells, mut out): (Vec<u32>, _) = ((0..256).collect(), vec![0.0_f32; 256 * 512 * 512]);
    let mut group = criterion.benchmark_group("dense masks of 256 forks");
    group.throughput(Throughput::Bytes(size_of_val(&out[..]) as u64));
    for threads in [1, 2] {
        let share = out.len() / threads;
        let mut work = || out.par_chunks_mut(share).for_each(|share| share.fill(0.0));
        group.bench_function(format!("fill, {threads} threads"), |bencher| {
            on_threads(threads, || bencher.iter(&mut work));
        });
        let mut work = || latent_coverage::lay_noise_masks(&distinct, &masks, &cells, &mut out).expect("it is valid");
        group.bench_function(format!("lay_noise_masks, {threads} threads"), |bencher| {
            on_threads(threads, || bencher.iter(&mut work));
        });
    }
    group.throughput(Throughput::Bytes(4 * 512 * 512));
    let mut work =
        || latent_coverage::cover_sheet(&grid, view, Coverage::Center, &mut out[..512 * 512]).expect("it is valid");
    group.bench_function("the sheet", |bencher| on_threads(1, || bencher.iter(&mut work)));
}

criterion_group!(benches, cells, dense, bytes, floats);
criterion_main!(benches);
