use std::{iter, mem};

use bytes::{Buf, Bytes};
use memchr::memchr;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::body::{Body, Source};
use super::bytes_writer::BytesWriter;
use super::{InputFailure, Limit};

/// Reads a body: first what is in memory, then from its source, without the
/// interpreter.
///
/// A failed read leaves the bytes received so far in `window`, to be read again.
#[derive(Debug)]
pub(super) struct Reader {
    window: Bytes,
    source: Source,
    expected: u64,
    failed: Option<InputFailure>,
    /// How far the position is beyond the end of the body.
    beyond: u64,
}

impl Reader {
    pub(super) fn new(body: Body) -> Self {
        Self {
            window: body.prefix,
            source: body.source,
            expected: body.expected,
            failed: None,
            beyond: 0,
        }
    }

    /// Returns whether the body is complete, so that its reader can seek.
    pub(super) fn is_seekable(&self) -> bool {
        matches!(self.source, Source::Memory(_) | Source::File { .. })
    }

    /// Returns how many bytes of the body precede the next one to be read.
    pub(super) fn position(&self) -> u64 {
        (self.expected - self.left()).saturating_add(self.beyond)
    }

    pub(super) fn len(&self) -> u64 {
        self.expected
    }

    /// Goes to a position in a body that is seekable; behind its end there is nothing.
    pub(super) fn seek(&mut self, position: u64) {
        let within = position.min(self.expected);
        match &mut self.source {
            Source::Memory(whole) => {
                let start = usize::try_from(within).unwrap_or(usize::MAX);
                self.window = whole.slice(start.min(whole.len())..);
            }
            Source::File { offset, left, .. } => {
                self.window = Bytes::new();
                *offset = within;
                *left = self.expected - within;
            }
            Source::Stream { .. } => return,
        }
        self.beyond = position - within;
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
        // A body whose length exceeds memory cannot be read as a whole.
        let want = usize::try_from(want)?;
        if want <= self.window.len() {
            return self.take_window(py, want);
        }
        let mut bytes = BytesWriter::new(py, want.min(trusted(self.window.len())))?;
        bytes.push(&mem::take(&mut self.window));
        loop {
            if let Err(failure) = py.detach(|| self.fill(&mut bytes)) {
                self.window = Bytes::from_owner(bytes);
                return Err(failure.to_exception());
            }
            if bytes.len() == want {
                return Ok(bytes.into_bytes(py));
            }
            match BytesWriter::new(py, want.min(trusted(bytes.len()))) {
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
        let len = match line_len(&self.window, 0, want) {
            Some(len) => len,
            None => py
                .detach(|| self.collect_line(want))
                .map_err(CollectError::into_exception)?,
        };
        self.take_window(py, len)
    }

    pub(super) fn read_lines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Limit,
    ) -> PyResult<Bound<'py, PyList>> {
        let lines = PyList::empty(py);
        let mut left = hint.cap(u64::MAX);
        while left > 0 {
            let line = match self.read_line(py, Limit::None) {
                Ok(line) if line.as_bytes().is_empty() => break,
                line => line,
            };
            let kept = line.and_then(|line| {
                left = left.saturating_sub(line.as_bytes().len() as u64);
                let appended = lines.append(&line);
                appended.inspect_err(|_| self.put_back(|| iter::once(line.clone())))
            });
            if let Err(error) = kept {
                self.put_back(|| lines.iter().filter_map(|line| line.cast_into().ok()));
                return Err(error);
            }
        }
        Ok(lines)
    }

    /// Returns the bytes of the body that the application has not read.
    fn left(&self) -> u64 {
        self.source.left().saturating_add(self.window.len() as u64)
    }

    fn take_window<'py>(&mut self, py: Python<'py>, len: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = copy(py, &self.window[..len])?;
        self.window.advance(len);
        // A few bytes must not keep all the memory of a long line.
        let is_in_memory = matches!(self.source, Source::Memory(_));
        if !is_in_memory && len > WINDOW_BYTES && self.window.len() <= WINDOW_BYTES {
            self.window = Bytes::copy_from_slice(&self.window);
        }
        Ok(bytes)
    }

    /// Fills `bytes` from the source, which has as many left.
    fn fill(&mut self, bytes: &mut BytesWriter) -> Result<(), InputFailure> {
        while !bytes.is_full() {
            let count = self.receive(bytes.room(MAX_RECEIVED_BYTES))?;
            bytes.advance(count);
        }
        Ok(())
    }

    /// Makes the window hold a line that is not all in it, or `want` bytes of that line, and
    /// returns how many those are. What had come before a failure is in the window, too.
    fn collect_line(&mut self, want: u64) -> Result<usize, CollectError> {
        let mut line = Vec::new();
        line.try_reserve(self.window.len() + WINDOW_BYTES)
            .map_err(|_| CollectError::OutOfMemory)?;
        line.extend_from_slice(&mem::take(&mut self.window));
        let collected = loop {
            let searched = line.len();
            if line.try_reserve(WINDOW_BYTES).is_err() {
                break Err(CollectError::OutOfMemory);
            }
            line.resize(searched + WINDOW_BYTES, 0);
            let received = self.receive(&mut line[searched..]);
            line.truncate(searched + *received.as_ref().unwrap_or(&0));
            if let Err(failure) = received {
                break Err(failure.into());
            }
            if let Some(len) = line_len(&line, searched, want) {
                break Ok(len);
            }
        };
        self.window = Bytes::from(line);
        collected
    }

    fn receive(&mut self, buf: &mut [u8]) -> Result<usize, InputFailure> {
        let result = self.source.receive(buf, self.expected);
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// Puts lines back in front of what is in memory. They are lost where there is no room
    /// for that, as with Python's own files.
    fn put_back<'py, L>(&mut self, lines: impl Fn() -> L)
    where
        L: Iterator<Item = Bound<'py, PyBytes>>,
    {
        let len: usize = lines().map(|line| line.as_bytes().len()).sum();
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(len + self.window.len()).is_ok() {
            lines().for_each(|line| bytes.extend_from_slice(line.as_bytes()));
            bytes.extend_from_slice(&self.window);
            self.window = Bytes::from(bytes);
        }
    }
}

/// Why bytes could not be collected.
enum CollectError {
    Input(InputFailure),
    OutOfMemory,
}

impl CollectError {
    fn into_exception(self) -> PyErr {
        match self {
            Self::Input(failure) => failure.to_exception(),
            Self::OutOfMemory => PyMemoryError::new_err(()),
        }
    }
}

impl From<InputFailure> for CollectError {
    fn from(failure: InputFailure) -> Self {
        Self::Input(failure)
    }
}

/// Returns the length of the line that `bytes` begin with, if they hold all of it that is
/// wanted. There is no end of it in the first `searched` ones.
fn line_len(bytes: &[u8], searched: usize, want: u64) -> Option<usize> {
    let want = usize::try_from(want).unwrap_or(usize::MAX);
    match memchr(b'\n', &bytes[searched..bytes.len().min(want)]) {
        Some(newline) => Some(searched + newline + 1),
        None if want <= bytes.len() => Some(want),
        None => None,
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
const MAX_RECEIVED_BYTES: usize = 256 * 1024;

/// What `readline` receives at once.
const WINDOW_BYTES: usize = 16 * 1024;
