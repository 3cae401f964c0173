//! Where a thread is, in one line.

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::stack::{Call, MODULE, Stack, lossy};
use crate::python::request_timeout::PythonThread;

/// Where a thread is, for the log: the line of the module being imported, rather than of a function
/// called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: String,
    line: String,
}

impl Place {
    /// Examines a thread; `None` if it does not execute Python.
    ///
    /// # Errors
    ///
    /// Those of Python, such as having no memory.
    pub(crate) fn of(py: Python<'_>, thread: PythonThread) -> PyResult<Option<Self>> {
        let frames = py.import("sys")?.call_method0("_current_frames")?;
        let Some(frame) = frames.cast::<PyDict>()?.get_item(thread.0)? else {
            return Ok(None);
        };
        let stack = Stack::read(thread, frame)?;
        let is_module = |call: &&Call<'_>| lossy(&call.function) == MODULE;
        let call = stack.calls.iter().find(is_module);
        Ok(call.or_else(|| stack.calls.first()).map(|call| Self {
            file: lossy(&call.file),
            line: call.line.to_string(),
        }))
    }

    /// Finds the place in a dump of `faulthandler`.
    pub(crate) fn in_dump(text: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let line = line.trim().strip_suffix(MODULE)?.strip_suffix(" in ")?;
            let (file, line) = line.strip_prefix("File \"")?.rsplit_once("\", line ")?;
            Some(Self {
                file: file.to_owned(),
                line: line.to_owned(),
            })
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_the_module_that_is_imported() {
        let dump = "Thread 0x00007f (most recent call first):\n  \
                      File \"/srv/helper.py\", line 3 in hang\n  \
                      File \"/srv/a \", line 1.py\", line 2 in <module>\n  \
                      File \"<frozen importlib._bootstrap>\", line 241 in _call_with_frames_removed\n  \
                      File \"/srv/outer.py\", line 7 in <module>\n";
        let place = Place::in_dump(dump).map(|place| place.to_string());
        assert_eq!(place.as_deref(), Some("/srv/a \", line 1.py:2"));
        assert_eq!(Place::in_dump("no frames"), None);
    }
}
