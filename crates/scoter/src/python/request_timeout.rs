//! The exception that ends a request after `--request-timeout`.

use std::ffi::{c_long, c_ulong};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::{create_exception, ffi};

use crate::python::starting_thread::{has_foreign_ident, is_starting};

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
    /// Returns whether that succeeded: not while the exception would hit a thread that this one is
    /// starting. `dump` is what `faulthandler` writes about all threads.
    pub(crate) fn raise_timeout(
        self,
        py: Python<'_>,
        dump: impl FnOnce() -> Option<String>,
    ) -> bool {
        if has_foreign_ident(py) && dump().is_some_and(|dump| is_starting(self.0, &dump)) {
            return false;
        }
        let exception = py.get_type::<RequestTimeout>();
        self.set_exception(py, exception.as_ptr());
        true
    }

    /// Cancels an exception that has not been raised yet. To be called by the thread itself, while
    /// nobody raises another.
    ///
    /// # Errors
    ///
    /// What a handler of a signal raised, which Python ran first. The exception may still be there.
    pub(crate) fn clear_exception(self, py: Python<'_>) -> PyResult<()> {
        self.set_exception(py, std::ptr::null_mut());
        if !has_foreign_ident(py) {
            return Ok(());
        }
        // That may have been about a thread that this one is starting. Python raises what it has not
        // raised yet at the first instruction, and here that does no harm.
        match py.eval(c"None", None, None) {
            Err(error) if error.is_instance_of::<RequestTimeout>(py) => Ok(()),
            result => result.map(drop),
        }
    }

    fn set_exception(self, _py: Python<'_>, exception: *mut ffi::PyObject) {
        // The C function takes an unsigned long; pyo3 says it is signed.
        let ident = c_ulong::from(self.0) as c_long;
        #[expect(unsafe_code, reason = "pyo3 has no safe counterpart")]
        // SAFETY: this thread is attached to the interpreter; the exception is null or a
        // class that is alive, to which the interpreter takes a reference of its own; a
        // number that is no thread of Python's is looked up in vain.
        unsafe {
            ffi::PyThreadState_SetAsyncExc(ident, exception);
        }
    }
}
