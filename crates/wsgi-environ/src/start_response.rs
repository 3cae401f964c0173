use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::{
    PyAssertionError, PyBrokenPipeError, PyRuntimeError, PyTimeoutError, PyTypeError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTraceback, PyTuple};

use crate::checkout::{Checkout, Unavailable};
use crate::response::{Response, SendError};
use crate::text::type_name;
use crate::vectored_send::PeerError;

/// `start_response`: takes status and headers and returns `write`.
///
/// Checks its arguments when it is called, and changes nothing if a check fails:
/// `TypeError` for what is not a `str`, `list`, pair or latin-1, `ValueError` for
/// text that would break the response. A second call without `exc_info` raises
/// `AssertionError`. With `exc_info` it replaces the first while nothing has been
/// sent, and re-raises the given exception after that. After the end of the request
/// it raises `RuntimeError`.
#[pyclass(frozen, module = "scoter")]
pub struct StartResponse {
    response: Arc<Checkout<Response>>,
    write: Py<Write>,
}

impl StartResponse {
    pub(crate) fn new(py: Python<'_>, response: Response) -> PyResult<Bound<'_, Self>> {
        let response = Arc::new(Checkout::new(response));
        let write = Write {
            response: Arc::clone(&response),
        };
        let write = Py::new(py, write)?;
        Bound::new(py, Self { response, write })
    }

    /// Reuses a finished object, to which no other reference exists, for another request.
    pub(crate) fn reset(&self, response: Response) {
        self.response.put(response);
    }

    /// Returns the result of the application's call.
    pub(crate) fn write<'py>(&self, py: Python<'py>) -> &Bound<'py, Write> {
        self.write.bind(py)
    }

    /// Works on the response for the server, waiting for an application's thread
    /// that is just sending a part of it, but not for its next one.
    pub(crate) fn with_response<R>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Response) -> R,
    ) -> Option<R> {
        self.response.with_waiting(py, work)
    }

    /// Ends the request: takes the response away for ever, as soon as a part that
    /// is just being sent has left. `None` if that, or a panic, was done before.
    pub(crate) fn finish(&self, py: Python<'_>) -> Option<Response> {
        self.response.take_waiting(py)
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, response_headers, exc_info=None))]
    fn __call__(
        &self,
        status: &Bound<'_, PyAny>,
        response_headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<Write>> {
        let exc_info = match exc_info {
            Some(exc_info) if exc_info.is_truthy()? => Some(exc_info),
            _ => None,
        };
        let outcome = self.response.with(|response| match exc_info {
            // PEP 3333: "it is a fatal error to call start_response without the
            // exc_info argument if start_response has already been called".
            None if response.is_started() => Ok(Outcome::CalledTwice),
            // "However, if exc_info is provided, and the HTTP headers have
            // already been sent, start_response must raise an error, and should
            // re-raise using the exc_info tuple."
            Some(exc_info) if response.is_sealed() => Ok(Outcome::TooLate(exc_info)),
            _ => response
                .start(status, response_headers)
                .map(|()| Outcome::Started),
        });
        match outcome.map_err(|reason| unavailable("start_response()", reason))?? {
            Outcome::Started => Ok(self.write.clone_ref(status.py())),
            Outcome::CalledTwice => Err(PyAssertionError::new_err(
                "start_response() called twice without exc_info",
            )),
            Outcome::TooLate(exc_info) => Err(exception_of(exc_info)),
        }
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartResponse").finish_non_exhaustive()
    }
}

/// The result of a call of `start_response`.
enum Outcome<'a, 'py> {
    Started,
    CalledTwice,
    TooLate(&'a Bound<'py, PyAny>),
}

/// The `write` callable that `start_response` returns.
///
/// Sends bytes immediately, preceded by the head the first time they are not empty,
/// and waits while the client is slow. Raises `TypeError` for anything but `bytes`,
/// `BrokenPipeError` if the client has disconnected, `TimeoutError` if it accepted
/// nothing until the write deadline, `RuntimeError` after the end of the request or
/// while another thread writes.
#[pyclass(frozen, module = "scoter")]
pub struct Write {
    response: Arc<Checkout<Response>>,
}

#[pymethods]
impl Write {
    fn __call__(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data.cast::<PyBytes>().map_err(|_| {
            PyTypeError::new_err(format!("write() takes bytes, not {}", type_name(data)))
        })?;
        self.response
            .with(|response| response.send(data.py(), data, None))
            .map_err(|reason| unavailable("write()", reason))?
            .map(drop)
            .map_err(|error| match error {
                SendError::Peer(PeerError::Gone) => {
                    PyBrokenPipeError::new_err("the client disconnected")
                }
                SendError::Peer(PeerError::Stalled) => {
                    PyTimeoutError::new_err("the client did not accept the response in time")
                }
                // There is no `write` before `start_response` was called.
                SendError::NotStarted => PyRuntimeError::new_err("start_response() was not called"),
            })
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}

fn unavailable(function: &str, reason: Unavailable) -> PyErr {
    PyRuntimeError::new_err(match reason {
        Unavailable::CheckedOut => format!("{function} called while another thread is sending"),
        Unavailable::Gone => format!("{function} called after the end of the request"),
    })
}

/// Converts `exc_info` to its exception.
fn exception_of(exc_info: &Bound<'_, PyAny>) -> PyErr {
    let py = exc_info.py();
    let parts = exc_info
        .cast::<PyTuple>()
        .ok()
        .filter(|tuple| tuple.len() == 3)
        .and_then(|tuple| Some((tuple.get_item(1).ok()?, tuple.get_item(2).ok()?)));
    let Some((value, traceback)) = parts else {
        return PyTypeError::new_err(format!(
            "exc_info must be a (type, value, traceback) tuple, not {}",
            type_name(exc_info)
        ));
    };
    let error = PyErr::from_value(value);
    if let Ok(traceback) = traceback.cast_into::<PyTraceback>() {
        error.set_traceback(py, Some(traceback));
    }
    error
}
