//! Plain loops, compiled a second time for wider vector units.

/// Calls `work`, compiled for AVX2 where the processor has it.
///
/// Only what is inlined into `work` gains: mark it and what it calls `#[inline(always)]`. The arithmetic is the same
/// either way, bit for bit: nothing is contracted or reordered.
#[inline]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
        return fearless_simd::Simd::vectorize(avx2, work);
    }
    work()
}
