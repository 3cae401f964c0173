use std::borrow::Cow;
use std::collections::TryReserveError;
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memrchr;
use pyo3::exceptions::PyMemoryError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// `wsgi.errors`: a text stream into the server's error log.
///
/// The log receives whole lines, in UTF-8, so that the output of several threads
/// does not mix: a partial line is held until its newline arrives, the request ends
/// or it reaches 64 KiB. The object may be kept after the request.
#[pyclass(frozen, module = "scoter")]
pub struct Errors {
    sink: Box<Sink>,
    partial: Mutex<Vec<u8>>,
}

type Sink = dyn Fn(&[u8]) + Send + Sync;

impl Errors {
    /// Creates a stream into `sink`, which receives one or more whole lines at a
    /// time, newlines included, and is called detached from the interpreter.
    pub fn new(sink: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            partial: Mutex::default(),
        }
    }

    /// Logs a partial line, with a newline added.
    pub fn finish(&self, py: Python<'_>) {
        let mut line = mem::take(&mut *self.lock());
        if !line.is_empty() {
            line.push(b'\n');
            py.detach(|| (self.sink)(&line));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds text, which may be as long as a request's body, and returns the lines it
    /// completes.
    fn append(&self, text: &[u8]) -> Result<Vec<u8>, TryReserveError> {
        let mut partial = self.lock();
        partial.try_reserve(text.len().saturating_add(1))?;
        partial.extend_from_slice(text);
        let complete = match memrchr(b'\n', &partial) {
            Some(newline) => newline + 1,
            None if partial.len() >= MAX_PARTIAL_LINE => {
                partial.push(b'\n');
                partial.len()
            }
            None => return Ok(Vec::new()),
        };
        let mut rest = Vec::new();
        rest.try_reserve_exact(partial.len() - complete)?;
        rest.extend(partial.drain(complete..));
        Ok(mem::replace(&mut *partial, rest))
    }
}

#[pymethods]
impl Errors {
    /// Writes text and returns its length in characters.
    fn write(&self, text: &Bound<'_, PyString>) -> PyResult<usize> {
        let py = text.py();
        let encoded;
        let bytes = match text.to_cow() {
            Ok(text) => text,
            // Lone surrogates, for instance from a file name in an exception.
            Err(_) => {
                encoded = text
                    .call_method1(
                        intern!(py, "encode"),
                        (intern!(py, "utf-8"), intern!(py, "backslashreplace")),
                    )?
                    .cast_into::<PyBytes>()?;
                String::from_utf8_lossy(encoded.as_bytes())
            }
        };
        let lines = match bytes {
            Cow::Borrowed(text) => self.append(text.as_bytes()),
            Cow::Owned(text) => self.append(text.as_bytes()),
        }
        .map_err(|_| PyMemoryError::new_err(()))?;
        if !lines.is_empty() {
            py.detach(|| (self.sink)(&lines));
        }
        text.len()
    }

    /// Writes each of the strings.
    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(line?.cast::<PyString>()?)?;
        }
        Ok(())
    }

    /// Does nothing: whole lines are already in the log.
    fn flush(&self) {}
}

impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errors").finish_non_exhaustive()
    }
}

/// A partial line of this length is logged without waiting for its newline.
const MAX_PARTIAL_LINE: usize = 64 * 1024;
