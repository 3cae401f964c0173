//! The modules `uwsgi` and `uwsgidecorators`, for applications that were written for uWSGI.
//!
//! They are Python, in `scoter/uwsgi_module`. They get what they are told of the server when they are
//! made, and a [`UwsgiServer`] for everything that changes.

mod current_request;
mod opt;
mod server;

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use tracing::error;

pub(crate) use current_request::{CurrentRequest, RequestControl, set_current};
pub(crate) use server::UwsgiServer;

use crate::config::{Options, Workers};
use crate::ipc::messages::UwsgiFacts;
use crate::ipc::uwsgi_memory::{UwsgiMemory, WorkerRow};
use crate::python::child_exit;
use crate::python::hooks::worker_id;
use crate::python::traceback::traceback;
use crate::sys::fork::Own;
use crate::sys::scheduling::cpus;

/// What the module has of the server.
#[derive(Debug)]
struct Server {
    memory: UwsgiMemory,
    /// The master's process id; 0 without one.
    master: i32,
    is_a_reload: bool,
}

/// Takes what a master has sent, before the application is loaded.
///
/// # Errors
///
/// System errors, and `InvalidData` if the memory did not arrive.
pub(crate) fn prepare(memory: Option<Own>, master: i32, facts: UwsgiFacts) -> io::Result<()> {
    let memory = memory.ok_or(io::ErrorKind::InvalidData)?;
    let _ = SERVER.set(Server {
        memory: UwsgiMemory::attach(memory)?,
        master,
        is_a_reload: facts.is_a_reload,
    });
    Ok(())
}

/// Puts the modules where an import finds them, if the options ask for them.
///
/// # Errors
///
/// Those of Python, and of the system where there is no master that has made the memory.
pub(crate) fn install(py: Python<'_>, options: &Options) -> PyResult<()> {
    if !options.uwsgi_module {
        return Ok(());
    }
    let server = match SERVER.get() {
        Some(server) => server,
        None => {
            let memory = UwsgiMemory::attach(UwsgiMemory::create()?)?;
            SERVER.get_or_init(|| Server {
                memory,
                master: 0,
                is_a_reload: false,
            })
        }
    };
    let facts = PyDict::new(py);
    facts.set_item("server", UwsgiServer::new(server))?;
    facts.set_item("opt", opt::entries(options, server.master != 0))?;
    facts.set_item("given", opt::given(options))?;
    facts.set_item("numproc", most_workers(options))?;
    facts.set_item("cores", options.threads)?;
    facts.set_item("masterpid", server.master)?;
    facts.set_item("is_a_reload", server.is_a_reload)?;
    py.import("scoter.uwsgi_module")?
        .call_method("install", (), Some(&facts))?;
    let module = py.import("uwsgi")?;
    let _ = MODULE.set(py, module.unbind());
    Ok(())
}

/// Begins the life of a worker that has the module.
pub(crate) fn begin_worker() {
    if let Some(row) = own_row() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        row.begin(now.unwrap_or_default());
    }
}

/// Has the worker run no signal and no timer any more. Needs no Python.
pub(crate) fn begin_end() {
    ENDING.store(true, Relaxed);
    if let Some(server) = SERVER.get() {
        server.memory.ring();
    }
}

/// Ends the life of a worker.
pub(crate) fn end_worker() {
    if let Some(row) = own_row() {
        row.end();
    }
}

/// Notes that this worker begins with a request.
pub(crate) fn begin_request() {
    if let Some(row) = own_row() {
        row.begin_request();
    }
}

/// Notes that this worker has finished a request, after `time` and with so many bytes of a response.
pub(crate) fn end_request(time: Duration, sent: u64, has_failed: bool) {
    if let Some(row) = own_row() {
        row.end_request(time, sent);
        if has_failed {
            row.exceptions.fetch_add(1, Relaxed);
        }
    }
    if let Some(server) = SERVER.get() {
        server.memory.requests().fetch_add(1, Relaxed);
    }
}

/// Whether the application has set `uwsgi.after_req_hook`.
pub(crate) fn has_after_request_hook(py: Python<'_>) -> bool {
    after_request_hook(py).is_some()
}

/// Runs `uwsgi.after_req_hook`. An exception is logged.
pub(crate) fn run_after_request_hook(py: Python<'_>) {
    let Some(hook) = after_request_hook(py) else {
        return;
    };
    if let Err(failure) = child_exit::checked(py, hook.call0()) {
        let traceback = traceback(py, &failure);
        py.detach(|| error!(%traceback, "uwsgi.after_req_hook raised an exception"));
    }
}

fn after_request_hook(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let module = MODULE.get(py)?.bind(py);
    let hook = module.dict().get_item(intern!(py, "after_req_hook")).ok()?;
    hook.filter(|hook| !hook.is_none())
}

/// The row of this worker.
fn own_row() -> Option<&'static WorkerRow> {
    SERVER.get()?.memory.row(number())
}

/// The number of this worker; without a master there is one worker, as uWSGI counts.
fn number() -> u32 {
    worker_id().unwrap_or(1)
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

static SERVER: OnceLock<Server> = OnceLock::new();

/// The module.
static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Whether this worker ends.
static ENDING: AtomicBool = AtomicBool::new(false);
