//! What is on `sys.path`, from the Python that starts the server to those that it starts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use serde::{Deserialize, Serialize};

/// The entries of `sys.path`, in their order. Scripts extend it before they call scoter:
/// those of zc.buildout, shiv and pex, and zip archives are on it themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchPath(Vec<OsString>);

impl SearchPath {
    /// What this interpreter has there, but for the folder of the command `scoter`, which
    /// holds nothing to import.
    ///
    /// # Errors
    ///
    /// Those of Python, where `sys.path` is no list.
    pub(crate) fn of_interpreter(py: Python<'_>) -> PyResult<Self> {
        let mut path = Self::now(py)?;
        let arguments = py.import("sys")?.getattr("argv")?;
        let script: Option<PathBuf> = arguments.get_item(0).and_then(|it| it.extract()).ok();
        let script = script.filter(|path| path.file_name().is_some_and(|name| name == COMMAND));
        // Python looks for the file behind a link.
        let script = script.and_then(|path| path.canonicalize().ok());
        if let Some(folder) = script.as_deref().and_then(Path::parent) {
            if path.0.first().is_some_and(|first| first == folder) {
                path.0.remove(0);
            }
        }
        Ok(path)
    }

    /// Puts it in place of what this interpreter has found, which follows: what has been
    /// installed meanwhile is found, too.
    ///
    /// # Errors
    ///
    /// Those of Python, where `sys.path` is no list.
    pub(crate) fn apply(self, py: Python<'_>) -> PyResult<()> {
        let path = self.followed_by(Self::now(py)?);
        let list = list(py)?;
        list.del_slice(0, list.len())?;
        path.0.iter().try_for_each(|entry| list.append(entry))
    }

    /// This one, and behind it what only `other` has.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        for entry in other.0 {
            if !self.0.contains(&entry) {
                self.0.push(entry);
            }
        }
        self
    }

    fn now(py: Python<'_>) -> PyResult<Self> {
        // Python skips what is no text, too.
        let entries = list(py)?.iter();
        let texts = entries.filter(|entry| entry.is_instance_of::<PyString>());
        texts
            .map(|entry| entry.extract())
            .collect::<PyResult<_>>()
            .map(Self)
    }
}

fn list(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    Ok(py.import("sys")?.getattr("path")?.cast_into()?)
}

/// The name of the script that the package installs.
const COMMAND: &str = "scoter";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_the_start_comes_first_and_once() {
        let path = |entries: &[&str]| SearchPath(entries.iter().map(OsString::from).collect());
        let (given, found) = (
            path(&["/eggs", "/lib", "/site"]),
            path(&["/lib", "/site", "/new"]),
        );
        assert_eq!(
            given.followed_by(found),
            path(&["/eggs", "/lib", "/site", "/new"])
        );
    }
}
