//! `--preload`: the application is imported before the workers are forked.

use pyo3::prelude::*;

use crate::config::Options;
use crate::failure::Failure;
use crate::python::application::Loaded;
use crate::python::signal_handlers;
use crate::sys::disposition::survive;
use crate::sys::signals::ACTED_ON;
use crate::worker::Dispositions;

pub(super) fn preload(py: Python<'_>, options: &Options) -> Result<Loaded, Failure> {
    let python = Failure::python(py);
    // The workers run the handlers that the application installs.
    signal_handlers::share(py).map_err(&python)?;
    ACTED_ON.into_iter().for_each(survive);
    let dispositions = Dispositions::current();
    let loaded = Loaded::load(py, options)?;
    dispositions.restore();
    freeze(py).map_err(&python)?;
    Ok(loaded)
}

/// Hides all existing objects from the garbage collector: a collection in a worker would write to
/// the shared pages (gc.freeze in Python's documentation).
fn freeze(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    gc.call_method0("collect")?;
    gc.call_method0("freeze")?;
    Ok(())
}
