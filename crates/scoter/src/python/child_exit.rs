//! How a forked child that returns to the server ends: like any Python program at its end.

use std::time::Duration;

use nix::sys::signal::Signal;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;

use crate::python::exit_handlers::run_exit_handlers;
use crate::sys::disposition::{raise_here, reset};
use crate::sys::fork;
use crate::sys::process::exit_now;

/// Call this whenever application code has returned, before anything else: in a child it does not
/// return. `error` is the exception that the code raised.
pub(crate) fn returned(py: Python<'_>, error: Option<&PyErr>) {
    if fork::is_child() {
        end(py, error);
    }
}

/// As [`returned`], for the result of the code.
pub(crate) fn checked<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
    returned(py, result.as_ref().err());
    result
}

/// Ends the process after application code, which may have raised `error`.
fn end(py: Python<'_>, error: Option<&PyErr>) -> ! {
    let code = error.map_or(0, |error| report(py, error));
    run_exit_handlers(py, THREADS_TIME);
    if error.is_some_and(|error| error.is_instance_of::<PyKeyboardInterrupt>(py)) {
        // As in Py_RunMain(), so that the parent sees the signal.
        reset(Signal::SIGINT);
        raise_here(Signal::SIGINT as i32);
    }
    exit_now(code)
}

/// Prints an exception, and returns the exit code for it.
fn report(py: Python<'_>, error: &PyErr) -> u8 {
    if !error.is_instance_of::<PySystemExit>(py) {
        // With sys.excepthook, which the application may have replaced.
        error.print(py);
        return 1;
    }
    let code = match error.value(py).getattr("code") {
        Ok(code) if code.is_none() => return 0,
        Ok(code) => code,
        Err(_) => return 1,
    };
    if let Ok(number) = code.extract::<i64>() {
        // exit(3): the lowest eight bits.
        return (number & 0xff) as u8;
    }
    let stderr = py.import("sys").and_then(|sys| sys.getattr("stderr"));
    let _ = stderr.and_then(|stderr| stderr.call_method1("write", (format!("{code}\n"),)));
    1
}

/// Like Python, waits indefinitely for threads that the child has started.
const THREADS_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
