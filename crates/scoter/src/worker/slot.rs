//! A slot: one Python thread that takes connections, and runs the application for them.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pyo3::prelude::*;
use tracing::error;
use uwsgi_codec::modifier;
use wsgi_environ::{
    Body, End, EnvironBuilder, Errors, Exchange, Input, Method, ScriptName, ServerInfo, respond,
};

use super::Shared;
use super::arrival::{Arrival, Part};
use super::connection::Connection;
use super::departure::Departure;
use super::poller::{Poller, Wake};
use super::ready::Popped;
use super::refusal::Refusal;
use super::report::{self, Subject};
use super::request::{Request, Stage};
use super::stop::Ending;
use crate::log::{self, Entry};

/// Takes its own connections when it is free, so that the kernel's backlog is the one queue,
/// and a request that arrives whole never changes threads.
#[derive(Debug)]
pub(crate) struct Slot {
    shared: Arc<Shared>,
    poller: Poller,
    /// The listener that is asked first, so that a busy one does not starve the others.
    next_listener: usize,
    index: usize,
    application: Py<PyAny>,
    environ: EnvironBuilder,
    errors: Py<Errors>,
    /// Where packets are received. It is used again whenever nobody holds a part of it.
    incoming: BytesMut,
    /// Where heads are written, used again from response to response.
    outgoing: Vec<u8>,
}

/// What a slot is to do next.
enum Next {
    Serve(Box<Request>),
    /// A signal arrived: Python may have a handler to run in the main thread.
    CheckSignals,
    /// There will be no more requests.
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
        shared: Arc<Shared>,
        index: usize,
        application: Py<PyAny>,
        server: &ServerInfo,
        signals: Option<OwnedFd>,
    ) -> PyResult<Self> {
        let errors = Py::new(py, Errors::new(log::application_lines))?;
        Ok(Self {
            poller: Poller::new(&shared, signals).map_err(io::Error::from)?,
            shared,
            next_listener: 0,
            index,
            application,
            environ: EnvironBuilder::new(py, server, errors.clone_ref(py))?,
            errors,
            incoming: BytesMut::new(),
            outgoing: Vec::new(),
        })
    }

    /// Serves requests until the worker stops.
    pub(crate) fn run(mut self, py: Python<'_>) {
        let mut departure = None;
        loop {
            // The panic hook has said where and why; the connection is closed.
            let next = py.detach(|| {
                catch_unwind(AssertUnwindSafe(|| self.depart_and_wait(departure.take())))
                    .unwrap_or(Next::CheckSignals)
            });
            match next {
                Next::Serve(request) => departure = self.serve(py, *request),
                Next::CheckSignals => {
                    if let Err(error) = py.check_signals() {
                        report::signal_handler_failed(py, &error);
                    }
                }
                Next::End => return,
            }
        }
    }

    /// One stretch without Python: the last response goes out, the next request comes in.
    fn depart_and_wait(&mut self, departure: Option<Departure>) -> Next {
        if let Some(departure) = departure {
            self.outgoing = departure.start(&self.shared).unwrap_or_default();
            self.outgoing.clear();
        }
        self.next()
    }

    fn next(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        loop {
            if let Some(request) = shared.ready.try_pop() {
                return Next::Serve(request);
            }
            if self.poller.is_accepting() {
                let ending = shared.stop.ending();
                if ending == Some(Ending::Retire) {
                    self.leave_listeners();
                    continue;
                }
                if let Some(connection) = self.accept() {
                    match self.receive(connection) {
                        Some(request) => return Next::Serve(Box::new(request)),
                        None => continue,
                    }
                }
                if ending == Some(Ending::Drain) {
                    // Nobody waits in the kernel's queue. What the reactor has still comes.
                    self.poller.stop_accepting(&shared.listeners, &shared.stop);
                    shared.reactor.slot_drained();
                }
            }
            match self.poller.wait() {
                Wake::Ready => match shared.ready.pop() {
                    Popped::Request(request) => return Next::Serve(request),
                    Popped::Empty => {}
                    Popped::Closed => return Next::End,
                },
                Wake::Listener | Wake::Stop => {}
                Wake::Signal => return Next::CheckSignals,
            }
        }
    }

    /// Leaves what comes from now on to other workers.
    fn leave_listeners(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.poller.stop_accepting(&shared.listeners, &shared.stop);
        // The kernel wakes one sleeper for a connection (EPOLLEXCLUSIVE). If it was this
        // one, nobody else comes for it until the next connection arrives.
        for _ in &shared.listeners {
            let Some(connection) = self.accept() else {
                break;
            };
            if let Some(request) = self.receive(connection) {
                shared.ready.push(request);
            }
        }
        shared.reactor.slot_drained();
    }

    /// Takes the next connection, from each listener in turn.
    fn accept(&mut self) -> Option<Connection> {
        let listeners = &self.shared.listeners;
        let last_call_over = self
            .shared
            .stop
            .begun_for()
            .is_some_and(|time| time > LAST_CALL);
        for turn in 0..listeners.len() {
            let index = (self.next_listener + turn) % listeners.len();
            let listener = &listeners[index];
            if last_call_over && listener.stays_open() {
                continue;
            }
            if let Some(fd) = listener.accept() {
                self.next_listener = index + 1;
                let patience = self.shared.patience;
                return Some(Connection::new(fd, listener.family(), patience));
            }
        }
        None
    }

    /// Receives once: all that most requests need. What takes longer goes to the reactor.
    fn receive(&mut self, connection: Connection) -> Option<Request> {
        let connection = Arc::new(connection);
        self.incoming.clear();
        self.incoming.reserve(RECEIVE_BUFFER);
        match self.receive_first(&connection) {
            // Somebody only looked whether the server is there.
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.complete_later(connection, BytesMut::new(), Part::Packet);
                return None;
            }
            Err(error) => {
                self.refuse(connection, &Refusal::Connection(error));
                return None;
            }
        }
        let (packet, body) = match self.shared.intake.examine(&mut self.incoming) {
            Ok(Stage::Whole(packet, body)) => (packet, body),
            Ok(Stage::Stream(packet, streamed)) => {
                let peer = Arc::clone(&connection);
                let body = Body::streamed(streamed.prefix, streamed.remaining, peer);
                (packet, body)
            }
            Ok(Stage::Packet) => {
                let received = BytesMut::from(&self.incoming[..]);
                self.complete_later(connection, received, Part::Packet);
                return None;
            }
            Ok(Stage::Body(missing)) => {
                let received = std::mem::take(&mut self.incoming);
                self.complete_later(connection, received, Part::Body(missing));
                return None;
            }
            Ok(Stage::Ping(answer)) => {
                Departure::reply(connection, answer.to_vec()).start(&self.shared);
                return None;
            }
            Err(refusal) => {
                self.refuse(connection, &refusal);
                return None;
            }
        };
        Some(Request {
            connection,
            packet,
            body,
            overrun: !self.incoming.is_empty(),
            permit: None,
        })
    }

    /// nginx connects and writes in one go, but a waiting slot can be quicker than the
    /// write; a moment's patience is cheaper than two changes of threads.
    fn receive_first(&mut self, connection: &Connection) -> io::Result<usize> {
        match connection.recv_into(&mut self.incoming) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
        let patience = if self.shared.reactor.has_room() {
            FIRST_BYTES_PATIENCE
        } else {
            LAST_PATIENCE
        };
        match connection.wait_readable(patience) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            waited => {
                waited?;
                connection.recv_into(&mut self.incoming)
            }
        }
    }

    fn complete_later(&self, connection: Arc<Connection>, buffer: BytesMut, missing: Part) {
        let arrival = Arrival {
            connection,
            buffer,
            missing,
        };
        if let Err(arrival) = self.shared.reactor.complete(arrival) {
            self.refuse(arrival.connection, &Refusal::Overloaded);
        }
    }

    fn refuse(&self, connection: Arc<Connection>, refusal: &Refusal) {
        refusal.log();
        if refusal.is_absence() {
            self.shared.peer_gone();
        }
        Departure::refusal(connection, refusal).start(&self.shared);
    }

    /// Runs the application. A panic ends the request, not the slot.
    fn serve(&mut self, py: Python<'_>, request: Request) -> Option<Departure> {
        let cell = &Arc::clone(&self.shared.board);
        let cell = &cell.cells()[self.index];
        let vars = request.packet.vars.as_ref();
        cell.begin(
            crate::scoreboard::Label {
                method: vars.get("REQUEST_METHOD").unwrap_or_default(),
                uri: vars.get("REQUEST_URI").unwrap_or_default(),
                request_id: b"",
            },
            Duration::ZERO,
        );
        let connection = Arc::clone(&request.connection);
        let served = catch_unwind(AssertUnwindSafe(|| self.respond(py, request)));
        cell.end(200);
        match served {
            Ok(Ok(departure)) => Some(departure),
            Ok(Err(failure)) => {
                report::environ_failed(py, &failure);
                Some(Departure::reply(connection, report::internal_error()))
            }
            Err(_) => {
                // The panic hook has said where and why.
                error!("a request was lost to a bug in scoter: please report it");
                Some(Departure::reply(connection, report::internal_error()))
            }
        }
    }

    fn respond(&mut self, py: Python<'_>, request: Request) -> PyResult<Departure> {
        let Request {
            connection,
            packet,
            body,
            overrun,
            permit,
        } = request;
        drop(permit);
        let vars = packet.vars.as_ref();
        let input = Input::new(py, body)?;
        let script_name = match packet.header.modifier1 {
            modifier::WSGI_SCRIPT_NAME => ScriptName::Strip,
            _ => ScriptName::AsSent,
        };
        let environ = self.environ.build(py, vars, script_name, &input)?;
        let request_id = self.shared.request_ids.of(&packet.vars);
        request_id.put_into(&environ)?;
        let queued = connection.accepted().elapsed();
        let completed = respond(
            self.application.bind(py),
            Exchange {
                environ,
                input,
                errors: self.errors.bind(py).clone(),
                transport: Arc::clone(&connection) as _,
                method: Method::of(vars),
                out: std::mem::take(&mut self.outgoing),
            },
        );
        if completed.end == End::PeerGone {
            self.shared.peer_gone();
        }
        let subject = Subject {
            vars,
            request_id: &request_id,
        };
        report::completed(py, subject, &completed);
        let entry = Entry {
            packet,
            request_id,
            status: completed.status,
            body_bytes: completed.body_bytes,
            accepted: connection.accepted(),
            queued: Some(queued),
            slot: self.index,
        };
        Ok(Departure::new(connection, completed, overrun, entry))
    }
}

/// Room for the largest packet, 4 + 65 535 bytes, and a body of medium size.
const RECEIVE_BUFFER: usize = 128 * 1_024;

/// For how long a stop takes what comes from a socket that stays open to newcomers.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How long a slot waits for the first bytes of a connection.
const FIRST_BYTES_PATIENCE: Duration = Duration::from_millis(1);

/// How long it waits where the alternative is to refuse the connection.
const LAST_PATIENCE: Duration = Duration::from_millis(100);
