//! The exception that ends a request after `--request-timeout`.

use std::ffi::{c_long, c_ulong};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::{create_exception, ffi};

create_exception!(
    scoter,
    RequestTimeout,
    PyBaseException,
    "Raised in a request that has run for longer than --request-timeout.\n\n\
     The client has already been answered, and nothing more is sent to it. Like \
     KeyboardInterrupt, the exception can be raised at any line and is not an Exception: \
     clean up and let it pass."
);

/// Python's identifier of a thread, `threading.get_ident()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PythonThread(pub(crate) u64);

impl PythonThread {
    /// The calling thread. Unlike Python's function, gevent does not patch this.
    pub(crate) fn current(_py: Python<'_>) -> Self {
        #[expect(unsafe_code, reason = "pyo3 has no safe counterpart")]
        // SAFETY: it has no preconditions, and the thread is known to the interpreter.
        let ident = unsafe { ffi::PyThread_get_thread_ident() };
        Self(ident)
    }

    /// Makes the thread raise [`RequestTimeout`] at the next Python instruction that it executes.
    /// Returns whether the thread exists.
    pub(crate) fn raise_timeout(self, py: Python<'_>) -> bool {
        let exception = py.get_type::<RequestTimeout>();
        self.set_exception(py, exception.as_ptr())
    }

    /// Cancels an exception that has not been raised yet.
    pub(crate) fn clear_exception(self, py: Python<'_>) {
        self.set_exception(py, std::ptr::null_mut());
    }

    fn set_exception(self, _py: Python<'_>, exception: *mut ffi::PyObject) -> bool {
        // The C function takes an unsigned long; pyo3 says it is signed.
        let ident = c_ulong::from(self.0) as c_long;
        #[expect(unsafe_code, reason = "pyo3 has no safe counterpart")]
        // SAFETY: this thread is attached to the interpreter; the exception is null or a
        // class that is alive, to which the interpreter takes a reference of its own; a
        // number that is no thread of Python's is looked up in vain.
        let threads = unsafe { ffi::PyThreadState_SetAsyncExc(ident, exception) };
        threads > 0
    }
}
