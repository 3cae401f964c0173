//! Stacks without the interpreter.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::disposition::{highest_signal, raise_here};
use crate::sys::fork::{self, Mark};

/// Writes stacks without the interpreter, for when a thread does not release the GIL.
///
/// `faulthandler` reads the frames in a signal handler, without protection: if a thread executed
/// Python meanwhile, it would read freed frames. So use this only after waiting for the GIL in vain
/// for as long as a [`GilTimeout`](super::GilTimeout). A thread that executes Python would have
/// released it, so the thread that holds it is in C code.
#[derive(Debug)]
pub(crate) struct LastResort {
    /// Closed only after the handler has been removed, because a connection may reuse its number.
    output: ManuallyDrop<Output>,
    signal: i32,
}

/// The file that the handler writes to.
#[derive(Debug)]
struct Output {
    // First, because neither must outlive the file. The process ends if the application closes it:
    // its number would be something else's, to which the handler would write, and which `end` would
    // close.
    _watch: Watch,
    _mark: Mark,
    /// One writer at a time.
    file: Mutex<File>,
}

impl LastResort {
    /// Prepares it while the interpreter is still available.
    ///
    /// # Errors
    ///
    /// Those of the system, and those of Python.
    pub(crate) fn prepare(py: Python<'_>) -> PyResult<Self> {
        let file = memfd_create("scoter-stacks", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
        let file: File = move_up(file);
        // Unlikely to be in use: the C library and other users of real-time signals begin with the
        // lowest one.
        let signal = highest_signal();
        let arguments = PyDict::new(py);
        arguments.set_item("file", file.as_raw_fd())?;
        arguments.set_item("all_threads", true)?;
        arguments.set_item("chain", false)?;
        let faulthandler = py.import("faulthandler")?;
        fork::replace(&[signal], || {
            faulthandler.call_method("register", (signal,), Some(&arguments))
        })?;
        let output = ManuallyDrop::new(Output {
            _watch: watch("file of stacks", &file),
            _mark: Mark::on(&file),
            file: Mutex::new(file),
        });
        Ok(Self { output, signal })
    }

    /// Restores the signal, and closes the file that the handler writes to.
    ///
    /// # Errors
    ///
    /// Those of Python. The file stays open then.
    pub(crate) fn end(self, py: Python<'_>) -> PyResult<()> {
        py.import("faulthandler")?
            .call_method1("unregister", (self.signal,))?;
        drop(ManuallyDrop::into_inner(self.output));
        Ok(())
    }

    /// The stacks of all threads, each with the most recent call first.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub(crate) fn stacks(&self) -> io::Result<String> {
        let mut file = self
            .output
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)?;
        file.rewind()?;
        // The handler has returned when this returns.
        raise_here(self.signal);
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(format!("\n{}", text.trim_end()))
    }
}
