//! The end of Python in a process of the server: threads, exit handlers, standard streams.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyList;
use tracing::{error, warn};

use super::traceback::traceback;
use crate::log::finish_application_output;

/// Does what Python does at exit: waits for non-daemon threads, for up to `patience`, runs the exit
/// handlers, and flushes the standard streams.
///
/// A failure of one does not prevent the others.
pub(crate) fn run_exit_handlers(py: Python<'_>, patience: Duration) {
    end_threads(py, patience);
    let handlers = py.import("atexit");
    let handled = handlers.and_then(|atexit| atexit.call_method0("_run_exitfuncs"));
    or_report(py, handled.map(drop));
    for stream in ["stdout", "stderr"] {
        let _ = py
            .import("sys")
            .and_then(|sys| sys.getattr(stream))
            .and_then(|stream| stream.call_method0("flush"));
    }
    py.detach(finish_application_output);
}

/// Like `threading._shutdown()`, but with a deadline. Thread pools are waited for as long as their
/// work takes, limited by `--graceful-timeout`.
fn end_threads(py: Python<'_>, patience: Duration) {
    let deadline = Instant::now() + patience;
    // These handlers tell thread pools to end.
    for handler in or_report(py, thread_handlers(py)) {
        or_report(py, handler.call0().map(drop));
    }
    for thread in or_report(py, other_threads(py)) {
        or_report(py, end_thread(&thread, deadline));
    }
}

/// The handlers to call before waiting for threads, in order.
fn thread_handlers(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let threading = py.import("threading")?;
    let Some(handlers) = threading.getattr_opt("_threading_atexits")? else {
        return Ok(Vec::new());
    };
    Ok(handlers.cast_into::<PyList>()?.iter().rev().collect())
}

/// All threads except the caller's and the main one, which a stuck request may occupy.
fn other_threads(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let threading = py.import("threading")?;
    let current = threading.call_method0("current_thread")?;
    let main = threading.call_method0("main_thread")?;
    let threads = threading.call_method0("enumerate")?.try_iter()?;
    threads
        .filter(|thread| {
            let is_other = |thread: &Bound<'_, _>| !thread.is(&current) && !thread.is(&main);
            thread.as_ref().map_or(true, is_other)
        })
        .collect()
}

/// Waits for a thread, unless it is a daemon.
fn end_thread(thread: &Bound<'_, PyAny>, deadline: Instant) -> PyResult<()> {
    if thread.getattr("daemon")?.is_truthy()? {
        return Ok(());
    }
    let left = deadline.saturating_duration_since(Instant::now());
    thread.call_method1("join", (left.as_secs_f64(),))?;
    if thread.call_method0("is_alive")?.is_truthy()? {
        let name = thread.getattr("name")?.to_string();
        warn!(
            name,
            "an application thread does not end: no longer waiting for it"
        );
    }
    Ok(())
}

/// Logs a failure during the application's exit, which then continues.
fn or_report<T: Default>(py: Python<'_>, done: PyResult<T>) -> T {
    done.unwrap_or_else(|failure| {
        let traceback = traceback(py, &failure);
        error!(%traceback, "an exception was raised while the application ended");
        T::default()
    })
}
