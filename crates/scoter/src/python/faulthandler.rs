//! Python's `faulthandler`, which reports where a process of the server crashes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec};
use rustix::stdio::stderr;

use crate::log;
use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::fork;

/// Makes `faulthandler` write crash reports of this process to `target`, unless the operator or the
/// application has already enabled it: `PYTHONFAULTHANDLER`, `faulthandler.enable()`.
///
/// A later call changes the target. The handler keeps its descriptor, and only the file behind it
/// is replaced, because Python does not reveal whether the handler is still ours.
///
/// # Errors
///
/// Those of Python, and those of the system.
pub(crate) fn describe_crashes_in(py: Python<'_>, target: impl AsFd) -> PyResult<()> {
    if let Some(output) = &mut *lock() {
        return Ok(output.redirect(&target)?);
    }
    let faulthandler = py.import("faulthandler")?;
    if faulthandler.call_method0("is_enabled")?.is_truthy()? {
        return Ok(());
    }
    let output = fcntl_dupfd_cloexec(&target, 3).map_err(io::Error::from)?;
    // At a low number the application might close it, and reports would go to a file that reuses
    // the number.
    let output: OwnedFd = move_up(output);
    let arguments = PyDict::new(py);
    arguments.set_item("file", output.as_raw_fd())?;
    faulthandler.call_method("enable", (), Some(&arguments))?;
    *lock() = Some(Output {
        watch: Some(watch(NAME, &output)),
        descriptor: output,
    });
    // The master does not know children of the application.
    let hook = PyCFunction::new_closure(py, None, None, |_, _| {
        // The watch is not informed: its lock may be held by a thread that does not exist in the
        // child.
        lock()
            .as_mut()
            .is_some_and(|output| output.put(&stderr()).is_ok())
    })?;
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", hook)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

/// Has crash reports of a process without a master go to the standard error that it has now.
pub(crate) fn follow_standard_error() {
    // A child would find a lock that nobody opens.
    fork::held_off(|| {
        if let Some(output) = &mut *lock() {
            let _ = output.redirect(&log::standard_error());
        }
    });
}

/// The file that the handler writes to.
#[derive(Debug)]
struct Output {
    // Dropped before the descriptor.
    watch: Option<Watch>,
    descriptor: OwnedFd,
}

impl Output {
    /// Replaces the file behind the descriptor, which is then watched as the new file.
    fn redirect(&mut self, target: &impl AsFd) -> io::Result<()> {
        self.watch = None;
        self.put(target)?;
        self.watch = Some(watch(NAME, &self.descriptor));
        Ok(())
    }

    fn put(&mut self, target: &impl AsFd) -> io::Result<()> {
        Ok(dup3(target, &mut self.descriptor, DupFlags::CLOEXEC)?)
    }
}

fn lock() -> MutexGuard<'static, Option<Output>> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

static OUTPUT: Mutex<Option<Output>> = Mutex::new(None);

/// What the log calls the descriptor.
const NAME: &str = "crash report";
