//! Axes over memory, and the addresses that they reach: everything is checked before a slice is made of it.

use pyo3::PyResult;

use super::filled;

/// The most axes that an array may have.
pub(super) const MAX_AXES: usize = 8;

/// One axis more, for the bytes of an item.
const ROOM: usize = MAX_AXES + 1;

/// Length and stride (in items) of an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Axis {
    pub(crate) len: usize,
    pub(crate) stride: isize,
}

impl Axis {
    /// An axis that the array does not have.
    pub(crate) const ONE: Self = Self { len: 1, stride: 0 };
}

/// Where the items of an array lie, as far as it was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StridedMemory {
    /// Item `[0, 0, ...]`; never null.
    first: *mut u8,
    ndim: usize,
    shape: [usize; ROOM],
    /// In items; 0 where an axis has less than two.
    strides: [isize; ROOM],
    /// Items between the lowest address and `first`.
    before: usize,
    /// Items from the lowest to the highest address.
    items: usize,
    bytes: usize,
}

impl StridedMemory {
    /// Checks a shape and strides (in items of so many bytes; None is dense); the text of an error begins with a verb.
    pub(crate) fn new(data: *mut u8, bytes: usize, shape: &[i64], strides: Option<&[i64]>) -> Result<Self, String> {
        const TOO_LARGE: &str = "has sizes and strides that overflow";
        let ndim = shape.len();
        let mut memory = Self { first: data, ndim, shape: [0; ROOM], strides: [0; ROOM], before: 0, items: 0, bytes };
        let mut count = 1_isize;
        for axis in (0..ndim).rev() {
            let len = shape[axis];
            memory.shape[axis] = usize::try_from(len).map_err(|_| format!("has the negative size {len}"))?;
            if len > 1 {
                let stride = strides.map_or(Ok(count), |strides| isize::try_from(strides[axis]));
                memory.strides[axis] = stride.map_err(|_| TOO_LARGE)?;
            }
            let len = isize::try_from(len.max(1)).map_err(|_| TOO_LARGE)?;
            count = count.checked_mul(len).ok_or(TOO_LARGE)?;
        }
        count.checked_mul(bytes as isize).ok_or(TOO_LARGE)?;
        if shape.contains(&0) {
            // There is nothing to point at; any aligned address will do.
            return Ok(Self { first: std::ptr::without_provenance_mut(bytes), ..memory });
        }
        if data.is_null() {
            return Err("has items but no memory: its data pointer is null".to_owned());
        }
        if !data.addr().is_multiple_of(bytes) {
            return Err(format!("lies at an address that its items of {bytes} bytes are not aligned to"));
        }
        memory.reach().ok_or(TOO_LARGE)?;
        Ok(memory)
    }

    /// Fills in `before` and `items`; None where addresses overflow.
    fn reach(&mut self) -> Option<()> {
        let (mut low, mut high) = (0_isize, 0_isize);
        for axis in 0..self.ndim {
            let reach = isize::try_from(self.shape[axis] - 1).ok()?.checked_mul(self.strides[axis])?;
            low = low.checked_add(reach.min(0))?;
            high = high.checked_add(reach.max(0))?;
        }
        self.before = low.unsigned_abs();
        self.items = high.checked_sub(low)?.checked_add(1)?.unsigned_abs();
        isize::try_from(self.items.checked_mul(self.bytes)?).ok()?;
        let start = self.first.addr().checked_sub(self.before.checked_mul(self.bytes)?)?;
        start.checked_add(self.items * self.bytes)?;
        (start > 0).then_some(())
    }

    /// Address of item `[0, 0, ...]`; never null.
    pub(crate) const fn first(&self) -> *mut u8 {
        self.first
    }

    /// Items between the lowest address and `first`, and from the lowest to the highest address.
    pub(crate) const fn span(&self) -> (usize, usize) {
        (self.before, self.items)
    }

    /// Lengths of the axes of strided memory.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape[..self.ndim]
    }

    /// Strided memory along one axis.
    ///
    /// # Panics
    /// When there is no such axis.
    pub(crate) fn axis(&self, axis: usize) -> Axis {
        assert!(axis < self.ndim);
        Axis { len: self.shape[axis], stride: self.strides[axis] }
    }

    /// Takes away the last axis, so that its first place is left; what is reached stays what it was.
    ///
    /// # Panics
    /// When there is no axis.
    pub(super) fn drop_last_axis(&mut self) -> Axis {
        let last = self.axis(self.ndim - 1);
        self.ndim -= 1;
        last
    }

    /// Lowest address and one past the highest.
    fn range(&self) -> (usize, usize) {
        let start = self.first.addr() - self.before * self.bytes;
        (start, start + self.items * self.bytes)
    }

    /// Items that lie one behind the other at the end of each row-major walk, and over how many axes.
    pub(crate) fn run(&self) -> (usize, usize) {
        let (mut len, mut axes) = (1, 0);
        for axis in (0..self.ndim).rev() {
            if self.shape[axis] != 1 && self.strides[axis] != len as isize {
                break;
            }
            len *= self.shape[axis];
            axes += 1;
        }
        (len, axes)
    }

    pub(crate) fn is_dense(&self) -> bool {
        self.items == 0 || self.run().1 == self.ndim
    }

    /// Whether two indices share an item, as far as strides tell: each axis must step over all smaller ones.
    pub(crate) fn meets_itself(&self) -> bool {
        let mut axes: Vec<(usize, usize)> = (0..self.ndim)
            .filter(|&axis| self.shape[axis] > 1)
            .map(|axis| (self.strides[axis].unsigned_abs(), self.shape[axis]))
            .collect();
        axes.sort_unstable();
        let mut reach = 0;
        self.items > 0
            && axes.into_iter().any(|(stride, len)| {
                let meets = stride <= reach;
                reach += stride * (len - 1);
                meets
            })
    }

    /// Item offsets from `first` where each run starts, in row-major order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = isize> + '_ {
        let outer = self.ndim - self.run().1;
        let count = if self.items == 0 { 0 } else { self.shape[..outer].iter().product() };
        (0..count).map(move |run| {
            let mut rest: usize = run;
            (0..outer).rev().fold(0, |offset, axis| {
                let index = rest % self.shape[axis];
                rest /= self.shape[axis];
                offset + index as isize * self.strides[axis]
            })
        })
    }

    /// Whether both have an item in common; yes also where finding out would take too long.
    ///
    /// # Errors
    /// MemoryError where there is not enough memory to find out.
    pub(super) fn meets(&self, other: &Self) -> PyResult<bool> {
        let (mine, theirs) = (self.range(), other.range());
        if self.items == 0 || other.items == 0 || mine.1 <= theirs.0 || theirs.1 <= mine.0 {
            return Ok(false);
        }
        // A dense output is written while the input's slice lives, and that spans the gaps between its items too.
        const MANY: usize = 1 << 20;
        let count = self.runs().take(MANY).count() + other.runs().take(MANY).count();
        if self.is_dense() || count >= MANY {
            return Ok(true);
        }
        let mut intervals = filled((0, 0, false), count)?;
        let both = self.intervals(false).chain(other.intervals(true));
        intervals.iter_mut().zip(both).for_each(|(interval, found)| *interval = found);
        intervals.sort_unstable();
        // End of what each of the two has covered so far.
        let mut ends = [0, 0];
        Ok(intervals.into_iter().any(|(start, end, whose)| {
            ends[usize::from(whose)] = ends[usize::from(whose)].max(end);
            start < ends[usize::from(!whose)]
        }))
    }

    /// First and one past the last address of each run, and whose it is.
    fn intervals(&self, whose: bool) -> impl Iterator<Item = (usize, usize, bool)> + '_ {
        let len = self.run().0 * self.bytes;
        self.runs().map(move |offset| {
            let start = self.first.addr().wrapping_add_signed(offset * self.bytes as isize);
            (start, start + len, whose)
        })
    }
}

/// A shape as Python writes it: `(2, 3)`, `(4,)`.
pub(crate) fn tuple(shape: &[usize]) -> String {
    let joined = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 { format!("({joined},)") } else { format!("({joined})") }
}
