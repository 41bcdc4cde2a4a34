//! When work is shared out: below a size that pays for waking other threads, one thread does it all.
//!
//! Every chunk is written by one call alone, so results have the same bits for any number of threads.

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
    match grouped(out.len(), len, cost) {
        None => work(0, out),
        Some(count) => {
            out.par_chunks_mut(len * count).enumerate().for_each(|(piece, chunks)| work(piece * count, chunks));
        }
    }
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
    let in_order = |first: usize, chunks: &mut [T]| {
        chunks.chunks_mut(len.max(1)).enumerate().try_for_each(|(index, chunk)| work(first + index, chunk))
    };
    match grouped(out.len(), len, cost) {
        None => in_order(0, out),
        Some(count) => {
            let pieces = out.par_chunks_mut(len * count).enumerate();
            let failures =
                pieces.filter_map(|(piece, chunks)| in_order(piece * count, chunks).err().map(|e| (piece, e)));
            failures.min_by_key(|&(piece, _)| piece).map_or(Ok(()), |(_, failure)| Err(failure))
        }
    }
}

/// How many chunks make one piece of work; None where one thread shall do them all.
fn grouped(total: usize, len: usize, cost: usize) -> Option<usize> {
    let chunks = total.checked_div(len)?;
    if chunks < 2 || chunks.saturating_mul(cost) < 2 * PIECE || rayon::current_num_threads() == 1 {
        return None;
    }
    Some((PIECE / cost.max(1)).clamp(1, chunks))
}
