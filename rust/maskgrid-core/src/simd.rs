//! Plain loops, compiled a second time for wider vector units.

/// Calls `work`, compiled for AVX2 where the processor has it.
///
/// Only what is inlined into `work` gains: mark it and what it calls `#[inline(always)]`. The arithmetic is the same
/// either way, bit for bit: nothing is contracted or reordered.
#[inline]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(test)]
    if plain::is_wanted() {
        return work();
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
        return fearless_simd::Simd::vectorize(avx2, work);
    }
    work()
}

#[cfg(test)]
pub(crate) mod plain {
    //! Leaves out what the processor could do better, so that the loops for any processor are tested too.

    use std::cell::Cell;

    thread_local! {
        static WANTED: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn is_wanted() -> bool {
        WANTED.get()
    }

    /// Calls `work` without anything that not every processor has.
    pub(crate) fn without<R>(work: impl FnOnce() -> R) -> R {
        WANTED.set(true);
        let result = work();
        WANTED.set(false);
        result
    }
}
