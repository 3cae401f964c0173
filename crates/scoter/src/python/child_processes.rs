//! Ends the processes that the application has started when their parent ends.
//!
//! Python's exit handlers end the daemons of `multiprocessing` and the managers, but wait for
//! all others without a limit.

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Prevents exit handlers from waiting forever. Drop it when they have run.
#[derive(Debug)]
pub(crate) struct Deadline {
    _handlers_run: mpsc::Sender<()>,
}

impl Deadline {
    /// Ends `multiprocessing` processes that are still running after `patience`, with TERM and, if
    /// necessary, KILL.
    pub(crate) fn set(py: Python<'_>, patience: Duration) -> Option<Self> {
        let processes = multiprocessing(py).unwrap_or_default();
        if processes.is_empty() {
            return None;
        }
        let (sender, receiver) = mpsc::channel::<()>();
        let end = move || {
            for (time, signal) in [(patience, Signal::SIGTERM), (TERM_TIME, Signal::SIGKILL)] {
                if receiver.recv_timeout(time) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                signal_all(&processes, signal);
            }
        };
        // Without a thread, the master's own timeout applies.
        let started = std::thread::Builder::new()
            .name("scoter-end".to_owned())
            .spawn(end);
        started.is_ok().then_some(Self {
            _handlers_run: sender,
        })
    }
}

/// Terminates all remaining children of this process.
pub(crate) fn terminate_children() {
    signal_all(&children(), Signal::SIGTERM);
}

/// Makes a newly forked process forget its parent's children, which its own exit handlers would
/// end.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn forget(py: Python<'_>) -> PyResult<()> {
    // As multiprocessing does in its own children (BaseProcess._bootstrap).
    if let Some(module) = module(py)? {
        module.getattr("_children")?.call_method0("clear")?;
    }
    Ok(())
}

/// The processes that `multiprocessing` knows of, managers included.
fn multiprocessing(py: Python<'_>) -> PyResult<Vec<Pid>> {
    let Some(module) = module(py)? else {
        return Ok(Vec::new());
    };
    let processes = module.call_method0("active_children")?;
    let processes = processes.cast_into::<PyList>()?;
    let pids = processes
        .iter()
        .map(|process| process.getattr("pid")?.extract());
    pids.map(|pid| pid.map(Pid::from_raw)).collect()
}

/// `multiprocessing.process`. An application that has not imported it has started none.
fn module(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let modules = py.import("sys")?.getattr("modules")?;
    let module = modules.call_method1("get", ("multiprocessing.process",))?;
    Ok((!module.is_none()).then_some(module))
}

fn children() -> Vec<Pid> {
    // Each thread has its own children (proc_tid_children(5)).
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|pids| {
            let pids = pids.split_ascii_whitespace().map(str::parse);
            pids.filter_map(Result::ok)
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn signal_all(processes: &[Pid], signal: Signal) {
    for &process in processes {
        // It may have ended meanwhile.
        let _ = kill(process, signal);
    }
}

/// How long a process may take to end after TERM.
const TERM_TIME: Duration = Duration::from_millis(500);
