//! Which cells become forks, what each reads and what it writes.

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::rect::{Latent, Rect, Size};
use crate::scratch;

/// How the windows of a [`Plan`] are cut, in latent cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// Border around the cell that a window reads besides it.
    pub halo: u32,
    /// What starts and sides of windows are multiples of: the network's own stride.
    pub align: u32,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { halo: 0, align: 1 }
    }
}

/// The forks of a sheet: per fork its cell, its read window and its write rectangle.
///
/// A window is the cell's latent rectangle with its halo, as far as the canvas reaches, widened to multiples of
/// `align`. All windows of a plan have one shape, the largest that any of them needs; those that would reach over the
/// border are pushed inward.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    grid: Grid,
    cells: Vec<u32>,
    options: PlanOptions,
    window: Size<Latent>,
}

impl Plan {
    /// The fork plan of these cells of a grid.
    ///
    /// # Errors
    /// When a cell does not exist or is named twice, a number is outside its range, or the alignment does not divide
    /// the latent size.
    pub fn new(grid: Grid, cells: Vec<u32>, options: PlanOptions) -> Result<Self> {
        let latent = grid.latent_size();
        if options.align == 0 {
            return Err(Error::out_of_range("align", 0, "1 or more latent cells"));
        }
        for (axis, side) in [("height", latent.height), ("width", latent.width)] {
            let rest = side % options.align;
            if rest != 0 {
                let below = u64::from(side - rest);
                let align = u64::from(options.align);
                return Err(Error::Misaligned { axis, align, side: side.into(), below, above: below + align });
            }
        }
        let mut plan = Self { grid, cells, options, window: Size::new(0, 0) };
        let mut window = Size::<Latent>::new(0, 0);
        let mut named = scratch::filled(false, plan.grid.cell_count() as usize)?;
        for fork in 0..plan.len() {
            let needed = plan.needed(fork)?;
            let cell = plan.cells[fork];
            if std::mem::replace(&mut named[cell as usize], true) {
                return Err(Error::CellNamedTwice { cell });
            }
            window = Size::new(window.height.max(needed.height()), window.width.max(needed.width()));
        }
        plan.window = window;
        Ok(plan)
    }

    /// The grid of the fork plan.
    #[must_use]
    pub const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The cell of each fork of the plan.
    #[must_use]
    pub fn cells(&self) -> &[u32] {
        &self.cells
    }

    /// How the fork plan's windows were cut.
    #[must_use]
    pub const fn options(&self) -> PlanOptions {
        self.options
    }

    /// Number of forks of the plan.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the fork plan has no forks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The shape of all windows; 0 x 0 without forks.
    #[must_use]
    pub const fn window_size(&self) -> Size<Latent> {
        self.window
    }

    /// The window of a fork: what its network call reads.
    ///
    /// # Errors
    /// When there is no such fork.
    pub fn window(&self, fork: usize) -> Result<Rect<Latent>> {
        let needed = self.needed(fork)?;
        let latent = self.grid.latent_size();
        let top = needed.top.min(latent.height - self.window.height);
        let left = needed.left.min(latent.width - self.window.width);
        Ok(Rect::at(top, left, self.window))
    }

    /// The latent cells that a fork's mask lies in (its cell rounded outward).
    ///
    /// # Errors
    /// When there is no such fork.
    pub fn place(&self, fork: usize) -> Result<Rect<Latent>> {
        self.grid.latent_rect(self.cell(fork)?)
    }

    /// The latent cells that are the fork's own; disjoint for all forks.
    ///
    /// # Errors
    /// When there is no such fork.
    pub fn write(&self, fork: usize) -> Result<Rect<Latent>> {
        self.grid.write_rect(self.cell(fork)?)
    }

    fn cell(&self, fork: usize) -> Result<usize> {
        let missing = || Error::NoSuchIndex { name: "fork", index: fork as u64, count: self.len() as u64 };
        self.cells.get(fork).map(|&cell| cell as usize).ok_or_else(missing)
    }

    /// Cell and halo, clipped to the canvas, then widened to the alignment.
    fn needed(&self, fork: usize) -> Result<Rect<Latent>> {
        let PlanOptions { halo, align } = self.options;
        let place = self.place(fork)?;
        let latent = self.grid.latent_size();
        let bottom = place.bottom.saturating_add(halo).min(latent.height);
        let right = place.right.saturating_add(halo).min(latent.width);
        Ok(Rect::new(
            place.top.saturating_sub(halo) / align * align,
            place.left.saturating_sub(halo) / align * align,
            bottom.next_multiple_of(align),
            right.next_multiple_of(align),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_one_fork_at_most() {
        let grid = Grid::builder(2, 2).from_cell(Size::new(8, 8)).expect("it fits");
        let plan = |cells| Plan::new(grid.clone(), cells, PlanOptions::default());
        assert!(plan(vec![3, 0]).is_ok());
        assert_eq!(plan(vec![3, 0, 3]), Err(Error::CellNamedTwice { cell: 3 }));
        assert_eq!(plan(vec![4]), Err(Error::NoSuchIndex { name: "cell", index: 4, count: 4 }));
    }

    #[test]
    fn windows_contain_their_cells_and_have_one_shape() {
        for cell in [3, 8, 12, 20] {
            for halo in 0..5 {
                for align in [1, 2, 4] {
                    let grid = Grid::builder(3, 4).stride(4).from_cell(Size::new(cell, 16)).expect("it fits");
                    let cells = (0..grid.cell_count()).collect();
                    let latent = grid.latent_size();
                    let Ok(plan) = Plan::new(grid, cells, PlanOptions { halo, align }) else {
                        assert!(!latent.height.is_multiple_of(align));
                        continue;
                    };
                    for fork in 0..plan.len() {
                        let window = plan.window(fork).expect("it exists");
                        let place = plan.place(fork).expect("it exists");
                        assert_eq!(window.size(), plan.window_size());
                        assert!(window.contains(place));
                        assert!(window.top % align == 0 && window.left % align == 0);
                        assert!(Rect::at(0, 0, latent).contains(window));
                        assert!(window.top <= place.top.saturating_sub(halo));
                        assert!(window.bottom >= (place.bottom + halo).min(latent.height));
                    }
                }
            }
        }
    }
}
