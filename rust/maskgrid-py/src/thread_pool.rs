//! Where work runs: here, or on a pool of threads with the interpreter released.

use std::num::NonZero;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{InvalidValueError, to_py};
use crate::parse_arguments::whole;

/// Work below this (about nanoseconds on one thread) is done at once, on this thread alone: letting others run would
/// cost more.
const SMALL: usize = 50_000;
/// What copying moves on one thread, about.
pub(crate) const BYTES_PER_NS: usize = 8;
/// The most threads that can be asked for.
const MOST: u32 = 1024;

struct State {
    /// Threads asked for; None until somebody asks or the environment was read.
    threads: Option<NonZero<usize>>,
    /// The pool and the process that it was made in: a fork has the memory of the pool but not its threads.
    pool: Option<(u32, Arc<ThreadPool>)>,
}

/// Locked only with the interpreter attached and without calling into Python, so that no fork finds it locked: Python
/// forks attached, and stops all other attached threads where there is no interpreter lock.
static STATE: Mutex<State> = Mutex::new(State { threads: None, pool: None });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn threads(&mut self) -> PyResult<NonZero<usize>> {
        if let Some(threads) = self.threads {
            return Ok(threads);
        }
        let threads = match std::env::var("MASKGRID_NUM_THREADS") {
            Ok(text) => text.trim().parse().ok().and_then(allowed).ok_or_else(|| {
                InvalidValueError::new_err(format!("MASKGRID_NUM_THREADS is {text:?}; allowed: 1 to {MOST}"))
            })?,
            Err(_) => std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        };
        self.threads = Some(threads);
        Ok(threads)
    }

    /// None: no threads can be started.
    fn pool(&mut self) -> PyResult<Option<Arc<ThreadPool>>> {
        let here = process::id();
        match self.pool.take() {
            Some((process, pool)) if process == here => {
                self.pool = Some((here, Arc::clone(&pool)));
                return Ok(Some(pool));
            }
            // Dropping it would wake threads that this process does not have.
            Some((_, parents)) => std::mem::forget(parents),
            None => {}
        }
        let threads = self.threads()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("maskgrid-{index}"))
            .build();
        let Ok(pool) = pool else {
            return Ok(None);
        };
        let pool = Arc::new(pool);
        self.pool = Some((here, Arc::clone(&pool)));
        Ok(Some(pool))
    }
}

fn allowed(threads: u32) -> Option<NonZero<usize>> {
    NonZero::new(threads as usize).filter(|_| threads <= MOST)
}

/// Runs `compute`: at once where `work` (about nanoseconds on one thread) is small, else on the pool with the
/// interpreter released. The core shares work out inside a pool only, so there is never another pool than this one, which
/// would not survive a fork.
pub(crate) fn run<R: Send>(
    py: Python<'_>,
    work: usize,
    compute: impl FnOnce() -> maskgrid_core::Result<R> + Send,
) -> PyResult<R> {
    if work < SMALL {
        return compute().map_err(to_py);
    }
    let (mut compute, mut result) = (Some(compute), None);
    released(py, &mut || result = compute.take().map(|compute| compute()))?;
    // `released` calls once, or fails.
    result.ok_or_else(|| PyRuntimeError::new_err("the pool did not run its work"))?.map_err(to_py)
}

/// `dyn` so that the pool's machinery is compiled once.
fn released(py: Python<'_>, compute: &mut (dyn FnMut() + Send)) -> PyResult<()> {
    let pool = state().pool()?;
    py.detach(|| match pool {
        Some(pool) => pool.install(compute),
        // Outside of a pool the core does it all on this thread.
        None => compute(),
    });
    Ok(())
}

/// Sets how many threads large work is shared out over; results do not depend on it.
///
/// Calls that are under way keep theirs. Without it the number is that of `MASKGRID_NUM_THREADS`, or of the processors
/// that this process may use.
///
/// Args:
///     threads: 1 to 1024.
///
/// Raises:
///     InvalidTypeError: No whole number.
///     InvalidValueError: Another number.
#[pyfunction]
#[pyo3(signature = (threads, /))]
pub(crate) fn set_num_threads(threads: &Bound<'_, PyAny>) -> PyResult<()> {
    let number = whole(threads, "threads", 1..=MOST)?;
    let threads = allowed(number)
        .ok_or_else(|| InvalidValueError::new_err(format!("threads is {number}; allowed: 1 to {MOST}")))?;
    let mut state = state();
    if state.threads != Some(threads) {
        state.threads = Some(threads);
        if let Some((process, pool)) = state.pool.take()
            && process != process::id()
        {
            std::mem::forget(pool);
        }
    }
    Ok(())
}

/// How many threads large work is shared out over.
///
/// Raises:
///     InvalidValueError: `MASKGRID_NUM_THREADS` is no number from 1 to 1024.
#[pyfunction]
pub(crate) fn num_threads() -> PyResult<usize> {
    state().threads().map(NonZero::get)
}
