//! The modules `uwsgi` and `uwsgidecorators`, for applications that were written for uWSGI.
//!
//! They are Python, in `scoter/uwsgi_module`; this is what they are told when they are made.

mod opt;

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::{Options, Workers};
use crate::sys::scheduling::cpus;

/// Which process the master is; without a call there is none. To be called in a launcher.
pub(crate) fn set_master(pid: i32) {
    let _ = MASTER.set(pid);
}

/// Puts the modules where an import finds them, if the options ask for them.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn install(py: Python<'_>, options: &Options) -> PyResult<()> {
    if !options.uwsgi_module {
        return Ok(());
    }
    let facts = PyDict::new(py);
    facts.set_item("opt", opt::entries(options, MASTER.get().is_some()))?;
    facts.set_item("given", opt::given(options))?;
    facts.set_item("numproc", most_workers(options))?;
    facts.set_item("cores", options.threads)?;
    facts.set_item("masterpid", MASTER.get().copied().unwrap_or_default())?;
    py.import("scoter.uwsgi_module")?
        .call_method("install", (), Some(&facts))?;
    Ok(())
}

/// The largest number of workers that `--workers` allows.
fn most_workers(options: &Options) -> u32 {
    if options.no_master {
        return 1;
    }
    match options.workers {
        Workers::Auto => cpus(),
        Workers::Fixed(number) => number.into(),
        Workers::Range { max, .. } => max.into(),
    }
}

static MASTER: OnceLock<i32> = OnceLock::new();
