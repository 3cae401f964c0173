//! `sys.path`, read from the Python that starts the server and set in those that it starts.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::program::SearchPath;

/// Removes the directory of the command, which has no modules, so that every command finds
/// the same modules in every process.
///
/// # Errors
///
/// Those of Python, if `sys.path` is not a list.
pub(crate) fn leave_out_command(py: Python<'_>) -> PyResult<()> {
    let arguments = py.import("sys")?.getattr("argv")?;
    let script: Option<PathBuf> = arguments.get_item(0).and_then(|it| it.extract()).ok();
    let is_command = |name: &OsStr| COMMANDS.iter().any(|command| name == *command);
    let script = script.filter(|path| path.file_name().is_some_and(is_command));
    // Python resolves links to the script.
    let script = script.and_then(|path| path.canonicalize().ok());
    if let Some(folder) = script.as_deref().and_then(Path::parent) {
        let list = list(py)?;
        let first = list
            .get_item(0)
            .and_then(|first| first.extract::<PathBuf>());
        if first.is_ok_and(|first| first == folder) {
            list.del_item(0)?;
        }
    }
    Ok(())
}

/// Sets `path`, followed by this interpreter's own entries, so that packages installed meanwhile
/// are found, too.
///
/// # Errors
///
/// Those of Python, if `sys.path` is not a list.
pub(crate) fn apply(path: SearchPath, py: Python<'_>) -> PyResult<()> {
    let path = path.followed_by(now(py)?);
    let list = list(py)?;
    list.del_slice(0, list.len())?;
    path.entries.iter().try_for_each(|entry| list.append(entry))
}

/// This interpreter's `sys.path`.
///
/// # Errors
///
/// Those of Python, if `sys.path` is not a list.
pub(crate) fn now(py: Python<'_>) -> PyResult<SearchPath> {
    // Python, too, skips entries that are not strings.
    let entries = list(py)?.iter();
    let texts = entries.filter(|entry| entry.is_instance_of::<PyString>());
    let entries = texts.map(|entry| entry.extract());
    // Missing only if the library is in an archive or in the program itself.
    let file = py.import("os")?.getattr_opt("__file__")?;
    let file = file.and_then(|file| file.extract::<PathBuf>().ok());
    Ok(SearchPath {
        entries: entries.collect::<PyResult<_>>()?,
        library: file.as_deref().and_then(Path::parent).map(Path::to_owned),
    })
}

fn list(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    Ok(py.import("sys")?.getattr("path")?.cast_into()?)
}

/// The name of the script that the package installs, and that of a link in the place of uWSGI.
const COMMANDS: [&str; 2] = ["scoter", "uwsgi"];
