//! Sheets put together rectangle by rectangle: cells, and what lies between them.

use std::ops::Range;

use super::copy_lines::{Lines, Pixel, SIDE_BY_SIDE, for_rows};
use super::{Background, Sheet};
use crate::error::Result;
use crate::grid::Grid;
use crate::scratch;

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
/// `source` is asked with the number of a cell, or with None for what lies between cells. A few cells at a time are
/// written line by line: one cell after the other would be half as fast, as the sheet's side jumps from line to line.
pub(super) fn paint<'a, T: Copy + Send + Sync + 'a>(
    grid: &Grid,
    shape: [usize; 5],
    out: &mut [T],
    source: impl Fn(Option<usize>) -> Source<'a, T> + Sync + Send,
) -> Result<()> {
    let [_, _, _, width, samples] = shape;
    let (vertical, horizontal) = (Axis::vertical(grid), Axis::horizontal(grid));
    for_rows(out, shape, |rows, out| {
        for (row, lines) in vertical.stretches(rows.rows.clone()) {
            // Cells, what lies between them, and both ends.
            let mut pieces = scratch::with_room(2 * horizontal.count + 1)?;
            pieces.extend(horizontal.stretches(0..width).map(|(column, span)| {
                let cell = row.zip(column).map(|(row, column)| row * horizontal.count + column);
                Piece::new(source(cell), rows.plane, lines.start, &span, samples)
            }));
            let here = &mut out[(lines.start - rows.rows.start) * width * samples..];
            for pieces in pieces.chunks(SIDE_BY_SIDE) {
                for (y, line) in here.chunks_mut(width * samples).take(lines.len()).enumerate() {
                    pieces.iter().for_each(|piece| piece.write(y, line));
                }
            }
        }
        Ok(())
    })
}

/// A stretch of some neighbouring lines.
struct Piece<'a, T> {
    /// Which elements of each line.
    span: Range<usize>,
    content: Content<'a, T>,
}

enum Content<'a, T> {
    Fill(T),
    Lines(Lines<'a, T>),
}

impl<'a, T: Copy> Piece<'a, T> {
    /// The pixels `span` of the lines from `line` on.
    fn new(source: Source<'a, T>, plane: usize, line: usize, span: &Range<usize>, samples: usize) -> Self {
        let content = match source {
            Source::Fill(value) => Content::Fill(value),
            Source::Image { sheet, image, top, left } => {
                Content::Lines(Lines::new(sheet, Pixel { image, plane, row: line - top, column: span.start - left }))
            }
        };
        Self { span: span.start * samples..span.end * samples, content }
    }

    /// Writes line `y` of the piece into the line of the output.
    #[inline]
    fn write(&self, y: usize, line: &mut [T]) {
        let target = &mut line[self.span.clone()];
        match &self.content {
            Content::Fill(value) => target.fill(*value),
            Content::Lines(lines) => lines.copy(y, 0, target),
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
