//! When work is shared out: below a size that pays for waking other threads, one thread does it all.

use rayon::prelude::*;

/// Bytes that one piece of work should move at least.
const PIECE: usize = 1 << 18;

/// Calls `work(index, chunk)` for every `len` elements of `out`, in parallel where the memory is large enough.
///
/// Every chunk is written by one call alone, so the result has the same bits for any number of threads.
pub(crate) fn for_each_chunk<T: Send>(out: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync + Send) {
    let bytes = size_of_val(out);
    if len == 0 || bytes < 2 * PIECE || rayon::current_num_threads() == 1 {
        return out.chunks_mut(len.max(1)).enumerate().for_each(|(index, chunk)| work(index, chunk));
    }
    let grouped = (PIECE / (len * size_of::<T>()).max(1)).max(1);
    out.par_chunks_mut(len * grouped).enumerate().for_each(|(group, chunks)| {
        for (index, chunk) in chunks.chunks_mut(len).enumerate() {
            work(group * grouped + index, chunk);
        }
    });
}
