//! Environment variables of this process. They are changed through Python: its `os.environ` is
//! a copy of the C library's, and child processes inherit it.

use std::ffi::OsStr;

use pyo3::prelude::*;
use tracing::warn;

use crate::config::Environment;

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

/// Sets the application's variables in a process that is already running, where there is no launcher that
/// begins with them.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn set_for_application(py: Python<'_>, environment: &Environment) -> PyResult<()> {
    let variables: Vec<_> = environment.iter().collect();
    set(py, &variables)?;
    if variables.iter().any(|(name, _)| *name == "TZ") {
        // Python's documentation of time.tzset().
        py.import("time")?.call_method0("tzset")?;
    }
    Ok(())
}

/// Warns of variables that are set too late in a process that is already running.
pub(crate) fn warn_of_what_is_read_early(environment: &Environment) {
    for (name, _) in environment.iter() {
        if READ_EARLY.iter().any(|prefix| name.starts_with(prefix)) {
            warn!(
                name,
                "has no effect in this process, because it is read before scoter begins: with a \
                 master process it has, or set it where scoter is started"
            );
        }
    }
}

/// What the dynamic linker, the C library and the interpreter read when a program begins: ld.so(8),
/// mallopt(3), "Environment variables" of Python's command line.
const READ_EARLY: [&str; 4] = ["LD_", "MALLOC_", "GLIBC_TUNABLES", "PYTHON"];

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
