//! The one loop under every canvas operation: a rectangle of strided memory into rows of a dense image.

use std::ops::Range;

use super::Sheet;
use crate::parallel::for_each_chunk;

/// Bytes of output that one worker writes at a time: few enough for its cache, enough to pay for handing them out.
const PIECE: usize = 1 << 18;

/// A pixel of an image: where a copy begins to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixel {
    pub(super) image: usize,
    pub(super) plane: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Rows of one plane of one output image.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) image: usize,
    pub(super) plane: usize,
    pub(super) rows: Range<usize>,
}

/// Calls `work` with disjoint rows of a dense output, which together are all of it, in parallel where it pays.
pub(super) fn for_rows<T: Send>(out: &mut [T], shape: [usize; 5], work: impl Fn(&Rows, &mut [T]) + Sync + Send) {
    if out.is_empty() {
        return;
    }
    let [_, planes, height, width, samples] = shape;
    let line = width * samples;
    let rows_per_piece = (PIECE / (line * size_of::<T>()).max(1)).max(1);
    for_each_chunk(out, rows_per_piece * line, |piece, chunk| {
        let mut row = piece * rows_per_piece;
        let mut rest = chunk;
        // A piece may end one image and begin the next.
        while !rest.is_empty() {
            let (plane, top) = (row / height, row % height);
            let count = (height - top).min(rest.len() / line);
            let (here, later) = rest.split_at_mut(count * line);
            work(&Rows { image: plane / planes, plane: plane % planes, rows: top..top + count }, here);
            row += count;
            rest = later;
        }
    });
}

/// Copies `height` x `width` pixels from `from` on to `target`, whose rows begin `pitch` elements apart.
pub(super) fn copy_rect<T: Copy>(
    sheet: &Sheet<'_, T>,
    from: Pixel,
    (height, width): (usize, usize),
    target: &mut [T],
    pitch: usize,
) {
    let Pixel { image, plane, row, column } = from;
    let line = width * sheet.shape()[4];
    let dense = sheet.dense_from(3);
    for (y, target) in target.chunks_mut(pitch).take(height).enumerate() {
        let index = [image, plane, row + y, column, 0];
        if dense {
            copy_run(&mut target[..line], sheet.run(index, line));
        } else {
            copy_strided(sheet, index, &mut target[..line]);
        }
    }
}

/// Copies the pixels from `index` on that fill `target`, wherever their samples lie.
pub(super) fn copy_strided<T: Copy>(sheet: &Sheet<'_, T>, index: [usize; 5], target: &mut [T]) {
    let [.., pixel_stride, sample_stride] = sheet.elem_strides();
    let data = sheet.data();
    let mut start = sheet.position(index) as isize;
    for pixel in target.chunks_exact_mut(sheet.shape()[4]) {
        for (sample, target) in pixel.iter_mut().enumerate() {
            *target = data[(start + sample as isize * sample_stride) as usize];
        }
        start += pixel_stride;
    }
}

/// `copy_from_slice` in blocks that become plain loads and stores.
///
/// The C library's memcpy of 512 bytes to some hundred KiB is up to six times slower where source and target have
/// nearly the same offset in their pages, as rows of two sheets often do; the blocks below run at the speed of memory
/// for every offset and length.
pub(super) fn copy_run<T: Copy>(target: &mut [T], source: &[T]) {
    match size_of::<T>() {
        0 | 1 => copy_blocks::<T, 64>(target, source),
        2 => copy_blocks::<T, 32>(target, source),
        4 => copy_blocks::<T, 16>(target, source),
        _ => copy_blocks::<T, 8>(target, source),
    }
}

#[inline]
fn copy_blocks<T: Copy, const N: usize>(target: &mut [T], source: &[T]) {
    let (targets, target_rest) = target.as_chunks_mut::<N>();
    let (sources, source_rest) = source.as_chunks::<N>();
    for (target, source) in targets.iter_mut().zip(sources) {
        *target = *source;
    }
    target_rest.copy_from_slice(source_rest);
}
