//! `wsgi.input`: the request body as a file object.

mod body;
mod bytes_writer;
mod failure;
mod reader;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice};
use pyo3::{import_exception, intern};

pub use self::body::Body;
pub use self::failure::{InputEnd, InputFailure};
use self::reader::Reader;
use crate::checkout::{Checkout, Unavailable};

/// `wsgi.input`: the body of one request.
///
/// Provides what PEP 3333 requires, sizes included, and what `io.BufferedReader`
/// and `io.TextIOWrapper` need to wrap it. It never reads past the end of the body;
/// there it returns `b""`. If the body is complete, in memory or in a file, `seek`
/// and `tell` work as on `io.BytesIO`; otherwise `seekable()` is False, and both
/// raise `io.UnsupportedOperation`.
///
/// A read returns all it was asked for or raises: `ConnectionResetError` if the
/// client sent less than it announced, `TimeoutError` after the body deadline, both
/// `OSError`. What had arrived is not lost: a later read returns it. After the end
/// of the request a read raises `ValueError`, as on any closed file; while another
/// thread reads, `RuntimeError`.
#[pyclass(frozen, module = "scoter")]
#[derive(Debug)]
pub struct Input {
    reader: Checkout<Reader>,
}

impl Input {
    /// Creates the object for one request.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub fn new(py: Python<'_>, body: Body) -> PyResult<Bound<'_, Self>> {
        let reader = Checkout::new(Reader::new(body));
        Bound::new(py, Self { reader })
    }

    /// Reuses a finished object, to which no other reference exists, for another request.
    pub(crate) fn reset(&self, body: Body) {
        self.reader.put(Reader::new(body));
    }

    /// Detaches the object from the connection permanently and returns what is left.
    ///
    /// Later calls return that nothing is left.
    pub fn finish(&self) -> InputEnd {
        match self.reader.take() {
            Ok(reader) => InputEnd {
                unread: reader.unread(),
                busy: false,
                failed: reader.into_failure(),
            },
            Err(reason) => InputEnd {
                busy: reason == Unavailable::CheckedOut,
                ..InputEnd::default()
            },
        }
    }

    fn with_reader<T>(&self, work: impl FnOnce(&mut Reader) -> PyResult<T>) -> PyResult<T> {
        self.reader.with(work).unwrap_or_else(|reason| {
            Err(match reason {
                Unavailable::CheckedOut => {
                    PyRuntimeError::new_err("wsgi.input is being read by another thread")
                }
                Unavailable::Gone => PyValueError::new_err("wsgi.input: the request is over"),
            })
        })
    }
}

#[pymethods]
impl Input {
    /// Returns `size` bytes, fewer only at the end of the body; all that is left
    /// when `size` is None or negative.
    #[pyo3(signature = (size=None))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.with_reader(|reader| reader.read(py, Limit::of(size)))
    }

    /// Returns the next line with its b"\n", or `size` bytes of it if it is longer.
    #[pyo3(signature = (size=None))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.with_reader(|reader| reader.read_line(py, Limit::of(size)))
    }

    /// Returns the remaining lines, or as many as make up `hint` bytes.
    #[pyo3(signature = (hint=None))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        // As in io.IOBase, a hint of 0 is none.
        let hint = Limit::of(hint.filter(|&hint| hint != 0));
        self.with_reader(|reader| reader.read_lines(py, hint))
    }

    /// Fills a writable buffer and returns the number of bytes, fewer than its
    /// length only at the end of the body.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = PyMemoryView::from(buffer)?;
        if view.getattr(intern!(py, "readonly"))?.is_truthy()? {
            return Err(PyTypeError::new_err("readinto() needs a writable buffer"));
        }
        let view = view.call_method1(intern!(py, "cast"), (intern!(py, "B"),))?;
        let size = i64::try_from(view.len()?)?;
        let bytes = self.with_reader(|reader| reader.read(py, Limit::of(Some(size))))?;
        let len = bytes.as_bytes().len();
        view.set_item(PySlice::new(py, 0, isize::try_from(len)?, 1), bytes)?;
        Ok(len)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.with_reader(|reader| reader.read_line(py, Limit::None))?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }

    /// Does nothing: only the server closes the stream. Wrappers from `io` call it
    /// when they are garbage-collected.
    fn close(&self) {}

    /// Does nothing: there is nothing to write. Wrappers from `io` call it before
    /// they close.
    fn flush(&self) {}

    /// Whether the request is over.
    #[getter]
    fn closed(&self) -> bool {
        self.reader.is_gone()
    }

    /// True.
    fn readable(&self) -> bool {
        true
    }

    /// False.
    fn writable(&self) -> bool {
        false
    }

    /// Whether the body is complete, so that `seek()` and `tell()` work.
    fn seekable(&self) -> bool {
        self.reader.with(|reader| reader.is_seekable()) == Ok(true)
    }

    /// Returns the position: how many bytes of the body precede the next one.
    fn tell(&self) -> PyResult<u64> {
        self.with_reader(|reader| {
            is_seekable(reader, "tell")?;
            Ok(reader.position())
        })
    }

    /// Changes the position and returns it: `offset` counts from the start, with
    /// `whence` 1 from the current position, with 2 from the end.
    #[pyo3(signature = (offset, whence=0))]
    fn seek(&self, offset: i64, whence: i64) -> PyResult<u64> {
        self.with_reader(|reader| {
            is_seekable(reader, "seek")?;
            let base = match whence {
                // As in io.BytesIO, whose message this is.
                0 if offset < 0 => {
                    return Err(PyValueError::new_err(format!(
                        "negative seek value {offset}"
                    )));
                }
                0 => 0,
                1 => reader.position(),
                2 => reader.len(),
                _ => {
                    return Err(PyValueError::new_err(format!(
                        "invalid whence ({whence}, should be 0, 1 or 2)"
                    )));
                }
            };
            reader.seek(base.saturating_add_signed(offset));
            Ok(reader.position())
        })
    }
}

fn is_seekable(reader: &Reader, function: &str) -> PyResult<()> {
    if reader.is_seekable() {
        return Ok(());
    }
    Err(UnsupportedOperation::new_err(format!(
        "wsgi.input: {function}() needs a complete body, and this one is read as it arrives"
    )))
}

import_exception!(io, UnsupportedOperation);

/// How many bytes a read may return.
#[derive(Clone, Copy, Debug)]
enum Limit {
    None,
    Bytes(u64),
}

impl Limit {
    /// Reads a size as Python's files do: None and negative numbers are no limit.
    fn of(size: Option<i64>) -> Self {
        match size.map(u64::try_from) {
            Some(Ok(bytes)) => Self::Bytes(bytes),
            Some(Err(_)) | None => Self::None,
        }
    }

    fn cap(self, left: u64) -> u64 {
        match self {
            Self::None => left,
            Self::Bytes(bytes) => left.min(bytes),
        }
    }
}
