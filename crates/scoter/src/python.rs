//! Small things every part that touches Python needs.

use pyo3::prelude::*;

/// Formats an exception as Python itself would print it, causes included, on lines of its own.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let formatted = || {
        let lines = py.import("traceback")?.call_method1(
            "format_exception",
            (error.get_type(py), error.value(py), error.traceback(py)),
        )?;
        lines.extract::<Vec<String>>()
    };
    match formatted() {
        Ok(lines) => format!("\n{}", lines.concat().trim_end()),
        // Its own __str__ may be what fails.
        Err(_) => format!("\n{}", error.get_type(py)),
    }
}
