//! Sheets put together rectangle by rectangle: cells, and what lies between them.

use std::ops::Range;

use super::copy::{Pixel, Rows, copy_rect, for_rows};
use super::{Background, Sheet};
use crate::grid::Grid;

/// Where the pixels of a rectangle come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a, T> {
    /// One value.
    Fill(T),
    /// Pixel (y, x) is pixel (y - top, x - left) of this image of the sheet.
    Image { sheet: &'a Sheet<'a, T>, image: usize, top: usize, left: usize },
}

impl<'a, T: Copy> Source<'a, T> {
    pub(super) const fn background(background: &'a Background<'a, T>) -> Self {
        match background {
            Background::Fill(value) => Self::Fill(*value),
            Background::Sheet(sheet) => Self::Image { sheet, image: 0, top: 0, left: 0 },
        }
    }
}

/// Writes one sheet (1, planes, height, width, samples): every cell and everything between from where `source` says.
///
/// `source` is asked with the number of a cell, or with None for what lies between cells.
pub(super) fn paint<'a, T: Copy + Send + Sync + 'a>(
    grid: &Grid,
    shape: [usize; 5],
    out: &mut [T],
    source: impl Fn(Option<usize>) -> Source<'a, T> + Sync + Send,
) {
    let [_, _, _, width, samples] = shape;
    let (vertical, horizontal) = (Axis::vertical(grid), Axis::horizontal(grid));
    for_rows(out, shape, |rows, out| {
        for (row, lines) in vertical.stretches(rows.rows.clone()) {
            let below = &mut out[(lines.start - rows.rows.start) * width * samples..];
            for (column, span) in horizontal.stretches(0..width) {
                let cell = row.zip(column).map(|(row, column)| row * horizontal.count + column);
                let target = &mut below[span.start * samples..];
                paint_rect(source(cell), rows, &lines, &span, target, (width, samples));
            }
        }
    });
}

/// One rectangle of the output, rows `lines` and columns `span`; `target` begins at its first element.
fn paint_rect<T: Copy>(
    source: Source<'_, T>,
    rows: &Rows,
    lines: &Range<usize>,
    span: &Range<usize>,
    target: &mut [T],
    (width, samples): (usize, usize),
) {
    let pitch = width * samples;
    match source {
        Source::Fill(value) => {
            for line in target.chunks_mut(pitch).take(lines.len()) {
                line[..span.len() * samples].fill(value);
            }
        }
        Source::Image { sheet, image, top, left } => {
            let from = Pixel { image, plane: rows.plane, row: lines.start - top, column: span.start - left };
            copy_rect(sheet, from, (lines.len(), span.len()), target, pitch);
        }
    }
}

/// Cells along one axis of a grid.
#[derive(Debug, Clone, Copy)]
struct Axis {
    count: usize,
    cell: usize,
    gap: usize,
    margin: usize,
}

impl Axis {
    fn vertical(grid: &Grid) -> Self {
        Self {
            count: grid.rows() as usize,
            cell: grid.cell().height as usize,
            gap: grid.gap().height as usize,
            margin: grid.margin().height as usize,
        }
    }

    fn horizontal(grid: &Grid) -> Self {
        Self {
            count: grid.columns() as usize,
            cell: grid.cell().width as usize,
            gap: grid.gap().width as usize,
            margin: grid.margin().width as usize,
        }
    }

    /// `span` cut where cells begin and end; each piece with the cell it lies in, if any.
    fn stretches(self, span: Range<usize>) -> impl Iterator<Item = (Option<usize>, Range<usize>)> {
        let mut start = span.start;
        std::iter::from_fn(move || {
            if start >= span.end {
                return None;
            }
            let (cell, end) = self.stretch_at(start);
            let stretch = start..end.min(span.end);
            start = stretch.end;
            Some((cell, stretch))
        })
    }

    /// The cell that a position lies in, and where it, or the space before the next one, ends.
    fn stretch_at(self, position: usize) -> (Option<usize>, usize) {
        let Some(inside) = position.checked_sub(self.margin) else {
            return (None, self.margin);
        };
        let pitch = self.cell + self.gap;
        let (index, offset) = (inside / pitch, inside % pitch);
        let start = self.margin + index * pitch;
        if index < self.count && offset < self.cell {
            (Some(index), start + self.cell)
        } else if index + 1 < self.count {
            (None, start + pitch)
        } else {
            (None, usize::MAX)
        }
    }
}
