//! The stacks of all threads, as text.

use std::fmt::Write as _;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::stack::Stack;
use crate::python::request_timeout::PythonThread;

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
