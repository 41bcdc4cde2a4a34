//! Which distinct latent coverages a grid has.

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::rect::{Latent, Rect};
use crate::scratch;

/// Which distinct latent coverages there are, how large they are, and which of them each cell has.
///
/// With one mask per cell there is one for each cell. With one mask for all cells there is one for each distinct
/// phase, the place of the cell's corner inside its block of stride x stride pixels: a single one where the stride
/// divides what lies between the cells.
///
/// ```
/// use maskgrid_core::{Grid, Size, latent_coverage::DistinctCoverages};
///
/// let grid = Grid::builder(1, 4).stride(8).from_cell(Size::new(64, 20))?;
/// let distinct = DistinctCoverages::new(&grid, 1)?;
/// // Cells begin at columns 0, 20, 40 and 60: 0 or 4 pixels into their block.
/// assert_eq!((distinct.count(), distinct.height(), distinct.width()), (2, 8, 3));
/// assert_eq!((0..4).map(|cell| distinct.index(cell).unwrap()).collect::<Vec<_>>(), [0, 1, 0, 1]);
/// # Ok::<(), maskgrid_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DistinctCoverages {
    grid: Grid,
    mask_count: usize,
    vertical: Phases,
    horizontal: Phases,
}

/// The phases along one axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Phases {
    /// For each row (column) of cells which of `offsets` it has.
    index: Vec<u32>,
    /// The distinct distances, in pixels, from a block's first pixel to the cell's, in order of appearance.
    offsets: Vec<u32>,
    /// Latent cells that the largest of them needs.
    side: u32,
    /// Whether neighbours touch the same latent cell.
    shared: bool,
}

impl Phases {
    fn new(starts: impl ExactSizeIterator<Item = u32>, cell: u32, stride: u32) -> Result<Self> {
        let (index, offsets) = (scratch::with_room(starts.len())?, scratch::with_room(starts.len())?);
        let mut phases = Self { index, offsets, side: 0, shared: false };
        let mut numbers = scratch::filled(None, stride as usize)?;
        let mut end = 0;
        for start in starts {
            let offset = start % stride;
            let number = *numbers[offset as usize].get_or_insert_with(|| {
                phases.offsets.push(offset);
                phases.offsets.len() as u32 - 1
            });
            phases.index.push(number);
            phases.side = phases.side.max((offset + cell).div_ceil(stride));
            phases.shared |= start / stride < end;
            end = (start + cell).div_ceil(stride);
        }
        Ok(phases)
    }
}

impl DistinctCoverages {
    /// The distinct coverages of `mask_count` masks: 1 for all cells, or one for each.
    ///
    /// # Errors
    /// When the count is neither.
    pub fn new(grid: &Grid, mask_count: usize) -> Result<Self> {
        if mask_count != 1 && mask_count != grid.cell_count() as usize {
            let allowed = format!("1 or the number of cells, {}", grid.cell_count());
            return Err(Error::out_of_range("the number of masks", mask_count, allowed));
        }
        let (cell, stride) = (grid.cell(), grid.stride());
        let vertical = Phases::new((0..grid.rows()).map(|row| grid.top(row)), cell.height, stride)?;
        let horizontal = Phases::new((0..grid.columns()).map(|column| grid.left(column)), cell.width, stride)?;
        Ok(Self { grid: grid.clone(), mask_count, vertical, horizontal })
    }

    /// The grid of the cells whose latent coverages are told apart.
    #[must_use]
    pub const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Masks that it was made for: 1 for all cells, or one for each.
    #[must_use]
    pub const fn mask_count(&self) -> usize {
        self.mask_count
    }

    /// How many distinct latent coverages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        if self.mask_count == 1 { self.vertical.offsets.len() * self.horizontal.offsets.len() } else { self.mask_count }
    }

    /// Rows of the largest latent coverage.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.vertical.side as usize
    }

    /// Columns of the largest latent coverage.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.horizontal.side as usize
    }

    /// Elements of all distinct latent coverages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count() * self.height() * self.width()
    }

    /// Whether there are no distinct latent coverages; never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are latent cells that several cells touch.
    #[must_use]
    pub const fn shared(&self) -> bool {
        self.vertical.shared || self.horizontal.shared
    }

    /// Which of the latent coverages a cell has.
    ///
    /// # Errors
    /// When there is no such cell.
    pub fn index(&self, cell: usize) -> Result<usize> {
        let (row, column) = self.grid.position(cell)?;
        Ok(self.index_at(row, column))
    }

    /// Which of the latent coverages the cell in a row and column has.
    pub(super) fn index_at(&self, row: u32, column: u32) -> usize {
        if self.mask_count > 1 {
            return (row * self.grid.columns() + column) as usize;
        }
        let (row, column) = (self.vertical.index[row as usize], self.horizontal.index[column as usize]);
        row as usize * self.horizontal.offsets.len() + column as usize
    }

    /// Which input mask a latent coverage is made of, and how far the cell's corner lies inside its block.
    pub(super) fn source(&self, index: usize) -> Source {
        let columns = if self.mask_count == 1 { self.horizontal.offsets.len() } else { self.grid.columns() as usize };
        let (row, column) = (index / columns, index % columns);
        if self.mask_count == 1 {
            let (top, left) = (self.vertical.offsets[row], self.horizontal.offsets[column]);
            return Source { mask: 0, top, left, first: index == 0 };
        }
        let top = self.vertical.offsets[self.vertical.index[row] as usize];
        let left = self.horizontal.offsets[self.horizontal.index[column] as usize];
        Source { mask: index, top, left, first: true }
    }

    /// The latent cells that a cell touches, and which latent coverage lies there.
    pub(super) fn place(&self, cell: u32) -> Result<(Rect<Latent>, usize)> {
        Ok((self.grid.latent_rect(cell as usize)?, self.index(cell as usize)?))
    }
}

/// What a latent coverage is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// The input mask.
    pub(super) mask: usize,
    /// Pixels between the top of the block and the top of the cell.
    pub(super) top: u32,
    /// Pixels between the left of the block and the left of the cell.
    pub(super) left: u32,
    /// Whether it is the first that is made of this input mask.
    pub(super) first: bool,
}
