//! Hints for exceptions that a limit of the system has caused.

use std::io;

use pyo3::exceptions::{PyImportError, PyMemoryError, PyOSError};
use pyo3::prelude::*;
use rustix::io::Errno;

use crate::python::causes::causes;
use crate::sys::limits;

/// The hint if an exception, or one that led to it, says that a limit has been reached, on a line of
/// its own.
pub(crate) fn limit_hint(py: Python<'_>, error: &PyErr) -> String {
    let hint = causes(py, error).find_map(|cause| hint_for(py, &cause));
    hint.unwrap_or_default()
}

/// The hint for an exception of `os.fork()`.
pub(crate) fn hint_for_fork(py: Python<'_>, error: &PyErr) -> String {
    os_error(py, error).map_or_else(String::new, |error| limits::hint_for(&error))
}

fn hint_for(py: Python<'_>, error: &PyErr) -> Option<String> {
    if error.is_instance_of::<PyMemoryError>(py) {
        return Some(limits::hint_for(&Errno::NOMEM.into()));
    }
    let text = error.value(py).to_string();
    // CPython raises nothing more specific: Modules/_threadmodule.c, ThreadError.
    if text == "can't start new thread" {
        return Some(limits::hint_for_threads());
    }
    // Nor for dlopen(3), which only has a text: Python/dynload_shlib.c.
    if error.is_instance_of::<PyImportError>(py) && text.contains("Too many open files") {
        return Some(limits::hint_for(&Errno::MFILE.into()));
    }
    let error = os_error(py, error)?;
    match Errno::from_io_error(&error)? {
        // EAGAIN is no limit where a socket has nothing to read.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Some(limits::hint_for(&error)),
        _ => None,
    }
}

fn os_error(py: Python<'_>, error: &PyErr) -> Option<io::Error> {
    if !error.is_instance_of::<PyOSError>(py) {
        return None;
    }
    let errno = error.value(py).getattr("errno").ok()?.extract().ok()?;
    Some(io::Error::from_raw_os_error(errno))
}

#[cfg(test)]
mod tests {
    use pyo3::types::PyDict;

    use super::*;

    fn raised(py: Python<'_>, code: &std::ffi::CStr) -> PyErr {
        py.run(code, Some(&PyDict::new(py)), None).unwrap_err()
    }

    #[test]
    fn exceptions_that_a_limit_has_caused_have_a_hint() {
        Python::attach(|py| {
            for (code, words) in [
                (c"raise OSError(24, 'x')", "raise the open file limit"),
                (c"raise OSError(23, 'x')", "fs.file-max"),
                (c"raise MemoryError", "memory"),
                (c"raise OSError(12, 'x')", "memory"),
                (
                    c"raise RuntimeError(\"can't start new thread\")",
                    "TasksMax=",
                ),
                (
                    c"raise ImportError('x.so: cannot open: Too many open files')",
                    "raise the open file limit",
                ),
                (
                    c"try:\n open('/dev/null/x')\nexcept OSError as e:\n e.errno = 24; raise ValueError from e",
                    "raise the open file limit",
                ),
            ] {
                let hint = limit_hint(py, &raised(py, code));
                assert!(hint.starts_with("\nhint: "), "{code:?}");
                assert!(hint.contains(words), "{code:?}: {hint}");
            }
            for code in [
                c"raise OSError(11, 'x')",
                c"raise OSError('x')",
                c"raise ValueError('Too many open files')",
                c"e = ValueError(); e.__context__ = e; raise e",
            ] {
                assert_eq!(limit_hint(py, &raised(py, code)), "", "{code:?}");
            }
            let forking = raised(py, c"raise BlockingIOError(11, 'x')");
            assert!(hint_for_fork(py, &forking).contains("TasksMax="));
        });
    }
}
