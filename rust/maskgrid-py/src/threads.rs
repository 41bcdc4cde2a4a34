//! Where work runs: here, or on a pool of threads with the interpreter released.

use std::num::NonZero;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{InvalidValueError, to_py};

/// Work below this (about nanoseconds on one thread) is done at once: letting others run would cost more.
const SMALL: usize = 50_000;
/// The most threads that can be asked for.
const MOST: usize = 1024;

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
                InvalidValueError::new_err(format!("MASKGRID_NUM_THREADS is {text:?}; allowed is 1 to {MOST}"))
            })?,
            Err(_) => std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        };
        self.threads = Some(threads);
        Ok(threads)
    }

    fn pool(&mut self) -> PyResult<Arc<ThreadPool>> {
        let here = process::id();
        match self.pool.take() {
            Some((process, pool)) if process == here => {
                self.pool = Some((here, Arc::clone(&pool)));
                return Ok(pool);
            }
            // Dropping it would wake threads that this process does not have.
            Some((_, parents)) => std::mem::forget(parents),
            None => {}
        }
        let threads = self.threads()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("maskgrid-{index}"))
            .build()
            .map_err(|error| {
                PyRuntimeError::new_err(format!("no pool of {threads} threads can be started: {error}"))
            })?;
        let pool = Arc::new(pool);
        self.pool = Some((here, Arc::clone(&pool)));
        Ok(pool)
    }
}

fn allowed(threads: usize) -> Option<NonZero<usize>> {
    NonZero::new(threads).filter(|threads| threads.get() <= MOST)
}

/// Runs `compute`: at once where `work` (about nanoseconds on one thread) is small, else on the pool with the
/// interpreter released.
pub(crate) fn run<R: Send>(
    py: Python<'_>,
    work: usize,
    compute: impl FnOnce() -> maskgrid_core::Result<R> + Send,
) -> PyResult<R> {
    if work < SMALL {
        return compute().map_err(to_py);
    }
    let pool = state().pool()?;
    py.detach(|| pool.install(compute)).map_err(to_py)
}

/// Sets how many threads large work is shared out over; results do not depend on it.
#[pyfunction]
#[pyo3(signature = (threads, /))]
pub(crate) fn set_num_threads(threads: usize) -> PyResult<()> {
    let threads = allowed(threads)
        .ok_or_else(|| InvalidValueError::new_err(format!("threads is {threads}; allowed is 1 to {MOST}")))?;
    let mut state = state();
    if state.threads != Some(threads) {
        state.threads = Some(threads);
        // Calls that are under way keep theirs.
        if let Some((process, pool)) = state.pool.take()
            && process != process::id()
        {
            std::mem::forget(pool);
        }
    }
    Ok(())
}

/// How many threads large work is shared out over.
#[pyfunction]
pub(crate) fn num_threads() -> PyResult<usize> {
    state().threads().map(NonZero::get)
}
