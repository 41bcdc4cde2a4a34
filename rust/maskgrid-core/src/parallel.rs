//! When work is shared out: below a size that pays for waking other threads, one thread does it all.
//!
//! Every chunk is written by one call alone, so results have the same bits for any number of threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Bytes that one piece of work should move at least.
const PIECE: usize = 1 << 18;

/// Calls `work(index, chunk)` for every `len` elements of `out`, in parallel where the memory is large enough.
pub(crate) fn for_each_chunk<T: Send>(out: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync + Send) {
    for_each_costly_chunk(out, len, len * size_of::<T>(), work);
}

/// [`for_each_chunk`] where a chunk takes as long as moving `cost` bytes.
pub(crate) fn for_each_costly_chunk<T: Send>(
    out: &mut [T],
    len: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    for_each_piece(out, len, cost, |first, chunks| {
        chunks.chunks_mut(len.max(1)).enumerate().for_each(|(index, chunk)| work(first + index, chunk));
    });
}

/// Calls `work(first, chunks)` for pieces of `out` that are whole chunks of `len` elements, `first` the number of their
/// first chunk; in parallel where all chunks together take long enough. A chunk takes as long as moving `cost` bytes.
pub(crate) fn for_each_piece<T: Send>(
    out: &mut [T],
    len: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    share_out(out, len, grouped(out.len(), len, cost), &work);
}

/// Calls `work` for pieces of `count` chunks each, in parallel; once for everything where there is no count.
///
/// `dyn`, and one call of it, so that the machinery of threads is compiled once for each type of number and the work
/// once, not twice: this halves the binary.
fn share_out<T: Send>(out: &mut [T], len: usize, count: Option<usize>, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    match count {
        None => work(0, out),
        Some(count) => {
            out.par_chunks_mut(len * count).enumerate().for_each(|(piece, chunks)| work(piece * count, chunks));
        }
    }
}

/// Calls `work(first, chunks)` once per thread, each with an equal share of the chunks of `len` elements; once in all
/// where the memory is small. Memory is set fastest in pieces that no cache can hold.
pub(crate) fn for_each_share<T: Send>(out: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync + Send) {
    let pieces = grouped(out.len(), len, len * size_of::<T>());
    let share = pieces.map(|_| (out.len() / len).div_ceil(rayon::current_num_threads()));
    share_out(out, len, share, &work);
}

/// [`for_each_costly_chunk`] of work that can fail.
///
/// # Errors
/// The failure of the first chunk that failed, whichever thread was first.
pub(crate) fn try_for_each_chunk<T: Send, E: Send>(
    out: &mut [T],
    len: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) -> Result<(), E> + Sync + Send,
) -> Result<(), E> {
    let failure: Mutex<Option<(usize, E)>> = Mutex::new(None);
    share_out(out, len, grouped(out.len(), len, cost), &|first, chunks| {
        for (index, chunk) in chunks.chunks_mut(len.max(1)).enumerate() {
            if let Err(error) = work(first + index, chunk) {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if failure.as_ref().is_none_or(|&(earliest, _)| first + index < earliest) {
                    *failure = Some((first + index, error));
                }
                return;
            }
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
}

/// How many chunks make one piece of work; None where one thread shall do them all.
fn grouped(total: usize, len: usize, cost: usize) -> Option<usize> {
    let chunks = total.checked_div(len)?;
    if chunks < 2 || chunks.saturating_mul(cost) < 2 * PIECE || rayon::current_num_threads() == 1 {
        return None;
    }
    Some((PIECE / cost.max(1)).clamp(1, chunks))
}
