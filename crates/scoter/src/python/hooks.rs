//! The application's hooks in a worker's lifecycle: `scoter.hooks`.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;
use thiserror::Error;
use tracing::error;

use crate::python::child_exit;
use crate::python::limit_hint::limit_hint;
use crate::python::traceback::traceback;

/// When hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// In a worker's process, first of all after the application is available.
    PostFork,
    /// Before the worker takes its first request.
    WorkerStart,
    /// After the worker's last request, before the exit handlers.
    WorkerExit,
}

impl Event {
    /// The name of the decorator.
    fn name(self) -> &'static str {
        match self {
            Self::PostFork => "post_fork",
            Self::WorkerStart => "on_worker_start",
            Self::WorkerExit => "on_worker_exit",
        }
    }
}

/// A hook raised an exception.
#[derive(Debug, Error)]
#[error("an application hook failed: {event}{traceback}")]
pub(crate) struct HookError {
    event: &'static str,
    traceback: String,
}

/// Runs the hooks of an event, in the order they were registered.
///
/// # Errors
///
/// [`HookError`] for the first exception; later hooks do not run. At a worker's exit all hooks run,
/// and exceptions are only logged.
pub(crate) fn run_hooks(py: Python<'_>, event: Event) -> Result<(), HookError> {
    let failed = |error: PyErr| HookError {
        event: event.name(),
        traceback: traceback(py, &error) + &limit_hint(py, &error),
    };
    for hook in registered(py, event).map_err(failed)? {
        match child_exit::checked(py, hook.call0()).map_err(failed) {
            Err(failure) if event == Event::WorkerExit => error!("{failure}"),
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

fn registered<'py>(py: Python<'py>, event: Event) -> PyResult<Vec<Bound<'py, PyAny>>> {
    // An application that has not imported the module has registered nothing.
    let modules = py.import("sys")?.getattr("modules")?;
    let module = modules.call_method1("get", ("scoter.hooks",))?;
    if module.is_none() {
        return Ok(Vec::new());
    }
    let hooks = module.getattr("_hooks")?.get_item(event.name())?;
    hooks.try_iter()?.collect()
}

/// Sets this worker's number.
pub(crate) fn set_worker_id(id: u32) {
    WORKER.store(id, Ordering::Relaxed);
}

/// The number of this worker among those that serve now, from 1; `None` in other processes.
pub(crate) fn worker_id() -> Option<u32> {
    match WORKER.load(Ordering::Relaxed) {
        0 => None,
        id => Some(id),
    }
}

static WORKER: AtomicU32 = AtomicU32::new(0);
