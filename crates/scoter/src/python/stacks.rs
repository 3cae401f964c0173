//! The stacks of all Python threads, as text.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::python::request_timeout::PythonThread;
use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::disposition::{highest_signal, raise_here};
use crate::sys::fork::{self, Mark};

/// The stacks of all threads with their source lines, each with the most recent call last. `marked`
/// comes first, labelled `whose`. Of the threads in `idle`, those that wait in scoter are only
/// named: their stacks are all the same.
///
/// # Errors
///
/// Those of Python, such as having no memory.
pub(crate) fn of_all_threads(
    py: Python<'_>,
    marked: Option<PythonThread>,
    whose: &str,
    idle: &[PythonThread],
) -> PyResult<String> {
    // Read before any Python code runs, because other threads could continue then.
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
    let (waiting, stacks): (Vec<_>, Vec<_>) = stacks
        .into_iter()
        .partition(|stack| idle.contains(&stack.thread) && stack.waits_in_scoter());
    for stack in &stacks {
        let whose = (Some(stack.thread) == marked).then_some(whose);
        stack.write(py, whose, &mut text);
    }
    if !waiting.is_empty() {
        let mut names: Vec<_> = waiting.iter().map(|stack| stack.name(py)).collect();
        names.sort();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\nIdle: {}", names.join(", "));
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}

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

/// One thread's calls, the most recent first.
struct Stack<'py> {
    thread: PythonThread,
    calls: Vec<Call<'py>>,
    /// Whether outer calls have been left out.
    cut: bool,
}

/// A function and its current line.
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

    fn name(&self, py: Python<'_>) -> String {
        thread_name(py, self.thread).unwrap_or_else(|_| "unknown to threading".into())
    }

    /// Whether a slot's thread executes no Python: not a signal handler either, nor a `__del__`. Its
    /// calls are then those that have started it, in `threading` or in scoter's own Python code.
    fn waits_in_scoter(&self) -> bool {
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

    fn write(&self, py: Python<'_>, whose: Option<&str>, text: &mut String) {
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

fn lossy(text: &Bound<'_, PyAny>) -> String {
    match text.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from("?"),
    }
}

/// Writes stacks without the interpreter, for when a thread does not release the GIL.
///
/// `faulthandler` reads the frames in a signal handler, without protection: if a thread executed
/// Python meanwhile, it would read freed frames. So use this only after waiting for the GIL in vain
/// for a long time, as [`answer_of`] does. A thread that executes Python would have released it, so
/// the thread that holds it is in C code.
#[derive(Debug)]
pub(crate) struct LastResort {
    /// Closed only after the handler has been removed, because a connection may reuse its number.
    output: ManuallyDrop<Output>,
    signal: i32,
}

/// The file that the handler writes to.
#[derive(Debug)]
struct Output {
    // First, because neither must outlive the file. The process ends if the application closes it:
    // its number would be something else's, to which the handler would write, and which `end` would
    // close.
    _watch: Watch,
    _mark: Mark,
    /// One writer at a time.
    file: Mutex<File>,
}

impl LastResort {
    /// Prepares it while the interpreter is still available.
    ///
    /// # Errors
    ///
    /// Those of the system, and those of Python.
    pub(crate) fn prepare(py: Python<'_>) -> PyResult<Self> {
        let file = memfd_create("scoter-stacks", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
        let file: File = move_up(file);
        // Unlikely to be in use: the C library and other users of real-time signals begin with the
        // lowest one.
        let signal = highest_signal();
        let arguments = PyDict::new(py);
        arguments.set_item("file", file.as_raw_fd())?;
        arguments.set_item("all_threads", true)?;
        arguments.set_item("chain", false)?;
        let faulthandler = py.import("faulthandler")?;
        fork::replace(&[signal], || {
            faulthandler.call_method("register", (signal,), Some(&arguments))
        })?;
        let output = ManuallyDrop::new(Output {
            _watch: watch("file of stacks", &file),
            _mark: Mark::on(&file),
            file: Mutex::new(file),
        });
        Ok(Self { output, signal })
    }

    /// Restores the signal, and closes the file that the handler writes to.
    ///
    /// # Errors
    ///
    /// Those of Python. The file stays open then.
    pub(crate) fn end(self, py: Python<'_>) -> PyResult<()> {
        py.import("faulthandler")?
            .call_method1("unregister", (self.signal,))?;
        drop(ManuallyDrop::into_inner(self.output));
        Ok(())
    }

    /// The stacks of all threads, each with the most recent call first.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub(crate) fn stacks(&self) -> io::Result<String> {
        let mut file = self
            .output
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)?;
        file.rewind()?;
        // The handler has returned when this returns.
        raise_here(self.signal);
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(format!("\n{}", text.trim_end()))
    }
}

/// Waits for the result of a thread that needs the GIL. `None` if it has not obtained it, in a time
/// in which a thread that executes Python would have released it hundreds of times.
///
/// # Errors
///
/// The thread has ended without a result, so it is not waiting for the GIL.
pub(crate) fn answer_of<T>(thread: &Receiver<T>) -> Result<Option<T>, RecvError> {
    let mut timeout = GilTimeout::default();
    loop {
        let begun = Instant::now();
        match thread.recv_timeout(STEP) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
            Err(RecvTimeoutError::Timeout) if timeout.is_over_after(begun.elapsed()) => {
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Measures the wait for the GIL in running time: while the process is stopped or its container
/// frozen, no thread could have released the GIL.
#[derive(Debug, Default)]
struct GilTimeout {
    waited: Duration,
}

impl GilTimeout {
    /// Counts a step. During one that took too long, the process was not running.
    fn is_over_after(&mut self, step: Duration) -> bool {
        self.waited += step.min(STEP);
        self.waited >= GIL_TIMEOUT
    }
}

/// How long to wait for the interpreter. A thread that executes Python releases it every few
/// milliseconds.
const GIL_TIMEOUT: Duration = Duration::from_secs(1);

/// The unit in which the wait is counted.
const STEP: Duration = Duration::from_millis(50);

/// Python's name for the code of a module.
const MODULE: &str = "<module>";

/// Calls of a thread that are reported; as many as `faulthandler` reports.
const MAX_CALLS: usize = 100;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn time_in_which_the_process_was_stopped_does_not_count() {
        let hour = Duration::from_secs(3_600);
        for (steps, over) in [
            (vec![STEP; 19], false),
            (vec![STEP; 20], true),
            (vec![hour], false),
            ([vec![STEP; 10], vec![hour; 9]].concat(), false),
            ([vec![STEP; 10], vec![hour; 10]].concat(), true),
        ] {
            let mut timeout = GilTimeout::default();
            let (last, first) = steps.split_last().unwrap();
            for step in first {
                assert!(!timeout.is_over_after(*step), "{steps:?}");
            }
            assert_eq!(timeout.is_over_after(*last), over, "{steps:?}");
        }
    }

    #[test]
    fn thread_that_ends_without_a_result_is_an_error() {
        let (sender, receiver) = channel();
        sender.send(1).unwrap();
        assert_eq!(answer_of(&receiver), Ok(Some(1)));
        drop(sender);
        assert_eq!(answer_of(&receiver), Err(RecvError));
        let (_sender, receiver) = channel::<()>();
        assert_eq!(answer_of(&receiver), Ok(None));
    }

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
