//! Wakes the slot of the main thread for signals with Python handlers.

use std::io;
use std::os::fd::AsRawFd;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::fork::Own;

/// The C module that `signal` wraps. Importing `signal` creates enumerations, which costs more than
/// all of scoter's other imports together.
pub(crate) fn signals_of(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("_signal")
}

/// Wakes the main thread's slot for signals with Python handlers: CPython's C handler, in any
/// thread, writes a byte to this socket (`signal.set_wakeup_fd`).
#[derive(Debug)]
pub(crate) struct SignalWakeups {
    _watches: [Watch; 2],
    receiver: Own,
    _sender: Own,
}

impl SignalWakeups {
    /// Makes Python write to a socket, which must be kept as long as Python may do so.
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
