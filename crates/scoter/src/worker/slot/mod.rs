//! A slot: a Python thread that accepts connections and runs the application for them.

pub(super) mod admission;
pub(super) mod poller;
pub(super) mod progress;
pub(super) mod wake_policy;

mod acceptor;
mod next;
mod receive;
mod serve;
mod turns;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pyo3::prelude::*;
use wsgi_environ::{EnvironBuilder, Errors, ObjectCache, ServerInfo};

use crate::python::child_exit;
use crate::python::request_timeout::PythonThread;
use crate::python::uwsgi_module;
use crate::sys::fatal;
use crate::sys::fork::Own;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::mounts::Mounts;
use crate::worker::request::intake::Request;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::report;
use crate::worker::slot::acceptor::Unasked;
use crate::worker::slot::poller::Poller;
use crate::worker::slot::turns::Turns;
use crate::worker::slot::wake_policy::WakePolicy;

/// Takes its own connections when it is free, so that the kernel's backlog is the one queue,
/// and a request that arrives whole costs no context switch.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its number in the worker: which cell of the scoreboard it has.
    index: usize,
    shared: Arc<Shared>,
    poller: Poller,
    /// A connection on which something arrived while its last response was being sent.
    signalled: Option<Arc<Connection>>,
    /// Where it looks for the next request.
    turns: Turns,
    /// How long it has not asked for connections that others have passed on.
    passed_unasked: Unasked,
    /// The listener that is asked first, so that a busy listener does not starve the others.
    next_listener: usize,
    application: Py<PyAny>,
    mounts: Option<Arc<Mounts>>,
    environ: EnvironBuilder,
    errors: Py<Errors>,
    object_cache: ObjectCache,
    /// Where packets are received. It is reused when nobody refers to a part of it any more.
    receive_buffer: BytesMut,
    /// Where response heads are written. It is reused for each response.
    head_buffer: Vec<u8>,
    wake_policy: WakePolicy,
    /// Whether the last response leaves so much memory to free that this must not wait for the
    /// next request.
    frees_memory: bool,
    /// The longest running time of a request since the kernel's queue was last empty. What comes
    /// from there may have waited for as long.
    longest_run: Duration,
}

/// What slots run.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) application: Py<PyAny>,
    /// The applications of certain paths, if there are any.
    pub(crate) mounts: Option<Arc<Mounts>>,
    pub(crate) server: ServerInfo,
}

/// What a slot is to do next.
enum Next {
    Serve(Box<Request>),
    /// A signal arrived: Python may have a handler to run in the main thread.
    CheckSignals,
    /// Python memory that is no longer needed must be freed.
    FreeMemory,
    /// There are no more requests to come.
    End,
}

impl Slot {
    /// Prepares a slot. `signals` is Python's wake-up descriptor, for the main thread's slot.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors to give, and those of Python.
    pub(crate) fn new(
        py: Python<'_>,
        index: usize,
        shared: Arc<Shared>,
        service: &Service,
        signals: Option<Own>,
    ) -> PyResult<Self> {
        let errors = Py::new(py, Errors::new(report::application_lines))?;
        let poller = Poller::new(part(index), &shared, signals).map_err(io::Error::from)?;
        Ok(Self {
            index,
            poller,
            shared,
            signalled: None,
            turns: Turns::default(),
            passed_unasked: Unasked::default(),
            next_listener: 0,
            application: service.application.clone_ref(py),
            mounts: service.mounts.clone(),
            environ: EnvironBuilder::new(py, &service.server, errors.clone_ref(py))?,
            errors,
            object_cache: ObjectCache::default(),
            receive_buffer: BytesMut::new(),
            head_buffer: Vec::new(),
            wake_policy: WakePolicy::default(),
            frees_memory: false,
            longest_run: Duration::ZERO,
        })
    }

    /// Serves requests until the worker stops.
    ///
    /// A panic that is not about one connection would leave a slot behind that serves nobody:
    /// it ends the process.
    pub(crate) fn run(mut self, py: Python<'_>) {
        let part = part(self.index);
        if catch_unwind(AssertUnwindSafe(|| self.serve_all(py))).is_err() {
            fatal::end_of_thread(&part);
        }
    }

    fn serve_all(&mut self, py: Python<'_>) {
        self.shared.monitor.slots()[self.index].set_thread(PythonThread::current(py));
        let mut response = None;
        loop {
            match py.detach(|| self.send_and_wait(&mut response)) {
                Next::Serve(request) => {
                    response = self.serve(py, *request);
                    // Of what `serve` drops and logs something may be code, too.
                    child_exit::returned(py, None);
                    if self.shared.has_uwsgi_module {
                        self.run_after_request_hook(py, &mut response);
                    }
                }
                Next::CheckSignals => {
                    if let Err(error) = child_exit::checked(py, py.check_signals()) {
                        report::signal_handler_failed(py, &error);
                    }
                }
                Next::FreeMemory => {
                    if std::mem::take(&mut self.frees_memory) {
                        // Python has freed it as this thread attached.
                        self.shared.response_memory.note_freed();
                    }
                    self.shared.response_memory.free_unneeded(py);
                    self.shared.response_memory.trim(py);
                }
                Next::End => return,
            }
        }
    }

    /// Runs the hook of the module `uwsgi`, once the response has been sent.
    fn run_after_request_hook(&mut self, py: Python<'_>, response: &mut Option<PendingResponse>) {
        if uwsgi_module::has_after_request_hook(py) {
            py.detach(|| self.send(response));
            uwsgi_module::run_after_request_hook(py);
            child_exit::returned(py, None);
        }
        uwsgi_module::set_current(None);
    }

    /// Sends the last response.
    fn send(&mut self, response: &mut Option<PendingResponse>) {
        if let Some(pending) = response {
            self.frees_memory = pending.bytes_of_python() >= MIN_BYTES_TO_FREE;
            let shared = &self.shared;
            let sent = survive(|| PendingResponse::start_in_place(response, shared));
            // What a panic has left.
            *response = None;
            self.signalled = sent.signalled;
            self.head_buffer = sent.head_buffer;
            self.head_buffer.clear();
        }
    }

    /// Sends the last response and receives the next request, without the GIL.
    fn send_and_wait(&mut self, response: &mut Option<PendingResponse>) -> Next {
        self.send(response);
        loop {
            match self.next() {
                Next::Serve(request) => {
                    if let Some(request) = self.admit(request) {
                        return Next::Serve(request);
                    }
                }
                Next::End => {
                    self.end();
                    return Next::End;
                }
                Next::FreeMemory => return Next::FreeMemory,
                Next::CheckSignals => return Next::CheckSignals,
            }
        }
    }

    fn end(&self) {
        if let Some(slot) = self.shared.monitor.slot(self.index) {
            slot.end();
        }
    }
}

/// Does work for one connection. A panic, which the panic hook has logged, ends only that
/// connection. But if a descriptor of the worker itself is lost, the worker ends.
fn survive<T: Default>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Dropping it might panic again.
        std::mem::forget(payload);
        fatal::check_descriptors();
        T::default()
    })
}

/// The name of a slot in messages about its loss.
fn part(index: usize) -> String {
    format!("slot {index}")
}

/// The amount of Python memory that is freed before a slot sleeps. Less is not worth the GIL.
const MIN_BYTES_TO_FREE: usize = 256 * 1_024;
