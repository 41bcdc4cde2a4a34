//! What every canvas operation is made of: lines of strided memory copied into rows of a dense image.

use std::ops::Range;

use super::Sheet;
use crate::error::Result;
use crate::parallel::for_each_chunk;

/// Bytes of output that one worker writes at a time: few enough for its cache, enough to pay for handing them out.
pub(super) const PIECE: usize = 1 << 18;

/// Cells side by side that are worked on together, line by line.
///
/// The more, the longer are the runs of memory on the sheet's side; but each cell is a place of its own in memory, and
/// caches keep about eight places that lie a power of two apart.
pub(super) const SIDE_BY_SIDE: usize = 8;

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
pub(super) fn for_rows<T: Send>(
    out: &mut [T],
    shape: [usize; 5],
    work: impl Fn(&Rows, &mut [T]) -> Result<()> + Sync + Send,
) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let [_, planes, height, width, samples] = shape;
    let line = width * samples;
    let rows_per_piece = (PIECE / (line * size_of::<T>()).max(1)).max(1);
    let (len, cost) = (rows_per_piece * line, rows_per_piece * line * size_of::<T>());
    for_each_chunk(out, len, cost, |piece, chunk| {
        let mut row = piece * rows_per_piece;
        let mut rest = chunk;
        // A piece may end one image and begin the next.
        while !rest.is_empty() {
            let (plane, top) = (row / height, row % height);
            let count = (height - top).min(rest.len() / line);
            let (here, later) = rest.split_at_mut(count * line);
            work(&Rows { image: plane / planes, plane: plane % planes, rows: top..top + count }, here)?;
            row += count;
            rest = later;
        }
        Ok(())
    })
}

/// Lines of an image from one of its pixels on, wherever they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'a, T> {
    data: &'a [T],
    start: isize,
    line_stride: isize,
    pixel_stride: isize,
    sample_stride: isize,
    samples: usize,
    /// Whether the pixels of a line follow each other in memory.
    dense: bool,
}

impl<'a, T: Copy> Lines<'a, T> {
    pub(super) fn new(sheet: &Sheet<'a, T>, from: Pixel) -> Self {
        let [_, _, line_stride, pixel_stride, sample_stride] = sheet.elem_strides();
        Self {
            data: sheet.data(),
            start: sheet.position([from.image, from.plane, from.row, from.column, 0]) as isize,
            line_stride,
            pixel_stride,
            sample_stride,
            samples: sheet.shape()[4],
            dense: sheet.dense_from(3),
        }
    }

    /// `len` elements of a line from a column on, where they follow each other in memory.
    #[inline]
    pub(super) fn run(&self, line: usize, column: usize, len: usize) -> Option<&'a [T]> {
        let start = (self.start + line as isize * self.line_stride) as usize + column * self.samples;
        self.dense.then(|| &self.data[start..start + len])
    }

    /// Copies the pixels of a line from a column on that fill `target`.
    #[inline]
    pub(super) fn copy(&self, line: usize, column: usize, target: &mut [T]) {
        match self.run(line, column, target.len()) {
            Some(run) => copy_run(target, run),
            None => self.gather(line, column, target),
        }
    }

    fn gather(&self, line: usize, column: usize, target: &mut [T]) {
        let mut start = self.start + line as isize * self.line_stride + column as isize * self.pixel_stride;
        for pixel in target.chunks_exact_mut(self.samples) {
            for (sample, target) in pixel.iter_mut().enumerate() {
                *target = self.data[(start + sample as isize * self.sample_stride) as usize];
            }
            start += self.pixel_stride;
        }
    }
}

/// Copies `height` x `width` pixels from `from` on to `target`, whose lines begin `pitch` elements apart.
pub(super) fn copy_rect<T: Copy>(
    sheet: &Sheet<'_, T>,
    from: Pixel,
    (height, width): (usize, usize),
    target: &mut [T],
    pitch: usize,
) {
    let lines = Lines::new(sheet, from);
    let len = width * sheet.shape()[4];
    for (y, target) in target.chunks_mut(pitch).take(height).enumerate() {
        lines.copy(y, 0, &mut target[..len]);
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
