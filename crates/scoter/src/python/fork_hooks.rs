//! Python's hooks around forks of the application (`os.register_at_fork`).

use std::cell::Cell;

use nix::sys::signal::{SigSet, SigmaskHow};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

use super::signal_wakeups::signals_of;
use super::{child_processes, signal_handlers};
use crate::sys::fork;
use crate::sys::signals::ACTED_ON;

/// Watches the forks of this process, as [`fork::watch`] does, and restores the application's own
/// signal handlers in the children that it forks. Call it once.
///
/// A child inherits scoter's handlers, but not the thread that acts on them: only KILL could end
/// it, not even `multiprocessing.Process.terminate()`. The signals are blocked from before the fork
/// until the child's own handlers are in place, so that none is lost.
pub(crate) fn watch_forks(py: Python<'_>) -> PyResult<()> {
    fork::watch()?;
    // Registered before the application's hooks, so that it is the last one to run before a fork
    // (os.register_at_fork).
    register_at_fork(
        py,
        [
            ("before", |_| {
                let ours = SigSet::from_iter(ACTED_ON);
                MASK.set(ours.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok());
                fork::hooks_end();
                Ok(())
            }),
            ("after_in_parent", |_| {
                restore_mask();
                Ok(())
            }),
            ("after_in_child", |py| {
                if fork::is_child() {
                    signals_of(py)?.call_method1("set_wakeup_fd", (-1,))?;
                    signal_handlers::give_back(py)?;
                }
                restore_mask();
                child_processes::forget(py)
            }),
        ],
    )
}

/// Distinguishes forks made by the application's hooks from the fork that the hooks run for. Call
/// it once, after the application has been loaded and has registered its hooks.
pub(crate) fn watch_hooks_of_forks(py: Python<'_>) -> PyResult<()> {
    register_at_fork(
        py,
        [
            ("before", |_| {
                fork::hooks_begin();
                Ok(())
            }),
            ("after_in_parent", |_| {
                fork::is_over();
                Ok(())
            }),
        ],
    )
}

type Hook = (&'static str, fn(Python<'_>) -> PyResult<()>);

fn register_at_fork<const N: usize>(py: Python<'_>, hooks: [Hook; N]) -> PyResult<()> {
    let arguments = PyDict::new(py);
    for (name, run) in hooks {
        let hook = PyCFunction::new_closure(py, None, None, move |args, _| run(args.py()))?;
        arguments.set_item(name, hook)?;
    }
    py.import("os")?
        .call_method("register_at_fork", (), Some(&arguments))?;
    Ok(())
}

thread_local! {
    /// The signals that the forking thread had blocked.
    static MASK: Cell<Option<SigSet>> = const { Cell::new(None) };
}

fn restore_mask() {
    if let Some(mask) = MASK.take() {
        let _ = mask.thread_set_mask();
    }
}
