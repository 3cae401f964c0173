use std::mem;

use bytes::{Buf, Bytes};
use memchr::memchr;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::body::{Body, Source};
use super::unseen::Unseen;
use super::{InputFailure, Limit};

/// Reads a body: first what is in memory, then from its source, without the
/// interpreter.
///
/// A read that fails leaves what it had got in `window`, to be read again.
#[derive(Debug)]
pub(super) struct Reader {
    window: Bytes,
    source: Source,
    expected: u64,
    failed: Option<InputFailure>,
}

impl Reader {
    pub(super) fn new(body: Body) -> Self {
        Self {
            window: body.prefix,
            source: body.source,
            expected: body.expected,
            failed: None,
        }
    }

    /// Returns the bytes of the body that are still in the connection.
    pub(super) fn unread(&self) -> u64 {
        self.source.unread()
    }

    pub(super) fn into_failure(self) -> Option<InputFailure> {
        self.failed
    }

    pub(super) fn read<'py>(
        &mut self,
        py: Python<'py>,
        limit: Limit,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let want = limit.cap(self.left());
        // A length that cannot be in memory is a body that cannot be read whole.
        let want = usize::try_from(want)?;
        if want <= self.window.len() {
            return self.take_window(py, want);
        }
        let mut bytes = Unseen::new(py, want.min(trusted(self.window.len())))?;
        bytes.push(&mem::take(&mut self.window));
        loop {
            if let Err(failure) = py.detach(|| self.fill(&mut bytes)) {
                self.window = Bytes::from_owner(bytes);
                return Err(failure.to_exception());
            }
            if bytes.len() == want {
                return Ok(bytes.into_bytes(py));
            }
            match Unseen::new(py, want.min(trusted(bytes.len()))) {
                Ok(mut larger) => {
                    larger.push(bytes.as_ref());
                    bytes = larger;
                }
                Err(error) => {
                    self.window = Bytes::from_owner(bytes);
                    return Err(error);
                }
            }
        }
    }

    pub(super) fn read_line<'py>(
        &mut self,
        py: Python<'py>,
        limit: Limit,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let want = limit.cap(self.left());
        if let Some(len) = self.line_in_window(want) {
            return self.take_window(py, len);
        }
        let line = py
            .detach(|| self.collect_line(want))
            .map_err(Stopped::into_exception)?;
        copy(py, &line)
    }

    pub(super) fn read_lines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Limit,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut lines = Vec::new();
        let mut left = hint.cap(u64::MAX);
        while left > 0 {
            match self.read_line(py, Limit::None) {
                Ok(line) if line.as_bytes().is_empty() => break,
                Ok(line) => {
                    left = left.saturating_sub(line.as_bytes().len() as u64);
                    lines.push(line);
                }
                Err(error) => {
                    let read: Vec<u8> = lines.iter().flat_map(|l| l.as_bytes()).copied().collect();
                    self.unread_bytes(read);
                    return Err(error);
                }
            }
        }
        PyList::new(py, lines)
    }

    /// Returns the bytes of the body that the application has not read.
    fn left(&self) -> u64 {
        self.source.left().saturating_add(self.window.len() as u64)
    }

    fn take_window<'py>(&mut self, py: Python<'py>, len: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = copy(py, &self.window[..len])?;
        self.window.advance(len);
        Ok(bytes)
    }

    /// Returns the length of the next line if memory holds all of it that is
    /// wanted.
    fn line_in_window(&self, want: u64) -> Option<usize> {
        let want = usize::try_from(want).unwrap_or(usize::MAX);
        let searched = &self.window[..self.window.len().min(want)];
        match memchr(b'\n', searched) {
            Some(newline) => Some(newline + 1),
            None if want <= self.window.len() => Some(want),
            None => None,
        }
    }

    /// Fills `bytes` from the source, which has as many left.
    fn fill(&mut self, bytes: &mut Unseen) -> Result<(), InputFailure> {
        while !bytes.is_full() {
            let count = self.receive(bytes.room(RECEIVED_BYTES))?;
            bytes.advance(count);
        }
        Ok(())
    }

    /// Collects a line that is not all in the window, at most `want` bytes.
    fn collect_line(&mut self, want: u64) -> Result<Vec<u8>, Stopped> {
        let mut line = Vec::new();
        loop {
            let complete = self.line_in_window(want - line.len() as u64);
            let len = complete.unwrap_or(self.window.len());
            if line.try_reserve(len).is_err() {
                self.unread_bytes(line);
                return Err(Stopped::OutOfMemory);
            }
            line.extend_from_slice(&self.window[..len]);
            self.window.advance(len);
            if complete.is_some() {
                return Ok(line);
            }

            let mut buf = vec![0; WINDOW_BYTES];
            match self.receive(&mut buf) {
                Ok(n) => {
                    buf.truncate(n);
                    self.window = Bytes::from(buf);
                }
                Err(failure) => {
                    self.unread_bytes(line);
                    return Err(failure.into());
                }
            }
        }
    }

    fn receive(&mut self, buf: &mut [u8]) -> Result<usize, InputFailure> {
        let result = self.source.receive(buf, self.expected);
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// Puts bytes back in front of what is in memory.
    fn unread_bytes(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(&self.window);
        self.window = Bytes::from(bytes);
    }
}

/// Why bytes could not be collected.
enum Stopped {
    Input(InputFailure),
    OutOfMemory,
}

impl Stopped {
    fn into_exception(self) -> PyErr {
        match self {
            Self::Input(failure) => failure.to_exception(),
            Self::OutOfMemory => PyMemoryError::new_err(()),
        }
    }
}

impl From<InputFailure> for Stopped {
    fn from(failure: InputFailure) -> Self {
        Self::Input(failure)
    }
}

/// Makes a bytes object. Unlike [`PyBytes::new`] it does not panic when there is
/// no memory for it.
fn copy<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, bytes.len(), |buf| {
        buf.copy_from_slice(bytes);
        Ok(())
    })
}

/// Returns for how many bytes room is made when so many have arrived. An announced length
/// alone must not take memory; but room that nothing arrives for is only a number, while
/// room that is made in several steps is copied as often.
fn trusted(arrived: usize) -> usize {
    arrived.saturating_mul(16).max(1024 * 1024)
}

/// What a read receives at once, at most. A Unix socket holds no more than that by default.
const RECEIVED_BYTES: usize = 256 * 1024;

/// What `readline` receives at once.
const WINDOW_BYTES: usize = 16 * 1024;
