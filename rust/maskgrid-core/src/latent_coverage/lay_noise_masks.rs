//! Dense latent coverages of forks.

use super::distinct_coverages::DistinctCoverages;
use crate::error::{Error, Result};
use crate::mask_element::Element;
use crate::parallel;
use crate::rect::{Latent, Rect};
use crate::scratch;

/// Writes the dense latent coverage of each fork: 0, and the mask of fork `i`'s cell, `cells[i]`, at its place.
///
/// `masks` is what [`cover_cells`](super::cover_cells) wrote; `out` is (forks, latent height, latent width).
///
/// # Errors
/// When a cell does not exist, or `masks` or `out` has another size.
pub fn lay_noise_masks<U: Element>(
    distinct: &DistinctCoverages,
    masks: &[f32],
    cells: &[u32],
    out: &mut [U],
) -> Result<()> {
    if masks.len() != distinct.len() {
        let expected = format!("({}, {}, {})", distinct.count(), distinct.height(), distinct.width());
        return Err(Error::shape("the latent coverages", &[masks.len()], expected));
    }
    let latent = distinct.grid().latent_size();
    let (height, width) = (latent.height as usize, latent.width as usize);
    if (cells.len() * height).checked_mul(width) != Some(out.len()) {
        return Err(Error::shape("out", &[out.len()], format!("({}, 1, {height}, {width})", cells.len())));
    }
    let mut places = scratch::with_room(cells.len())?;
    for &cell in cells {
        places.push(distinct.place(cell)?);
    }
    let mut numbers = scratch::filled(U::ZERO, masks.len())?;
    U::from_units(masks, &mut numbers);
    // Setting all of the memory at once is faster than going around the cells, unless they are most of it.
    let at_once = distinct.height() * distinct.width() * 8 <= height * width;
    parallel::for_each_share(out, width, |first, out| {
        let rows = first..first + out.len() / width;
        let forks = rows.start / height..rows.end.div_ceil(height);
        let lines = places.iter().enumerate().take(forks.end).skip(forks.start).flat_map(|(fork, &(rect, index))| {
            let mask = &numbers[index * distinct.height() * distinct.width()..];
            lines_of(mask, distinct.width(), rect, fork * height)
        });
        let lines =
            lines.filter(|(row, ..)| rows.contains(row)).map(|(row, left, line)| ((row - first) * width + left, line));
        if at_once {
            out.fill(U::ZERO);
            lines.for_each(|(start, line)| out[start..start + line.len()].copy_from_slice(line));
        } else {
            write_around(lines, out);
        }
        Ok(())
    })
}

/// The lines of a mask that lies in a rectangle, with their row, counted from `top` rows above, and first column.
fn lines_of<U>(mask: &[U], width: usize, rect: Rect<Latent>, top: usize) -> impl Iterator<Item = (usize, usize, &[U])> {
    let rows = top + rect.top as usize..top + rect.bottom as usize;
    rows.zip(mask.chunks_exact(width)).map(move |(row, line)| (row, rect.left as usize, &line[..rect.width() as usize]))
}

/// Writes lines at their places, in order, and 0 everywhere else.
fn write_around<'a, U: Element>(lines: impl Iterator<Item = (usize, &'a [U])>, out: &mut [U]) {
    let mut done = 0;
    for (start, line) in lines {
        out[done..start].fill(U::ZERO);
        done = start + line.len();
        out[start..done].copy_from_slice(line);
    }
    out[done..].fill(U::ZERO);
}
