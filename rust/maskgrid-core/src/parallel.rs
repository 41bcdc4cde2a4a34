//! When work is shared out: inside a rayon pool, and above a size that pays for waking other threads.
//!
//! A call that comes from outside of all pools is done on its own thread. rayon would start a pool of its own for it,
//! with threads that a forked process does not have and would wait for. So whoever wants threads calls from inside a
//! pool ([`rayon::ThreadPool::install`]).
//!
//! Every chunk is written by one call alone, so results have the same bits for any number of threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Result};

/// Bytes that one piece of work should move at least.
const PIECE: usize = 1 << 18;

/// Calls `work(index, chunk)` for every `len` elements of `out`, in parallel where that pays. A chunk takes as long as
/// moving `cost` bytes.
///
/// # Errors
/// The failure of the first chunk that failed, whichever thread was first.
pub(crate) fn for_each_chunk<T: Send>(
    out: &mut [T],
    len: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) -> Result<()> + Sync + Send,
) -> Result<()> {
    for_each_piece(out, len, cost, |first, chunks| {
        chunks.chunks_mut(len.max(1)).enumerate().try_for_each(|(index, chunk)| work(first + index, chunk))
    })
}

/// Calls `work(first, chunks)` for pieces of `out` that are whole chunks of `len` elements, `first` the number of their
/// first chunk; else like [`for_each_chunk`].
///
/// # Errors
/// The failure of the first piece that failed.
pub(crate) fn for_each_piece<T: Send>(
    out: &mut [T],
    len: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) -> Result<()> + Sync + Send,
) -> Result<()> {
    share_out(out, len, chunks_per_piece(out.len(), len, cost), &work)
}

/// Calls `work(first, chunks)` once per thread, each with an equal share of the chunks of `len` elements; once in all
/// where the memory is small. Memory is set fastest in pieces that no cache can hold.
///
/// # Errors
/// The failure of the first share that failed.
pub(crate) fn for_each_share<T: Send>(
    out: &mut [T],
    len: usize,
    work: impl Fn(usize, &mut [T]) -> Result<()> + Sync + Send,
) -> Result<()> {
    let pieces = chunks_per_piece(out.len(), len, len * size_of::<T>());
    let share = pieces.map(|_| (out.len() / len).div_ceil(rayon::current_num_threads()));
    share_out(out, len, share, &work)
}

/// Calls `work` for pieces of `count` chunks each, in parallel; once for everything where there is no count.
///
/// `dyn`, and one call of it, so that the machinery of threads is compiled once for each type of number and the work
/// once, not twice: this halves the binary.
fn share_out<T: Send>(
    out: &mut [T],
    len: usize,
    count: Option<usize>,
    work: &(dyn Fn(usize, &mut [T]) -> Result<()> + Sync),
) -> Result<()> {
    let Some(count) = count else {
        return work(0, out);
    };
    let failure: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    out.par_chunks_mut(len * count).enumerate().for_each(|(piece, chunks)| {
        if let Err(error) = work(piece * count, chunks) {
            let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
            if failure.as_ref().is_none_or(|&(earliest, _)| piece < earliest) {
                *failure = Some((piece, error));
            }
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
}

/// How many chunks make one piece of work; None where one thread shall do them all.
fn chunks_per_piece(total: usize, len: usize, cost: usize) -> Option<usize> {
    // None outside of every pool.
    rayon::current_thread_index()?;
    let chunks = total.checked_div(len)?;
    if chunks < 2 || chunks.saturating_mul(cost) < 2 * PIECE || rayon::current_num_threads() == 1 {
        return None;
    }
    Some((PIECE / cost.max(1)).clamp(1, chunks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_pool_all_is_done_here() {
        let here = std::thread::current().id();
        let mut out = vec![0_u8; 64 * PIECE];
        let done = for_each_chunk(&mut out, PIECE, PIECE, |index, chunk| {
            assert_eq!(std::thread::current().id(), here);
            chunk.fill(index as u8);
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert!(out.iter().enumerate().all(|(place, &value)| usize::from(value) == place / PIECE));
    }

    #[test]
    fn the_first_failure_is_told_for_any_number_of_threads() {
        for threads in 1..4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
            let mut out = vec![0_u8; 64 * PIECE];
            let failed = pool.install(|| {
                for_each_chunk(&mut out, PIECE, PIECE, |index, _| {
                    if index % 5 == 3 { Err(Error::out_of_range("chunk", index, "none")) } else { Ok(()) }
                })
            });
            assert_eq!(failed, Err(Error::out_of_range("chunk", 3, "none")), "{threads} threads");
        }
    }
}
