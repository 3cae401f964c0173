//! What all threads of Python are doing, as text.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustix::fs::{MemfdFlags, memfd_create};

use super::request_timeout::PythonThread;
use crate::descriptors::{move_up, watch_for_ever};
use crate::fork::{self, Mark};
use crate::process::{highest_signal, raise_here};

/// The stacks of all threads with their source lines, each with the most recent call last;
/// `marked` comes first, and is said to be `whose`.
///
/// # Errors
///
/// Those of Python, such as having no memory.
pub(crate) fn of_all_threads(
    py: Python<'_>,
    marked: Option<PythonThread>,
    whose: &str,
) -> PyResult<String> {
    // The frames are read before any code of Python runs: only that lets other threads go on.
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let mut stacks = frames
        .cast_into::<PyDict>()?
        .iter()
        .map(|(ident, frame)| Stack::read(PythonThread(ident.extract()?), frame))
        .collect::<PyResult<Vec<_>>>()?;
    let here = PythonThread::current(py);
    stacks.retain(|stack| stack.thread != here);
    stacks.sort_by_key(|stack| (Some(stack.thread) != marked, stack.thread.0));
    let mut text = String::new();
    for stack in &stacks {
        let whose = (Some(stack.thread) == marked).then_some(whose);
        stack.write(py, whose, &mut text);
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// Where a thread is, for people: the line of the module that it imports, rather than that of
/// what is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: String,
    line: String,
}

impl Place {
    /// Looks at a thread. There is none where it does not execute Python.
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

    /// Looks at what `faulthandler` has written.
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

/// One thread's calls, the most recent first.
struct Stack<'py> {
    thread: PythonThread,
    calls: Vec<Call<'py>>,
    /// Whether there are more, further out.
    cut: bool,
}

/// Where a function is.
struct Call<'py> {
    file: Bound<'py, PyAny>,
    line: Bound<'py, PyAny>,
    function: Bound<'py, PyAny>,
    globals: Bound<'py, PyAny>,
}

impl<'py> Stack<'py> {
    fn read(thread: PythonThread, frame: Bound<'py, PyAny>) -> PyResult<Self> {
        let mut calls = Vec::new();
        let mut next = Some(frame);
        while let Some(frame) = next.take_if(|_| calls.len() < MOST_CALLS) {
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

    fn write(&self, py: Python<'_>, whose: Option<&str>, text: &mut String) {
        let name = thread_name(py, self.thread).unwrap_or_else(|_| "unknown to threading".into());
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
    /// The line itself, where there is a file that has it.
    fn source(&self, py: Python<'_>) -> Option<String> {
        let arguments = (&self.file, &self.line, &self.globals);
        let linecache = py.import("linecache").ok()?;
        let line = linecache.call_method1("getline", arguments).ok()?;
        let line = lossy(&line);
        let line = line.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

/// The name that `threading` knows, without `threading.enumerate()`: the thread that this is
/// about may hold the lock of that.
fn thread_name(py: Python<'_>, thread: PythonThread) -> PyResult<String> {
    let threads = py.import("threading")?.getattr("_active")?;
    let name = threads.get_item(thread.0)?.getattr("name")?;
    Ok(lossy(&name))
}

fn lossy(text: &Bound<'_, PyAny>) -> String {
    match text.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from("?"),
    }
}

/// Writes stacks without the help of the interpreter, for when a thread keeps the GIL.
///
/// `faulthandler` reads the frames in a signal handler, with nothing that keeps them in
/// place: a thread that executes Python meanwhile would make it read what is no frame any
/// more. So it is for one case only: somebody has waited for the GIL for seconds, in vain,
/// which a thread that executes Python would have given away. Whoever has it is in C.
#[derive(Debug)]
pub(crate) struct LastResort {
    // First, for it must not outlive the file.
    _mark: Mark,
    /// Where the handler writes, one time after the other.
    file: Mutex<File>,
    signal: i32,
}

impl LastResort {
    /// Prepares it while the interpreter is still at hand.
    ///
    /// # Errors
    ///
    /// Those of the system, and those of Python.
    pub(crate) fn prepare(py: Python<'_>) -> PyResult<Self> {
        let file = memfd_create("scoter-stacks", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
        let file: File = move_up(file);
        // Nobody else uses it: the C library and those who need a real-time signal begin
        // with the lowest one.
        let signal = highest_signal();
        let arguments = PyDict::new(py);
        arguments.set_item("file", file.as_raw_fd())?;
        arguments.set_item("all_threads", true)?;
        arguments.set_item("chain", false)?;
        let faulthandler = py.import("faulthandler")?;
        fork::replace(&[signal], || {
            faulthandler.call_method("register", (signal,), Some(&arguments))
        })?;
        Ok(Self {
            _mark: Mark::on(&file),
            file: Mutex::new(file),
            signal,
        })
    }

    /// Has the process end where the application closes the file: its number may be that of a
    /// connection then. Not for one that [`LastResort::end`] closes.
    pub(crate) fn watch_for_ever(&self) {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        watch_for_ever("file of stacks", &*file);
    }

    /// Gives the signal back, before the file is closed that the handler writes to.
    ///
    /// # Errors
    ///
    /// Those of Python.
    pub(crate) fn end(self, py: Python<'_>) -> PyResult<()> {
        py.import("faulthandler")?
            .call_method1("unregister", (self.signal,))?;
        Ok(())
    }

    /// The stacks of all threads, each with the most recent call first.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub(crate) fn stacks(&self) -> io::Result<String> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)?;
        file.rewind()?;
        // The handler has returned when this has.
        raise_here(self.signal);
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(format!("\n{}", text.trim_end()))
    }
}

/// What Python calls the code of a module.
const MODULE: &str = "<module>";

/// Calls of a thread that are told; as many as `faulthandler` does.
const MOST_CALLS: usize = 100;

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
