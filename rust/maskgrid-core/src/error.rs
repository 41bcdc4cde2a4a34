//! One variant for each way to fail; the text of all messages is here.

use thiserror::Error;

/// What [`Error`] is the failure of.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused: what was wrong, the value, what is allowed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A number lies outside its range.
    #[error("{name} is {value}; allowed: {allowed}")]
    OutOfRange {
        /// What the number is.
        name: &'static str,
        /// The number.
        value: String,
        /// The range in words.
        allowed: String,
    },
    /// More cells than a grid may have.
    #[error("{rows} x {columns} are {cells} cells; allowed: 1 to {most}")]
    TooManyCells {
        /// Rows asked for.
        rows: u64,
        /// Columns asked for.
        columns: u64,
        /// Their product.
        cells: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// The cells, gaps and margins need more room than there is.
    #[error(
        "a canvas {axis} of {side} px has no room for {count} cells of at least 1 px with gap {gap} px and margin {margin} px; \
         the smallest that works is {smallest} px"
    )]
    CanvasTooSmall {
        /// "height" or "width".
        axis: &'static str,
        /// The side given, in pixels.
        side: u64,
        /// Cells along the axis.
        count: u64,
        /// Gap between cells, in pixels.
        gap: u64,
        /// Margin before the first and after the last cell, in pixels.
        margin: u64,
        /// The smallest side that works, in pixels.
        smallest: u64,
    },
    /// A cell does not fit into the canvas.
    #[error("cells of {cell} px need a canvas {axis} of at least {needed} px; it is {side} px")]
    CellTooLarge {
        /// "height" or "width".
        axis: &'static str,
        /// The cell's side, in pixels.
        cell: u64,
        /// The canvas side that would be needed, in pixels.
        needed: u64,
        /// The canvas side given, in pixels.
        side: u64,
    },
    /// A canvas side beyond the limit.
    #[error("the canvas {axis} is {side} px; allowed: 1 to {most} px")]
    CanvasTooLarge {
        /// "height" or "width".
        axis: &'static str,
        /// The side, in pixels.
        side: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// A latent side that the alignment does not divide.
    #[error(
        "windows aligned to {align} need a latent {axis} that it divides; it is {side}, the nearest that work are {below} and {above}"
    )]
    Misaligned {
        /// "height" or "width".
        axis: &'static str,
        /// The alignment in latent cells.
        align: u64,
        /// The latent side.
        side: u64,
        /// The next multiple below (0 if there is none).
        below: u64,
        /// The next multiple above.
        above: u64,
    },
    /// A cell, row or fork number past the end.
    #[error("{name} {index} does not exist; there are {count}, numbered from 0")]
    NoSuchIndex {
        /// What is counted.
        name: &'static str,
        /// The number asked for.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// A cell that two forks would have.
    #[error("cell {cell} is named twice; allowed: each cell at most once")]
    CellNamedTwice {
        /// Its number.
        cell: u32,
    },
    /// A shape that does not fit.
    #[error("{name} has shape {shape}; allowed: {expected}")]
    Shape {
        /// Which argument.
        name: &'static str,
        /// Its shape.
        shape: String,
        /// What is allowed.
        expected: String,
    },
    /// A mask value outside 0..=1, or NaN.
    #[error(
        "the mask has the value {value} at (mask {index}, row {row}, column {column}); allowed: numbers from 0 to 1"
    )]
    MaskValue {
        /// The value.
        value: f64,
        /// Which mask of the stack.
        index: usize,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// Bytes of which some are 1 and none is larger, as a mask.
    #[error(
        "the mask is uint8 and its largest value is 1, which is 1/255; allowed: 0 to 255, where 255 is 1 \
         (multiply it by 255), or 0 and 1 as bool"
    )]
    OnesAlone,
    /// Whole numbers that are neither 0 and 1 nor 0 and 255, as a mask.
    #[error(
        "the mask has the whole number {value} at (mask {index}, row {row}, column {column}){beside}; \
         allowed: 0 and 1, or 0 and 255; others as uint8 or as floats from 0 to 1"
    )]
    WholeMaskValue {
        /// The number.
        value: i128,
        /// Which mask of the stack.
        index: usize,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// What makes it wrong, if it is not wrong in itself.
        beside: &'static str,
    },
    /// Not enough memory for what is needed besides input and output.
    #[error("{bytes} bytes of scratch memory can't be had")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// A strided view that reaches outside its memory.
    #[error("a view of shape {shape} and element strides {strides} reaches outside its {len} elements")]
    ViewOutOfBounds {
        /// The view's shape.
        shape: String,
        /// The view's strides in elements.
        strides: String,
        /// Elements there are.
        len: usize,
    },
}

impl Error {
    /// A number outside its range.
    #[expect(clippy::needless_pass_by_value, reason = "numbers are passed by value everywhere")]
    pub fn out_of_range(name: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self::OutOfRange { name, value: value.to_string(), allowed: allowed.into() }
    }

    /// A shape that does not fit; `expected` is in words.
    pub fn shape(name: &'static str, shape: &[usize], expected: impl Into<String>) -> Self {
        Self::Shape { name, shape: tuple(shape), expected: expected.into() }
    }
}

/// A shape as Python writes it: `(2, 3)`, `(4,)`.
pub(crate) fn tuple<T: ToString>(items: &[T]) -> String {
    let joined = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if items.len() == 1 { format!("({joined},)") } else { format!("({joined})") }
}
