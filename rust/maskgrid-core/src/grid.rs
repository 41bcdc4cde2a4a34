//! Where the cells of a sheet lie, in pixels and in latent cells.

use crate::error::{Error, Result};
use crate::rect::{Latent, Pixel, Rect, Size};

/// The most cells that a grid may have.
pub const MAX_CELLS: u32 = 4096;
/// The longest canvas side, in pixels.
pub const MAX_SIDE: u32 = 65_536;

/// The cells of a sheet: `rows` x `columns` equal rectangles, `gap` pixels apart, `margin` pixels from the border.
///
/// Axis order is always height, width; cells are numbered row by row. Nothing has to divide:
///
/// - A canvas that the cells do not fill leaves a rest at the bottom and at the right that belongs to no cell.
/// - A canvas side that the stride does not divide is thought of as continued to the next multiple: the latent side
///   is `ceil(side / stride)`. Nothing in the continuation may change.
/// - [`latent_rect`](Self::latent_rect) rounds a cell outward, so neighbours may share latent cells;
///   [`write_rect`](Self::write_rect) gives each latent cell to the cell that its centre lies in, so they are disjoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grid {
    rows: u32,
    columns: u32,
    cell: Size<Pixel>,
    gap: Size<Pixel>,
    margin: Size<Pixel>,
    canvas: Size<Pixel>,
    stride: u32,
}

/// Makes a [`Grid`] from a cell size, from a canvas, or from both.
#[derive(Debug, Clone, Copy)]
pub struct GridBuilder {
    rows: u32,
    columns: u32,
    gap: Size<Pixel>,
    margin: Size<Pixel>,
    stride: u32,
}

impl GridBuilder {
    /// Pixels between neighbouring cells: vertical, horizontal. Default 0.
    #[must_use]
    pub const fn gap(mut self, gap: Size<Pixel>) -> Self {
        self.gap = gap;
        self
    }

    /// Pixels before the first and after the last cell: vertical, horizontal. Default 0.
    #[must_use]
    pub const fn margin(mut self, margin: Size<Pixel>) -> Self {
        self.margin = margin;
        self
    }

    /// Builds the grid with so many pixels per latent cell. Default 8.
    #[must_use]
    pub const fn stride(mut self, stride: u32) -> Self {
        self.stride = stride;
        self
    }

    /// The grid of cells of this size; its canvas is as large as they need.
    ///
    /// # Errors
    /// When a number is outside its range or the canvas would be larger than [`MAX_SIDE`].
    pub fn from_cell(self, cell: Size<Pixel>) -> Result<Grid> {
        self.check()?;
        let canvas = Size::new(
            checked_side("height", self.needed(0, cell.height)?)?,
            checked_side("width", self.needed(1, cell.width)?)?,
        );
        Ok(self.build(cell, canvas))
    }

    /// The grid of the largest equal cells that fit into a canvas of this size.
    ///
    /// # Errors
    /// When a number is outside its range or the canvas has no room for cells of one pixel.
    pub fn from_canvas(self, canvas: Size<Pixel>) -> Result<Grid> {
        self.check()?;
        let cell = Size::new(self.fitting(0, canvas.height)?, self.fitting(1, canvas.width)?);
        Ok(self.build(cell, canvas))
    }

    /// The grid of cells of this size in a canvas of that size: the margin lies before the first cell, and after the
    /// last one what is left.
    ///
    /// # Errors
    /// When a number is outside its range or the cells need more room than the canvas has.
    pub fn from_cell_and_canvas(self, cell: Size<Pixel>, canvas: Size<Pixel>) -> Result<Grid> {
        self.check()?;
        for (axis, (cell, side)) in [(cell.height, canvas.height), (cell.width, canvas.width)].into_iter().enumerate() {
            // The canvas says what lies behind the last cell.
            let needed = self.needed(axis, cell)? - self.along(axis).2;
            checked_side(AXES[axis], u64::from(side))?;
            if needed > u64::from(side) {
                return Err(Error::CellTooLarge { axis: AXES[axis], cell: cell.into(), needed, side: side.into() });
            }
        }
        Ok(self.build(cell, canvas))
    }

    const fn build(self, cell: Size<Pixel>, canvas: Size<Pixel>) -> Grid {
        let Self { rows, columns, gap, margin, stride } = self;
        Grid { rows, columns, cell, gap, margin, canvas, stride }
    }

    fn check(self) -> Result<()> {
        let sides = [
            ("rows", self.rows, 1, MAX_CELLS),
            ("columns", self.columns, 1, MAX_CELLS),
            ("stride", self.stride, 1, MAX_SIDE),
            ("gap", self.gap.height, 0, MAX_SIDE),
            ("gap", self.gap.width, 0, MAX_SIDE),
            ("margin", self.margin.height, 0, MAX_SIDE),
            ("margin", self.margin.width, 0, MAX_SIDE),
        ];
        let (rows, columns) = (u64::from(self.rows), u64::from(self.columns));
        if rows * columns > u64::from(MAX_CELLS) {
            return Err(Error::TooManyCells { rows, columns, cells: rows * columns, most: MAX_CELLS.into() });
        }
        for (name, value, least, most) in sides {
            if !(least..=most).contains(&value) {
                return Err(Error::out_of_range(name, value, format!("{least} to {most}")));
            }
        }
        Ok(())
    }

    /// Count, gap and margin along an axis.
    fn along(self, axis: usize) -> (u64, u64, u64) {
        let (count, gap, margin) = match axis {
            0 => (self.rows, self.gap.height, self.margin.height),
            _ => (self.columns, self.gap.width, self.margin.width),
        };
        (count.into(), gap.into(), margin.into())
    }

    /// The canvas side that cells of this side need.
    fn needed(self, axis: usize, cell: u32) -> Result<u64> {
        if !(1..=MAX_SIDE).contains(&cell) {
            let name = ["the cell height", "the cell width"][axis];
            return Err(Error::out_of_range(name, cell, format!("1 to {MAX_SIDE} px")));
        }
        let (count, gap, margin) = self.along(axis);
        Ok(2 * margin + count * u64::from(cell) + (count - 1) * gap)
    }

    /// The largest cell side that fits into a canvas side.
    fn fitting(self, axis: usize, side: u32) -> Result<u32> {
        let side = checked_side(AXES[axis], side.into())?;
        let (count, gap, margin) = self.along(axis);
        let smallest = 2 * margin + count + (count - 1) * gap;
        let side = u64::from(side);
        if side < smallest {
            return Err(Error::CanvasTooSmall { axis: AXES[axis], side, count, gap, margin, smallest });
        }
        Ok(u32::try_from((side - smallest) / count + 1).unwrap_or(MAX_SIDE))
    }
}

const AXES: [&str; 2] = ["height", "width"];

fn checked_side(axis: &'static str, side: u64) -> Result<u32> {
    match u32::try_from(side) {
        Ok(fine @ 1..=MAX_SIDE) => Ok(fine),
        _ => Err(Error::CanvasTooLarge { axis, side, most: MAX_SIDE.into() }),
    }
}

impl Grid {
    /// Begins a grid of `rows` x `columns` cells.
    #[must_use]
    pub const fn builder(rows: u32, columns: u32) -> GridBuilder {
        GridBuilder { rows, columns, gap: Size::new(0, 0), margin: Size::new(0, 0), stride: 8 }
    }

    /// Rows of cells of the grid.
    #[must_use]
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// Columns of cells of the grid.
    #[must_use]
    pub const fn columns(&self) -> u32 {
        self.columns
    }

    /// The number of cells of the grid, rows times columns.
    #[must_use]
    pub const fn cell_count(&self) -> u32 {
        self.rows * self.columns
    }

    /// Size of one cell of the grid.
    #[must_use]
    pub const fn cell(&self) -> Size<Pixel> {
        self.cell
    }

    /// Pixels between neighbouring cells of the grid.
    #[must_use]
    pub const fn gap(&self) -> Size<Pixel> {
        self.gap
    }

    /// Pixels before the first and after the last cell.
    #[must_use]
    pub const fn margin(&self) -> Size<Pixel> {
        self.margin
    }

    /// Size of the whole sheet that the grid divides.
    #[must_use]
    pub const fn canvas(&self) -> Size<Pixel> {
        self.canvas
    }

    /// Pixels per latent cell of the grid.
    #[must_use]
    pub const fn stride(&self) -> u32 {
        self.stride
    }

    /// Size of the whole sheet in latent cells, rounded up.
    #[must_use]
    pub const fn latent_size(&self) -> Size<Latent> {
        Size::new(self.canvas.height.div_ceil(self.stride), self.canvas.width.div_ceil(self.stride))
    }

    /// The canvas continued to whole latent cells: `latent_size * stride`.
    #[must_use]
    pub const fn padded_canvas(&self) -> Size<Pixel> {
        let latent = self.latent_size();
        Size::new(latent.height * self.stride, latent.width * self.stride)
    }

    /// First pixel row of a row of the grid's cells.
    #[must_use]
    pub const fn top(&self, row: u32) -> u32 {
        self.margin.height + row * (self.cell.height + self.gap.height)
    }

    /// First pixel column of a column of cells.
    #[must_use]
    pub const fn left(&self, column: u32) -> u32 {
        self.margin.width + column * (self.cell.width + self.gap.width)
    }

    /// Row and column of a cell in the grid.
    ///
    /// # Errors
    /// When there is no such cell.
    pub fn position(&self, index: usize) -> Result<(u32, u32)> {
        match u32::try_from(index) {
            Ok(cell) if cell < self.cell_count() => Ok((cell / self.columns, cell % self.columns)),
            _ => Err(Error::NoSuchIndex { name: "cell", index: index as u64, count: self.cell_count().into() }),
        }
    }

    /// The pixels of one of the grid's cells.
    ///
    /// # Errors
    /// When there is no such cell.
    pub fn cell_rect(&self, index: usize) -> Result<Rect<Pixel>> {
        let (row, column) = self.position(index)?;
        Ok(Rect::at(self.top(row), self.left(column), self.cell))
    }

    /// The latent cells that touch a cell (rounded outward).
    ///
    /// # Errors
    /// When there is no such cell.
    pub fn latent_rect(&self, index: usize) -> Result<Rect<Latent>> {
        Ok(self.cell_rect(index)?.to_latent(self.stride))
    }

    /// The latent cells whose centre lies in a cell: disjoint for all cells.
    ///
    /// # Errors
    /// When there is no such cell.
    pub fn write_rect(&self, index: usize) -> Result<Rect<Latent>> {
        Ok(self.cell_rect(index)?.to_latent_centres(self.stride))
    }

    /// The pixel rectangles of all cells, row by row.
    pub fn cell_rects(&self) -> impl ExactSizeIterator<Item = Rect<Pixel>> + '_ {
        (0..self.cell_count()).map(|i| Rect::at(self.top(i / self.columns), self.left(i % self.columns), self.cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_grid_is_laid_out_as_written_by_hand() {
        for (rows, columns, gap, margin) in itertools(4, 3, 3, 3) {
            for side in 1..12 {
                let builder =
                    Grid::builder(rows, columns).gap(Size::new(gap, gap)).margin(Size::new(margin, margin)).stride(3);
                let smallest = 2 * margin + rows + (rows - 1) * gap;
                let Ok(grid) = builder.from_canvas(Size::new(side, 40)) else {
                    assert!(side < smallest);
                    continue;
                };
                let mut top = margin;
                for row in 0..rows {
                    let rect = grid.cell_rect((row * columns) as usize).expect("the cell exists");
                    assert_eq!((rect.top, rect.bottom), (top, top + grid.cell().height));
                    top = rect.bottom + gap;
                }
                // One pixel more per cell would not fit.
                assert!(top - gap + margin <= side);
                assert!(2 * margin + rows * (grid.cell().height + 1) + (rows - 1) * gap > side);
            }
        }
    }

    fn itertools(a: u32, b: u32, c: u32, d: u32) -> impl Iterator<Item = (u32, u32, u32, u32)> {
        (1..=a)
            .flat_map(move |a| (1..=b).flat_map(move |b| (0..c).flat_map(move |c| (0..d).map(move |d| (a, b, c, d)))))
    }

    #[test]
    fn write_rects_are_disjoint_and_inside_the_latent_rects() {
        for stride in 1..=9 {
            for cell in 1..=11 {
                let grid = Grid::builder(3, 2).stride(stride).from_cell(Size::new(cell, cell)).expect("it fits");
                let mut owners = vec![0; grid.latent_size().area() as usize];
                for index in 0..6 {
                    let write = grid.write_rect(index).expect("the cell exists");
                    assert!(grid.latent_rect(index).expect("the cell exists").contains(write));
                    for y in write.top..write.bottom {
                        for x in write.left..write.right {
                            owners[(y * grid.latent_size().width + x) as usize] += 1;
                        }
                    }
                }
                assert!(owners.iter().all(|&count| count <= 1));
            }
        }
    }

    #[test]
    fn refusals_name_the_numbers() {
        let text = |result: Result<Grid>| result.expect_err("it must be refused").to_string();
        assert_eq!(text(Grid::builder(0, 3).from_cell(Size::new(8, 8))), "rows is 0; allowed: 1 to 4096");
        assert!(text(Grid::builder(100_000, 10_000).from_cell(Size::new(8, 8))).contains("1000000000 cells"));
        assert!(text(Grid::builder(1, 1).from_cell(Size::new(70_000, 8))).contains("70000"));
        assert!(text(Grid::builder(2, 2).from_cell_and_canvas(Size::new(40, 4), Size::new(64, 64))).contains("80 px"));
        assert!(text(Grid::builder(9, 1).from_canvas(Size::new(8, 8))).contains("smallest that works is 9 px"));
    }
}
