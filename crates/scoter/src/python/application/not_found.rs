//! The application of the paths at which none is mounted.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyList, PyTuple};

/// An application that answers every request with 404.
///
/// # Errors
///
/// Those of Python.
pub(super) fn not_found(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let answer = |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let py = arguments.py();
        let length = BODY.len().to_string();
        let headers = PyList::new(
            py,
            [("Content-Type", "text/plain"), ("Content-Length", &length)],
        )?;
        let start_response = arguments.get_item(1)?;
        start_response.call1(("404 Not Found", headers))?;
        PyList::new(py, [PyBytes::new(py, BODY)]).map(Bound::unbind)
    };
    let function = PyCFunction::new_closure(py, Some(c"not_found"), None, answer)?;
    Ok(function.into_any().unbind())
}

const BODY: &[u8] = b"Not Found";
