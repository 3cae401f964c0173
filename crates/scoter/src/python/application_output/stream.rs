//! The binary stream below `sys.stderr` and `sys.stdout`.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;

use crate::log::{StandardStream, application_output, flush_application_output};

/// A binary stream whose lines become records of the server's log. `io.TextIOWrapper` makes a text
/// stream of it.
#[pyclass(frozen, module = "scoter")]
#[derive(Debug)]
pub(crate) struct OutputStream {
    stream: StandardStream,
}

impl OutputStream {
    pub(super) fn of(stream: StandardStream) -> Self {
        Self { stream }
    }

    pub(super) fn stream(&self) -> StandardStream {
        self.stream
    }
}

#[pymethods]
impl OutputStream {
    /// Writes bytes and returns their number.
    fn write(&self, py: Python<'_>, bytes: &Bound<'_, PyAny>) -> PyResult<usize> {
        let bytes = PyBuffer::<u8>::get(bytes)?.to_vec(py)?;
        py.detach(|| application_output(self.stream, &bytes));
        Ok(bytes.len())
    }

    /// Writes each of the byte strings.
    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(py, &line?)?;
        }
        Ok(())
    }

    /// Ends the line that this thread has begun.
    fn flush(&self, py: Python<'_>) {
        py.detach(|| flush_application_output(self.stream));
    }

    /// As `flush`: the stream is the server's.
    fn close(&self, py: Python<'_>) {
        self.flush(py);
    }

    /// For programs that the application starts: what they print is no JSON.
    fn fileno(&self) -> i32 {
        match self.stream {
            StandardStream::Output => 1,
            StandardStream::Error => 2,
        }
    }

    #[getter]
    fn name(&self) -> &'static str {
        match self.stream {
            StandardStream::Output => "<stdout>",
            StandardStream::Error => "<stderr>",
        }
    }

    #[getter]
    fn mode(&self) -> &'static str {
        "wb"
    }

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn isatty(&self) -> bool {
        false
    }

    fn readable(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn seekable(&self) -> bool {
        false
    }
}
