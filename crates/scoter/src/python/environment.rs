//! Environment variables of this process: changed through Python, whose `os.environ` is a copy
//! of what the C library has, and is what everything that is started next inherits.

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

/// Removes variables, as far as they are there.
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
