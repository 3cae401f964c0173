//! Stacks as text, for the log.

use std::fmt::Write as _;

use pyo3::prelude::*;

use super::stack::{Stack, stacks_of};
use crate::control::ThreadStack;
use crate::python::request_timeout::PythonThread;

/// The stacks of all threads at one moment.
pub(crate) struct AllThreads<'py> {
    /// The marked thread first.
    stacks: Vec<(Stack<'py>, ThreadStack)>,
    marked: Option<PythonThread>,
    /// The names of the threads that wait in scoter.
    idle: Vec<String>,
}

impl<'py> AllThreads<'py> {
    /// Reads the stacks. `marked` comes first. Of the threads in `idle`, those that wait in scoter
    /// are only named: their stacks are all the same.
    ///
    /// # Errors
    ///
    /// Those of Python, such as having no memory.
    pub(crate) fn read(
        py: Python<'py>,
        marked: Option<PythonThread>,
        idle: &[PythonThread],
    ) -> PyResult<Self> {
        let mut stacks = stacks_of(py, |_| true)?;
        stacks.sort_by_key(|stack| (Some(stack.thread()) != marked, stack.thread().0));
        let (waiting, stacks): (Vec<_>, Vec<_>) = stacks
            .into_iter()
            .partition(|stack| idle.contains(&stack.thread()) && stack.waits_in_scoter());
        let names = waiting.iter().map(|stack| stack.name(py));
        let mut idle: Vec<_> = names
            .map(|name| name.unwrap_or_else(|| UNKNOWN.to_owned()))
            .collect();
        idle.sort();
        let stacks = stacks.into_iter().map(|stack| {
            let described = stack.describe(py);
            (stack, described)
        });
        Ok(Self {
            stacks: stacks.collect(),
            marked,
            idle,
        })
    }

    /// Adds the source lines. They may be on a disk that does not answer, so do before what must
    /// not wait for it.
    pub(crate) fn add_sources(&mut self, py: Python<'_>) {
        for (stack, described) in &mut self.stacks {
            stack.add_sources(py, described);
        }
    }

    /// The stacks, each with the most recent call last. The marked one is labelled `whose`.
    pub(crate) fn text(&self, whose: &str) -> String {
        let mut text = String::new();
        for (stack, described) in &self.stacks {
            let whose = (Some(stack.thread()) == self.marked).then_some(whose);
            text.push('\n');
            text.push_str(&of_thread(described, whose));
        }
        if !self.idle.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\nIdle: {}", self.idle.join(", "));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// One thread's stack. `whose` says whose it is.
pub(crate) fn of_thread(stack: &ThreadStack, whose: Option<&str>) -> String {
    let name = match (&stack.name, &stack.slot) {
        (Some(name), _) => name.clone(),
        (None, Some(slot)) => format!("of slot {}", slot.slot),
        (None, None) => UNKNOWN.to_owned(),
    };
    let mark = whose.map_or_else(String::new, |whose| format!(", the {whose}'s"));
    let mut text = format!("Thread {name}{mark} (most recent call last):\n");
    // Writing to a string cannot fail.
    if stack.calls_left_out > 0 {
        let _ = writeln!(text, "  […]");
    }
    for call in &stack.calls {
        let line = call.line.unwrap_or_default();
        let _ = writeln!(
            text,
            "  File \"{}\", line {line}, in {}",
            call.file, call.function
        );
        if let Some(source) = &call.source {
            let _ = writeln!(text, "    {source}");
        }
    }
    text
}

const UNKNOWN: &str = "unknown to threading";
