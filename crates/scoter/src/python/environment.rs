//! Environment variables of this process. They are changed through Python: its `os.environ` is
//! a copy of the C library's, and child processes inherit it.

use std::ffi::OsStr;

use pyo3::prelude::*;

/// Sets variables.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn set<V: AsRef<OsStr>>(py: Python<'_>, variables: &[(&str, V)]) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    for (name, value) in variables {
        environ.set_item(*name, value.as_ref())?;
    }
    Ok(())
}

/// Removes variables, if they are set.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn remove(py: Python<'_>, names: &[&str]) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    for name in names {
        environ.call_method1("pop", (*name, py.None()))?;
    }
    Ok(())
}
