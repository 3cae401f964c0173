//! scoter and the interpreter in one process: signals, forks, the end, and tracebacks.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyList, PyString};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tracing::{error, warn};

use crate::python::child_processes;
use crate::python::signal_handlers;
use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::fork::{self, Own};
use crate::sys::signals::ACTED_ON;

/// Formats an exception as Python itself would print it, causes included, on lines of its own.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let formatted = || {
        let lines = py.import("traceback")?.call_method1(
            "format_exception",
            (error.get_type(py), error.value(py), error.traceback(py)),
        )?;
        let mut text = String::new();
        for line in lines.try_iter()? {
            // A message may hold lone surrogates, such as those of a file name.
            text.push_str(&line?.cast::<PyString>()?.to_string_lossy());
        }
        PyResult::Ok(text)
    };
    match formatted() {
        Ok(text) => format!("\n{}", text.trim_end()),
        // No memory, or an application that has replaced the module.
        Err(_) => format!("\n{}", error.get_type(py)),
    }
}

/// Watches the forks of this process, as [`fork::watch`] does, and gives children that the
/// application forks its own handlers back. To be called once.
///
/// A child has scoter's handlers, but not the thread that listens to them: nothing but KILL
/// could end it, `multiprocessing.Process.terminate()` included. The signals are blocked
/// from before the fork until its own are in place, so that none gets lost in between.
pub(crate) fn watch_forks(py: Python<'_>) -> PyResult<()> {
    fork::watch()?;
    // Registered before those of the application, so that of the hooks that run before a fork
    // it is the last one (os.register_at_fork).
    register_at_fork(
        py,
        [
            ("before", |_| {
                let ours = SigSet::from_iter(ACTED_ON);
                MASK.set(ours.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok());
                fork::hooks_end();
                Ok(())
            }),
            ("after_in_parent", |_| {
                restore_mask();
                Ok(())
            }),
            ("after_in_child", |py| {
                if fork::is_child() {
                    signals_of(py)?.call_method1("set_wakeup_fd", (-1,))?;
                    signal_handlers::give_back(py)?;
                }
                restore_mask();
                child_processes::forget(py)
            }),
        ],
    )
}

/// Tells a fork that hooks of the application make from the one that they run for. To be called
/// once, when the application is loaded and has registered its own.
pub(crate) fn watch_hooks_of_forks(py: Python<'_>) -> PyResult<()> {
    register_at_fork(
        py,
        [
            ("before", |_| {
                fork::hooks_begin();
                Ok(())
            }),
            ("after_in_parent", |_| {
                fork::is_over();
                Ok(())
            }),
        ],
    )
}

type Hook = (&'static str, fn(Python<'_>) -> PyResult<()>);

fn register_at_fork<const N: usize>(py: Python<'_>, hooks: [Hook; N]) -> PyResult<()> {
    let arguments = PyDict::new(py);
    for (name, run) in hooks {
        let hook = PyCFunction::new_closure(py, None, None, move |args, _| run(args.py()))?;
        arguments.set_item(name, hook)?;
    }
    py.import("os")?
        .call_method("register_at_fork", (), Some(&arguments))?;
    Ok(())
}

thread_local! {
    /// The signals that the forking thread had blocked.
    static MASK: Cell<Option<SigSet>> = const { Cell::new(None) };
}

fn restore_mask() {
    if let Some(mask) = MASK.take() {
        let _ = mask.thread_set_mask();
    }
}

/// What the module `signal` wraps: that one makes its enumerations first, which costs more than
/// all that scoter imports together.
pub(crate) fn signals_of(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("_signal")
}

/// Wakes the main thread's slot for signals that Python has handlers for: whichever thread
/// the kernel picks, CPython's C handler writes a byte here (`signal.set_wakeup_fd`).
#[derive(Debug)]
pub(crate) struct SignalWakeups {
    _watches: [Watch; 2],
    receiver: Own,
    _sender: Own,
}

impl SignalWakeups {
    /// Has Python write to a socket. It must be kept as long as Python may do so.
    pub(crate) fn install(py: Python<'_>) -> PyResult<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (receiver, sender) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(io::Error::from)?;
        let (receiver, sender): (Own, Own) = (move_up(receiver), move_up(sender));
        let watches = [
            watch("wake-up for signals", &receiver),
            watch("wake-up for signals, Python's end", &sender),
        ];
        let arguments = PyDict::new(py);
        arguments.set_item("warn_on_full_buffer", false)?;
        signals_of(py)?.call_method("set_wakeup_fd", (sender.as_raw_fd(),), Some(&arguments))?;
        Ok(Self {
            _watches: watches,
            receiver,
            _sender: sender,
        })
    }

    /// The end that becomes readable.
    pub(crate) fn receiver(&self) -> io::Result<Own> {
        self.receiver.try_clone().map(move_up)
    }
}

/// Does what Python does at its end: threads that are no daemons end, then come the exit
/// handlers, then the buffers of the standard streams. The threads have `patience` to end.
///
/// Each for itself: one that fails keeps none of the others from its end.
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
}

/// What `threading._shutdown()` does, which has no deadline. Thread pools are waited for as
/// long as their work takes; there `--graceful-timeout` is the end.
fn end_threads(py: Python<'_>, patience: Duration) {
    let deadline = Instant::now() + patience;
    // Here thread pools learn that they are to end.
    for handler in or_report(py, thread_handlers(py)) {
        or_report(py, handler.call0().map(drop));
    }
    for thread in or_report(py, other_threads(py)) {
        or_report(py, end_thread(&thread, deadline));
    }
}

/// What is to be called before threads are waited for, in that order.
fn thread_handlers(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let threading = py.import("threading")?;
    let Some(handlers) = threading.getattr_opt("_threading_atexits")? else {
        return Ok(Vec::new());
    };
    Ok(handlers.cast_into::<PyList>()?.iter().rev().collect())
}

/// All threads but the caller's and the main one, where a request that never ends may have it.
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
            "a thread of the application does not end: not waited for"
        );
    }
    Ok(())
}

/// Logs a failure of the application's end, which goes on without what failed.
fn or_report<T: Default>(py: Python<'_>, done: PyResult<T>) -> T {
    done.unwrap_or_else(|failure| {
        let traceback = traceback(py, &failure);
        error!(%traceback, "the application's end raised an exception");
        T::default()
    })
}
