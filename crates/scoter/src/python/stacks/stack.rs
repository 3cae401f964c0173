//! The calls of one thread.

use std::fs;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::control::{Call as Described, ThreadStack};
use crate::python::request_timeout::PythonThread;

/// One thread's calls, the most recent first.
pub(crate) struct Stack<'py> {
    pub(super) thread: PythonThread,
    pub(super) calls: Vec<Call<'py>>,
    /// Outer calls that have been left out, counted up to [`MAX_COUNTED`].
    pub(super) left_out: usize,
}

/// A function and its current line.
pub(super) struct Call<'py> {
    pub(super) file: Bound<'py, PyAny>,
    pub(super) line: Bound<'py, PyAny>,
    pub(super) function: Bound<'py, PyAny>,
    globals: Bound<'py, PyAny>,
}

/// The stacks of all threads that are `wanted`, except the calling one. No Python code runs
/// meanwhile: other threads could continue then.
///
/// # Errors
///
/// Those of Python, such as having no memory.
pub(crate) fn stacks_of<'py>(
    py: Python<'py>,
    wanted: impl Fn(PythonThread) -> bool,
) -> PyResult<Vec<Stack<'py>>> {
    let here = PythonThread::current(py);
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let mut stacks = Vec::new();
    for (ident, frame) in frames.cast_into::<PyDict>()? {
        let thread = PythonThread(ident.extract()?);
        if thread != here && wanted(thread) {
            stacks.push(Stack::read(thread, frame)?);
        }
    }
    Ok(stacks)
}

impl<'py> Stack<'py> {
    pub(super) fn read(thread: PythonThread, frame: Bound<'py, PyAny>) -> PyResult<Self> {
        let mut calls = Vec::new();
        let mut left_out = 0;
        let mut next = Some(frame);
        while let Some(frame) = next.take_if(|_| left_out < MAX_COUNTED) {
            if calls.len() < MAX_CALLS {
                let code = frame.getattr("f_code")?;
                calls.push(Call {
                    file: code.getattr("co_filename")?,
                    line: frame.getattr("f_lineno")?,
                    function: code.getattr("co_name")?,
                    globals: frame.getattr("f_globals")?,
                });
            } else {
                left_out += 1;
            }
            let back = frame.getattr("f_back")?;
            next = Some(back).filter(|back| !back.is_none());
        }
        Ok(Self {
            thread,
            calls,
            left_out,
        })
    }

    pub(crate) fn thread(&self) -> PythonThread {
        self.thread
    }

    /// The thread's name, if `threading` knows it: without `threading.enumerate()`, whose lock that
    /// thread may hold.
    pub(crate) fn name(&self, py: Python<'_>) -> Option<String> {
        let threads = py.import("threading").ok()?.getattr("_active").ok()?;
        let name = threads.get_item(self.thread.0).ok()?.getattr("name").ok()?;
        Some(lossy(&name))
    }

    /// Whether a slot's thread executes no Python: not a signal handler either, nor a `__del__`. Its
    /// calls are then those that have started it, in `threading` or in scoter's own Python code.
    pub(crate) fn waits_in_scoter(&self) -> bool {
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

    /// The stack without the text of its lines, which may have to be read from a disk.
    pub(crate) fn describe(&self, py: Python<'_>) -> ThreadStack {
        ThreadStack {
            name: self.name(py).map(cut),
            ident: Some(self.thread.0),
            slot: None,
            calls: self.calls.iter().rev().map(Call::describe).collect(),
            calls_left_out: self.left_out as u64,
        }
    }

    /// Adds the text of the lines to what [`Stack::describe`] has made.
    pub(crate) fn add_sources(&self, py: Python<'_>, described: &mut ThreadStack) {
        for (call, described) in self.calls.iter().rev().zip(&mut described.calls) {
            described.source = call.source(py).map(cut);
        }
    }
}

impl Call<'_> {
    fn describe(&self) -> Described {
        Described {
            file: cut(lossy(&self.file)),
            line: self.line.extract().ok(),
            function: cut(lossy(&self.function)),
            source: None,
        }
    }

    /// The source line, if its file is available.
    fn source(&self, py: Python<'_>) -> Option<String> {
        // Whoever opens a named pipe or a terminal waits for others. Code without a file may have a
        // loader that knows its source.
        let path: PathBuf = self.file.extract().ok()?;
        let is_special = || fs::metadata(path).is_ok_and(|it| !it.is_file());
        if py.detach(is_special) {
            return None;
        }
        let arguments = (&self.file, &self.line, &self.globals);
        let linecache = py.import("linecache").ok()?;
        let line = linecache.call_method1("getline", arguments).ok()?;
        let line = lossy(&line);
        let line = line.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

pub(super) fn lossy(text: &Bound<'_, PyAny>) -> String {
    match text.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from("?"),
    }
}

/// Shortens what would make a stack unreadable: generated names, lines of minified code.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Python's name for the code of a module.
pub(super) const MODULE: &str = "<module>";

/// Calls of a thread that are reported; as many as `faulthandler` reports.
const MAX_CALLS: usize = 100;

/// Calls beyond these that are counted.
const MAX_COUNTED: usize = 10_000;

/// Characters of a name, a path or a line; as many as `faulthandler` writes.
const MAX_TEXT: usize = 500;
