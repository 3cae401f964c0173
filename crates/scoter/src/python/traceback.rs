//! Exceptions as Python prints them.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Formats an exception as Python itself would print it, causes included, on lines of its own.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let formatted = || {
        let lines = py.import("traceback")?.call_method1(
            "format_exception",
            (error.get_type(py), error.value(py), error.traceback(py)),
        )?;
        let mut text = String::new();
        for line in lines.try_iter()? {
            // A message may contain lone surrogates, for instance from a file name.
            text.push_str(&line?.cast::<PyString>()?.to_string_lossy());
        }
        PyResult::Ok(text)
    };
    match formatted() {
        Ok(text) => format!("\n{}", text.trim_end()),
        // No memory or no descriptors, or the application has replaced the module.
        Err(_) => format!("\n{error}"),
    }
}
