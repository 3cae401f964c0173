//! A WSGI application that shows a page.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyList, PyTuple};

use super::page::{Audience, Page};

/// An application that answers every request with the page.
///
/// # Errors
///
/// Those of Python.
pub(super) fn stand_in(py: Python<'_>, page: Page) -> PyResult<Py<PyAny>> {
    let answer = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let py = arguments.py();
        let environ = arguments.get_item(0)?.cast_into::<PyDict>()?;
        let variable = |name: &str| -> PyResult<String> {
            let value = environ.get_item(name)?;
            Ok(value
                .and_then(|value| value.extract().ok())
                .unwrap_or_default())
        };
        let audience = Audience::new(&variable("HTTP_ACCEPT")?, &variable("HTTP_HOST")?);
        let (kind, body) = page.body(audience);
        let headers = PyList::new(
            py,
            [
                ("Content-Type", kind),
                ("Cache-Control", "no-store"),
                ("Content-Security-Policy", Page::POLICY),
            ],
        )?;
        arguments
            .get_item(1)?
            .call1(("500 Internal Server Error", headers))?;
        PyList::new(py, [PyBytes::new(py, body.as_bytes())]).map(Bound::unbind)
    };
    let function = PyCFunction::new_closure(py, Some(c"stand_in"), None, answer)?;
    Ok(function.into_any().unbind())
}
