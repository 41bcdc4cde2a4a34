//! The second pass for short reaches: along each row every column within the reach is tried.

/// The longest reach: twice its square still is a u16.
pub(in crate::pixel_mask) const MOST: usize = 181;

/// Pixels that are worked on until none of them can get any nearer.
const SEGMENT: usize = 128;

/// Columns that are tried on each side before looking whether it was enough.
const TRIES: usize = 4;

/// Writes the distances in a row whose distances down the columns are known.
///
/// `squares` is scratch memory with room for the reach at both ends, where it holds the reach's square.
#[inline(always)]
pub(super) fn distances(vertical: &[u16], reach: usize, squares: &mut [u16], out: &mut [f32]) {
    for (square, &steps) in squares[reach..].iter_mut().zip(vertical) {
        *square = steps * steps;
    }
    let most = (reach * reach) as u16;
    let mut start = 0;
    for out in out.chunks_mut(SEGMENT) {
        let around = &squares[start..start + out.len() + 2 * reach];
        let mut best = [0; SEGMENT];
        let best = &mut best[..out.len()];
        best.copy_from_slice(&around[reach..][..out.len()]);
        if least(around) < most {
            search(around, reach, best);
        }
        let (low, high) = (least(best), largest(best));
        if low == high {
            out.fill(f32::from(low).sqrt());
        } else {
            out.iter_mut().zip(best).for_each(|(out, best)| *out = f32::from(*best).sqrt());
        }
        start += out.len();
    }
}

/// Lowers the squared distances of a segment by what lies around it.
#[inline(always)]
fn search(around: &[u16], reach: usize, best: &mut [u16]) {
    let len = best.len();
    for offset in (1..reach).step_by(TRIES) {
        if usize::from(largest(best)) <= offset * offset {
            return;
        }
        // Beyond the reach there is nothing to find, but it does no harm to look at its end again.
        let offsets: [usize; TRIES] = std::array::from_fn(|i| (offset + i).min(reach));
        let squares = offsets.map(|offset| (offset * offset) as u16);
        let left = offsets.map(|offset| &around[reach - offset..][..len]);
        let right = offsets.map(|offset| &around[reach + offset..][..len]);
        for (x, best) in best.iter_mut().enumerate() {
            for i in 0..TRIES {
                *best = (*best).min(left[i][x].min(right[i][x]) + squares[i]);
            }
        }
    }
}

#[inline(always)]
fn least(values: &[u16]) -> u16 {
    values.iter().fold(u16::MAX, |least, &value| least.min(value))
}

#[inline(always)]
fn largest(values: &[u16]) -> u16 {
    values.iter().fold(0, |largest, &value| largest.max(value))
}
