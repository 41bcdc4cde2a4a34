//! The latent coverage of the whole sheet.

use super::Coverage;
use super::cover_cells::{check_masks, write_masks};
use super::distinct_coverages::DistinctCoverages;
use super::reduce_blocks::Outside;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::mask_element::Element;
use crate::parallel;
use crate::scratch;
use crate::strided_view::View;

/// Writes the coverage of the sheet whose cells all hold their mask, (latent height, latent width).
///
/// The same as tiling the masks into a full-size pixel mask first, blocks that several cells share included.
///
/// # Errors
/// When the masks are not 1 or one per cell of exactly the cell's size, `out` has another size, or a value is outside
/// 0..=1; what `out` holds then is not defined.
pub fn cover_sheet<T: Element>(grid: &Grid, mask: View<'_, T, 3>, coverage: Coverage, out: &mut [f32]) -> Result<()> {
    let distinct = check_masks(grid, mask)?;
    let latent = grid.latent_size();
    if out.len() as u64 != latent.area() {
        return Err(Error::shape("out", &[out.len()], format!("({}, {})", latent.height, latent.width)));
    }
    let mut masks = scratch::filled(0.0, distinct.len())?;
    write_masks(&distinct, mask, coverage, Outside::Ignored, &mut masks)?;
    let cells = SideBySide::new(&distinct, coverage, &masks)?;
    let width = latent.width as usize;
    parallel::for_each_chunk(out, width, width * size_of::<f32>(), |row, out| {
        cells.write_row(row as u32, out);
        Ok(())
    })
}

/// How the cells lie side by side.
struct SideBySide<'a> {
    distinct: &'a DistinctCoverages,
    coverage: Coverage,
    masks: &'a [f32],
    rows: Axis,
    columns: Axis,
}

/// The cells along one axis, in latent cells.
struct Axis {
    /// First and one past the last latent cell of each row (column) of cells.
    places: Vec<(u32, u32)>,
    /// For each latent cell whether all of its pixels belong to cells.
    covered: Vec<bool>,
}

impl Axis {
    fn new(starts: impl ExactSizeIterator<Item = u32>, cell: u32, stride: u32, side: u32) -> Result<Self> {
        let mut pixels = scratch::filled(0, side as usize)?;
        let place = |start: u32| {
            let place = (start / stride, (start + cell).div_ceil(stride));
            for block in place.0..place.1 {
                let (first, end) = (start.max(block * stride), (start + cell).min((block + 1) * stride));
                pixels[block as usize] += end - first;
            }
            place
        };
        let places = scratch::collected(starts.map(place))?;
        let covered = scratch::collected(pixels.into_iter().map(|count| count == stride))?;
        Ok(Self { places, covered })
    }
}

impl<'a> SideBySide<'a> {
    fn new(distinct: &'a DistinctCoverages, coverage: Coverage, masks: &'a [f32]) -> Result<Self> {
        let grid = distinct.grid();
        let (cell, stride, latent) = (grid.cell(), grid.stride(), grid.latent_size());
        let rows = Axis::new((0..grid.rows()).map(|row| grid.top(row)), cell.height, stride, latent.height)?;
        let lefts = (0..grid.columns()).map(|column| grid.left(column));
        let columns = Axis::new(lefts, cell.width, stride, latent.width)?;
        Ok(Self { distinct, coverage, masks, rows, columns })
    }

    /// Writes one latent row: what each cell that touches it adds.
    fn write_row(&self, row: u32, out: &mut [f32]) {
        out.fill(0.0);
        if self.coverage == Coverage::Min && self.rows.covered[row as usize] {
            let covered = out.iter_mut().zip(&self.columns.covered).filter(|(_, covered)| **covered);
            covered.for_each(|(out, _)| *out = 1.0);
        }
        let (height, width) = (self.distinct.height(), self.distinct.width());
        let first = self.rows.places.partition_point(|&(_, bottom)| bottom <= row);
        for (cell_row, &(top, _)) in
            (0_u32..).zip(&self.rows.places).skip(first).take_while(|(_, place)| place.0 <= row)
        {
            for (cell_column, &(left, right)) in (0_u32..).zip(&self.columns.places) {
                let index = self.distinct.index_at(cell_row, cell_column);
                let mask = &self.masks[(index * height + (row - top) as usize) * width..][..(right - left) as usize];
                self.combine(mask, &mut out[left as usize..right as usize]);
            }
        }
    }

    fn combine(&self, mask: &[f32], out: &mut [f32]) {
        let pairs = out.iter_mut().zip(mask);
        match self.coverage {
            Coverage::Min => pairs.for_each(|(out, &value)| *out = out.min(value)),
            _ if !self.distinct.shared() => out.copy_from_slice(mask),
            Coverage::Max => pairs.for_each(|(out, &value)| *out = out.max(value)),
            // Shares of one block add up to 1 at most, but their rounded numbers may not.
            _ => pairs.for_each(|(out, &value)| *out = (*out + value).min(1.0)),
        }
    }
}
