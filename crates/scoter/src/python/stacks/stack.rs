//! The calls of one thread.

use std::fmt::Write as _;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::python::request_timeout::PythonThread;

/// One thread's calls, the most recent first.
pub(super) struct Stack<'py> {
    pub(super) thread: PythonThread,
    pub(super) calls: Vec<Call<'py>>,
    /// Whether outer calls have been left out.
    cut: bool,
}

/// A function and its current line.
pub(super) struct Call<'py> {
    pub(super) file: Bound<'py, PyAny>,
    pub(super) line: Bound<'py, PyAny>,
    pub(super) function: Bound<'py, PyAny>,
    globals: Bound<'py, PyAny>,
}

impl<'py> Stack<'py> {
    pub(super) fn read(thread: PythonThread, frame: Bound<'py, PyAny>) -> PyResult<Self> {
        let mut calls = Vec::new();
        let mut next = Some(frame);
        while let Some(frame) = next.take_if(|_| calls.len() < MAX_CALLS) {
            let code = frame.getattr("f_code")?;
            calls.push(Call {
                file: code.getattr("co_filename")?,
                line: frame.getattr("f_lineno")?,
                function: code.getattr("co_name")?,
                globals: frame.getattr("f_globals")?,
            });
            let back = frame.getattr("f_back")?;
            next = Some(back).filter(|back| !back.is_none());
        }
        Ok(Self {
            thread,
            calls,
            cut: next.is_some(),
        })
    }

    pub(super) fn name(&self, py: Python<'_>) -> String {
        thread_name(py, self.thread).unwrap_or_else(|_| "unknown to threading".into())
    }

    /// Whether a slot's thread executes no Python: not a signal handler either, nor a `__del__`. Its
    /// calls are then those that have started it, in `threading` or in scoter's own Python code.
    pub(super) fn waits_in_scoter(&self) -> bool {
        let Some(call) = self.calls.first() else {
            return true;
        };
        let module = call.globals.get_item("__name__");
        let module = module.map(|name| lossy(&name)).unwrap_or_default();
        matches!(
            (&*module, &*lossy(&call.function)),
            ("threading", "run") | ("scoter.__main__", _) | ("__main__", MODULE | "main")
        )
    }

    pub(super) fn write(&self, py: Python<'_>, whose: Option<&str>, text: &mut String) {
        let name = self.name(py);
        let mark = whose.map_or_else(String::new, |whose| format!(", the {whose}'s"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\nThread {name}{mark} (most recent call last):");
        if self.cut {
            let _ = writeln!(text, "  […]");
        }
        for call in self.calls.iter().rev() {
            let (file, function) = (lossy(&call.file), lossy(&call.function));
            let _ = writeln!(text, "  File \"{file}\", line {}, in {function}", call.line);
            if let Some(source) = call.source(py) {
                let _ = writeln!(text, "    {source}");
            }
        }
    }
}

impl Call<'_> {
    /// The source line, if its file is available.
    fn source(&self, py: Python<'_>) -> Option<String> {
        let arguments = (&self.file, &self.line, &self.globals);
        let linecache = py.import("linecache").ok()?;
        let line = linecache.call_method1("getline", arguments).ok()?;
        let line = lossy(&line);
        let line = line.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

/// The thread's name, without `threading.enumerate()`, whose lock that thread may hold.
fn thread_name(py: Python<'_>, thread: PythonThread) -> PyResult<String> {
    let threads = py.import("threading")?.getattr("_active")?;
    let name = threads.get_item(thread.0)?.getattr("name")?;
    Ok(lossy(&name))
}

pub(super) fn lossy(text: &Bound<'_, PyAny>) -> String {
    match text.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from("?"),
    }
}

/// Python's name for the code of a module.
pub(super) const MODULE: &str = "<module>";

/// Calls of a thread that are reported; as many as `faulthandler` reports.
const MAX_CALLS: usize = 100;
