//! A slot: one Python thread that takes connections, and runs the application for them.

pub(super) mod admission;
pub(super) mod poller;
pub(super) mod wake_policy;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustix::io::Errno;
use tracing::{debug, error};
use uwsgi_codec::modifier;
use wsgi_environ::{
    Body, Completed, EnvironBuilder, Errors, Exchange, Input, Method, ObjectCache, ResponseEnd,
    ScriptName, ServerInfo, respond,
};

use crate::fatal;
use crate::fork::{self, Own};
use crate::interpreter::traceback;
use crate::line::FromWorker;
use crate::log::Entry;
use crate::request_head::{RequestHead, RequestId};
use crate::scoreboard::Cell;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::connection::owner::Revoked;
use crate::worker::reactor::ready::Popped;
use crate::worker::recycling::Recycling;
use crate::worker::request::intake::{Request, Stage, streamed_body};
use crate::worker::request::partial_request::{Part, PartialRequest};
use crate::worker::request::room::make_room;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::refusal::Refusal;
use crate::worker::response::report::{self, Timing};
use crate::worker::slot::admission::Decision;
use crate::worker::slot::poller::{Poller, Wake};
use crate::worker::slot::wake_policy::WakePolicy;
use crate::worker::stop::Ending;
use crate::worker::timeouts::exception::PythonThread;

/// Takes its own connections when it is free, so that the kernel's backlog is the one queue,
/// and a request that arrives whole costs no context switch.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its number in the worker: which cell of the scoreboard it has.
    index: usize,
    shared: Arc<Shared>,
    poller: Poller,
    /// The listener that is asked first, so that a busy one does not starve the others.
    next_listener: usize,
    application: Py<PyAny>,
    environ: EnvironBuilder,
    errors: Py<Errors>,
    object_cache: ObjectCache,
    /// Where packets are received. It is used again whenever nobody holds a part of it.
    receive_buffer: BytesMut,
    /// Where heads are written, used again from response to response.
    head_buffer: Vec<u8>,
    wake_policy: WakePolicy,
    /// Whether the last response leaves so much memory to be freed that it must not wait for
    /// the next request.
    frees_memory: bool,
    /// The longest run of a request since the kernel's queue was empty: what comes from
    /// there may have waited as long.
    longest_run: Duration,
}

/// What slots run.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) application: Py<PyAny>,
    pub(crate) server: ServerInfo,
}

/// What a slot is to do next.
enum Next {
    Serve(Box<Request>),
    /// A signal arrived: Python may have a handler to run in the main thread.
    CheckSignals,
    /// Memory of Python's that nobody needs any more is to be freed.
    FreeMemory,
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
            next_listener: 0,
            application: service.application.clone_ref(py),
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
        if let Some(slot) = self.shared.monitor.slot(self.index) {
            slot.set_thread(PythonThread::current(py));
        }
        let mut response = None;
        loop {
            match py.detach(|| self.send_and_wait(response.take())) {
                Next::Serve(request) => {
                    response = self.serve(py, *request);
                    // Of what `serve` drops and logs something may be code, too.
                    fork::returned(py, None);
                }
                Next::CheckSignals => {
                    if let Err(error) = fork::checked(py, py.check_signals()) {
                        report::signal_handler_failed(py, &error);
                    }
                }
                Next::FreeMemory => {
                    self.shared.response_memory.free_unneeded(py);
                    self.shared.response_memory.trim(py);
                }
                Next::End => return,
            }
        }
    }

    /// One stretch without Python: the last response goes out, the next request comes in.
    fn send_and_wait(&mut self, response: Option<PendingResponse>) -> Next {
        if let Some(response) = response {
            self.frees_memory = response.bytes_of_python() >= MIN_BYTES_TO_FREE;
            let shared = &self.shared;
            self.head_buffer = survive(|| response.start(shared).unwrap_or_default());
            self.head_buffer.clear();
        }
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

    /// Takes a request in hand, unless nobody waits for it any more, or it has waited for too
    /// long.
    fn admit(&mut self, mut request: Box<Request>) -> Option<Box<Request>> {
        let shared = &self.shared;
        let now = Instant::now();
        match shared.admission.decide(&request, now, self.longest_run) {
            Decision::Run(waited) => {
                request.since = now.checked_sub(waited).unwrap_or(request.since);
            }
            Decision::PeerGone => {
                shared.peer_gone();
                let request_id = request.head.request_id.as_str();
                debug!(
                    request_id,
                    status = 499,
                    "the peer went away before its turn"
                );
                return None;
            }
            Decision::Late(waited) => {
                let waited_ms = waited.as_millis();
                let method = request.head.kind();
                self.refuse(
                    request.connection,
                    &Refusal::QueueTimeout { waited_ms },
                    method,
                );
                return None;
            }
        }
        if let Some(slot) = shared.monitor.slot(self.index) {
            slot.begin(&request);
        }
        Some(request)
    }

    fn next(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut wake = None;
        loop {
            if let Some(next) = self.look(&shared, wake) {
                return next;
            }
            let woken = self.wake_policy.sleep(|| self.poller.wait());
            wake = Some(woken.unwrap_or_else(|errno| self.lose_poller(errno)));
        }
    }

    /// Looks for something to do, after `wake` if the slot has slept. `None`: there is nothing.
    fn look(&mut self, shared: &Shared, wake: Option<Wake>) -> Option<Next> {
        match wake {
            // First of all, even where the slot is to leave: the kernel wakes one sleeper for a
            // connection (EPOLLEXCLUSIVE), and this was it. Nobody else comes for it until a
            // slot is done or the next connection arrives. What is in the ready queue has woken
            // another slot.
            Some(Wake::Listener) => {
                if let Some(connection) = self.accept() {
                    if let Some(request) = survive(|| self.receive(connection).map(Box::new)) {
                        return Some(Next::Serve(request));
                    }
                }
            }
            Some(Wake::Ready) => match shared.ready.pop() {
                Popped::Request(request) => {
                    self.wake_policy.request_taken();
                    return Some(Next::Serve(request));
                }
                Popped::Empty => {}
                Popped::Closed => return Some(Next::End),
            },
            Some(Wake::Unneeded) => {
                shared.response_memory.consume_wakeup();
                return Some(Next::FreeMemory);
            }
            Some(Wake::Signal) => return Some(Next::CheckSignals),
            Some(Wake::Stop) | None => {}
        }
        loop {
            if let Some(request) = shared.ready.try_pop() {
                self.wake_policy.request_taken();
                return Some(Next::Serve(request));
            }
            if !self.poller.is_accepting() {
                return None;
            }
            let ending = shared.stop.ending();
            if ending == Some(Ending::Retire) {
                // What comes from now on is left to other workers.
                self.stop_accepting();
                return None;
            }
            if let Some(connection) = self.accept() {
                // Boxed inside, so that only a pointer is handed on.
                match survive(|| self.receive(connection).map(Box::new)) {
                    Some(request) => return Some(Next::Serve(request)),
                    None => continue,
                }
            }
            self.longest_run = Duration::ZERO;
            if std::mem::take(&mut self.frees_memory) {
                return Some(Next::FreeMemory);
            }
            if ending == Some(Ending::Drain) {
                // Nobody waits in the kernel's queue. What the reactor has still comes.
                self.stop_accepting();
            }
            return None;
        }
    }

    fn lose_poller(&self, errno: Errno) -> ! {
        fatal::check_descriptors();
        fatal::end_process(&part(self.index), &errno)
    }

    fn stop_accepting(&mut self) {
        let shared = &self.shared;
        self.poller.stop_accepting(&shared.listeners, &shared.stop);
        shared.board.cells()[self.index].leave();
        shared.reactor.slot_drained(self.index);
    }

    /// Takes the next connection, from each listener in turn.
    fn accept(&mut self) -> Option<Connection> {
        let listeners = &self.shared.listeners;
        let open_sockets_over = self
            .shared
            .stop
            .begun_for()
            .is_some_and(|time| time > OPEN_SOCKET_TIMEOUT);
        for turn in 0..listeners.len() {
            let index = (self.next_listener + turn) % listeners.len();
            let listener = &listeners[index];
            if open_sockets_over && listener.stays_open() {
                continue;
            }
            if let Some(fd) = listener.accept() {
                self.next_listener = index + 1;
                let timeouts = self.shared.connection_timeouts;
                return Some(Connection::new(fd, listener.family(), timeouts));
            }
        }
        None
    }

    /// Receives once: all that most requests need. What takes longer goes to the reactor.
    fn receive(&mut self, connection: Connection) -> Option<Request> {
        let connection = Arc::new(connection);
        self.receive_buffer.clear();
        if let Err(error) = make_room(&mut self.receive_buffer, RECEIVE_BUFFER) {
            self.refuse(connection, &error.into(), Method::Other);
            return None;
        }
        match self.receive_first(&connection) {
            // Somebody only looked whether the server is there.
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Err(connection) = self.shared.reactor.await_first_bytes(connection) {
                    self.refuse(connection, &Refusal::Overloaded, Method::Other);
                }
                return None;
            }
            Err(error) => {
                let refusal = Refusal::of(&connection, error);
                self.refuse(connection, &refusal, Method::Other);
                return None;
            }
        }
        let (head, body) = match self.shared.intake.examine(&mut self.receive_buffer) {
            Ok(Stage::Whole(head, body)) => (head, body),
            Ok(Stage::Packet) => {
                let mut received = BytesMut::new();
                if let Err(error) = make_room(&mut received, self.receive_buffer.len()) {
                    self.refuse(connection, &error.into(), Method::Other);
                    return None;
                }
                received.extend_from_slice(&self.receive_buffer);
                self.complete_later(connection, received, Part::Packet);
                return None;
            }
            Ok(Stage::Body(head)) => match self.stream(&connection, &head) {
                Some(body) => (head, body),
                None => {
                    let received = std::mem::take(&mut self.receive_buffer);
                    self.complete_later(connection, received, Part::Body(head));
                    return None;
                }
            },
            Ok(Stage::Ping(answer)) => {
                PendingResponse::bytes(connection, answer.to_vec()).start(&self.shared);
                return None;
            }
            Err(refusal) => {
                self.refuse(connection, &refusal, Method::Other);
                return None;
            }
        };
        Some(Request {
            since: connection.accepted(),
            connection,
            head,
            body,
            overrun: !self.receive_buffer.is_empty(),
            permit: None,
        })
    }

    /// nginx connects and writes in one go, but a waiting slot can be quicker than the
    /// write; to wait a moment is cheaper than two context switches.
    fn receive_first(&mut self, connection: &Connection) -> io::Result<usize> {
        let received = connection.recv_into(&mut self.receive_buffer);
        let blocked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        let written = !received.as_ref().is_err_and(blocked);
        self.wake_policy.accepted(written);
        if written {
            return received;
        }
        if !self.shared.reactor.is_worth_a_wait() {
            return received;
        }
        match connection.wait_readable(FIRST_BYTES_TIMEOUT) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            waited => {
                waited?;
                connection.recv_into(&mut self.receive_buffer)
            }
        }
    }

    /// The body, if the application is to read it as it comes and it has begun to.
    fn stream(&mut self, connection: &Arc<Connection>, head: &RequestHead) -> Option<Body> {
        let length = head.content_length().unwrap_or(0);
        let streams = self.shared.intake.streams(length);
        // A front end that sends a file writes it behind the packet, in another system call.
        let has_begun = || {
            !self.receive_buffer.is_empty() || connection.wait_readable(FIRST_BYTES_TIMEOUT).is_ok()
        };
        (streams && has_begun())
            .then(|| streamed_body(&mut self.receive_buffer, length, Arc::clone(connection)))
    }

    fn complete_later(&self, connection: Arc<Connection>, buffer: BytesMut, missing: Part) {
        let partial = PartialRequest {
            connection,
            buffer,
            missing,
        };
        if let Err(partial) = self.shared.reactor.complete(partial) {
            let method = partial.missing.method();
            self.refuse(partial.connection, &Refusal::Overloaded, method);
        }
    }

    fn refuse(&self, connection: Arc<Connection>, refusal: &Refusal, method: Method) {
        refusal.log();
        self.shared.count(refusal);
        PendingResponse::refusal(connection, refusal, method).start(&self.shared);
    }

    /// Runs the application. A panic ends the request, not the slot.
    fn serve(&mut self, py: Python<'_>, request: Request) -> Option<PendingResponse> {
        let Request {
            connection,
            head,
            body,
            overrun,
            since,
            permit,
        } = request;
        drop(permit);
        // While this thread waited for the GIL, the worker may have come to its end.
        if connection.owner().revoked().is_some() {
            if let Some(slot) = self.shared.monitor.slot(self.index) {
                slot.abandon();
            }
            return None;
        }
        let queued = since.elapsed();
        self.cell().begin(head.label(), queued);
        if let Some(missing) = self.shared.first_missing_vars(&head) {
            py.detach(|| self.shared.report(missing));
        }
        let recycling = self.shared.recycling.as_ref();
        if recycling.is_some_and(Recycling::reach) {
            let reason = "max-requests".to_owned();
            self.shared.master.send(&FromWorker::Replace { reason });
        }
        let mut troubles = Vec::new();
        let served = catch_unwind(AssertUnwindSafe(|| {
            let mut responded = self.respond(py, &head, &connection, body);
            if let Ok(Completed { failures, .. }) = &mut responded {
                if !failures.is_empty() {
                    let timing = Timing::from(connection.owner().revoked());
                    troubles = report::put_into_words(py, failures, timing);
                }
            }
            responded
        }));
        fork::returned(py, None);
        let status = match &served {
            Ok(Ok(completed)) => completed.status,
            Ok(Err(_)) | Err(_) => 500,
        };
        // From here on nothing of the request is left that could run code of the application.
        let time = match self.shared.monitor.slot(self.index) {
            Some(slot) => slot.finish(py, self.cell(), status),
            None => self.cell().end(status),
        };
        self.longest_run = self.longest_run.max(time);

        let revoked = connection.owner().revoked();
        let completed = match served {
            Ok(Ok(completed)) => completed,
            Ok(Err(traceback)) => {
                report::environ_failed(py, &traceback);
                return internal_error(connection, head.kind(), revoked);
            }
            Err(_) => {
                // The panic hook has said where and why.
                error!("a request was lost to a bug in scoter: please report it");
                return internal_error(connection, head.kind(), revoked);
            }
        };
        let timing = Timing::from(revoked);
        report::completed(py, &head, &troubles, &completed, timing);
        if revoked == Some(Revoked::Whole) {
            // The reactor has answered, and ends the connection.
            self.head_buffer = completed.tail.out;
            return None;
        }
        if completed.end == ResponseEnd::PeerGone && timing == Timing::InTime {
            if connection.is_lost() {
                report::connection_lost(Some(&head));
            } else {
                self.shared.peer_gone();
            }
        }
        let entry = Entry {
            head,
            status: completed.status,
            body_bytes: completed.body_bytes,
            accepted: connection.accepted(),
            queued: Some(queued),
            slot: self.index,
        };
        // The response that is next may need the room.
        self.shared.response_memory.free_unneeded(py);
        Some(PendingResponse::new(connection, completed, overrun, entry))
    }

    /// # Errors
    ///
    /// The traceback, where there is no environ.
    fn respond(
        &mut self,
        py: Python<'_>,
        head: &RequestHead,
        connection: &Arc<Connection>,
        body: Body,
    ) -> Result<Completed, String> {
        let (environ, input) = self
            .arguments(py, head, body)
            .map_err(|error| traceback(py, &error))?;
        Ok(respond(
            self.application.bind(py),
            Exchange {
                environ,
                input,
                errors: self.errors.bind(py).clone(),
                transport: Arc::clone(connection) as _,
                method: head.kind(),
                on_return: fork::returned,
                out: std::mem::take(&mut self.head_buffer),
                object_cache: &mut self.object_cache,
            },
        ))
    }

    /// The environ, and the input that is in it.
    fn arguments<'py>(
        &mut self,
        py: Python<'py>,
        head: &RequestHead,
        body: Body,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, Input>)> {
        let input = self.object_cache.input(py, body)?;
        let script_name = match head.packet.header.modifier1 {
            modifier::WSGI_SCRIPT_NAME => ScriptName::Strip,
            _ => ScriptName::AsSent,
        };
        let vars = head.vars();
        let environ = self.environ.build(py, vars, script_name, &input)?;
        set_request_id(&environ, &head.request_id)?;
        Ok((environ, input))
    }

    fn cell(&self) -> &Cell {
        &self.shared.board.cells()[self.index]
    }
}

/// Does what concerns one connection. A panic ends that, and nothing else: the panic hook has
/// said where and why. But where a descriptor of the worker itself is gone, the worker ends.
fn survive<T: Default>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Dropping it might be the next panic.
        std::mem::forget(payload);
        fatal::check_descriptors();
        T::default()
    })
}

/// Lets the application find the id that the logs have.
fn set_request_id(environ: &Bound<'_, PyDict>, id: &RequestId) -> PyResult<()> {
    let py = environ.py();
    let sent = match id.was_sent() {
        // Cheaper than to make the same string again.
        true => environ.get_item(intern!(py, "HTTP_X_REQUEST_ID"))?,
        false => None,
    };
    let name = intern!(py, "scoter.request_id");
    match sent {
        Some(sent) => environ.set_item(name, sent),
        None => environ.set_item(name, id.as_str()),
    }
}

/// What a slot is called where it is lost.
fn part(index: usize) -> String {
    format!("slot {index}")
}

/// The end of a request that was lost, unless it has been answered already.
fn internal_error(
    connection: Arc<Connection>,
    method: Method,
    revoked: Option<Revoked>,
) -> Option<PendingResponse> {
    match revoked {
        None => Some(PendingResponse::bytes(
            connection,
            report::internal_error(method),
        )),
        Some(_) => None,
    }
}

/// Room for the largest packet, 4 + 65 535 bytes, and a body of medium size.
const RECEIVE_BUFFER: usize = 128 * 1_024;

/// Bytes of Python's that are freed before a slot sleeps: less is not worth the GIL.
const MIN_BYTES_TO_FREE: usize = 256 * 1_024;

/// For how long a stop takes what comes from a socket that stays open to newcomers.
const OPEN_SOCKET_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a slot waits for the first bytes of a connection, or of a large body.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use tempfile::TempDir;
    use uwsgi_codec::PacketBuilder;
    use wsgi_environ::ForwardedProto;

    use super::*;
    use crate::listen::Family;

    struct Bench {
        folder: TempDir,
        slot: Slot,
    }

    impl Bench {
        fn new(py: Python<'_>) -> Self {
            let folder = TempDir::new().unwrap();
            let (shared, _) = Shared::of_test(&folder.path().join("socket"), &["--threads", "1"]);
            let service = Service {
                application: py.None(),
                server: ServerInfo {
                    multithread: false,
                    multiprocess: false,
                    server_name: String::new(),
                    server_port: 0,
                    forwarded_proto: ForwardedProto::Ignore,
                },
            };
            let slot = Slot::new(py, 0, shared, &service, None).unwrap();
            Self { folder, slot }
        }

        /// Sends a request to the listener.
        fn connect(&self, path: &str) -> UnixStream {
            let mut client = UnixStream::connect(self.folder.path().join("socket")).unwrap();
            let mut packet = PacketBuilder::new();
            packet.var("PATH_INFO", path).unwrap();
            client.write_all(&packet.to_vec().unwrap()).unwrap();
            client
        }

        /// Leaves a request in the ready queue, as the reactor does.
        fn push(&self, path: &str) -> UnixStream {
            let shared = &self.slot.shared;
            let (ours, client) = UnixStream::pair().unwrap();
            let ours = OwnedFd::from(ours);
            let connection = Arc::new(Connection::new(
                ours,
                Family::Unix,
                shared.connection_timeouts,
            ));
            let head = Arc::new(RequestHead::of([("PATH_INFO", path)]));
            shared.ready.push(Request {
                since: connection.accepted(),
                connection,
                head,
                body: Body::empty(),
                overrun: false,
                permit: None,
            });
            client
        }

        /// Which request the slot finds after `wake`.
        fn look(&mut self, wake: Option<Wake>) -> Option<String> {
            let shared = Arc::clone(&self.slot.shared);
            match self.slot.look(&shared, wake) {
                Some(Next::Serve(request)) => {
                    Some(String::from_utf8_lossy(request.head.uri()?).into_owned())
                }
                _ => None,
            }
        }
    }

    #[test]
    fn slot_woken_for_a_connection_takes_that_whatever_else_has_come() {
        Python::initialize();
        Python::attach(|py| {
            for ending in [None, Some(Ending::Retire), Some(Ending::Drain)] {
                let mut bench = Bench::new(py);
                let _called = bench.connect("/connection");
                let wake = bench.slot.poller.wait().unwrap();
                assert_eq!(wake, Wake::Listener, "{ending:?}");
                // Another slot was woken for this one.
                let _pushed = bench.push("/pushed");
                if let Some(ending) = ending {
                    bench.slot.shared.stop.begin(ending);
                }
                let found = bench.look(Some(wake));
                assert_eq!(found.as_deref(), Some("/connection"), "{ending:?}");
                let next = bench.look(None);
                assert_eq!(next.as_deref(), Some("/pushed"), "{ending:?}");
            }
        });
    }

    #[test]
    fn free_slot_takes_from_the_ready_queue_first() {
        Python::initialize();
        Python::attach(|py| {
            let mut bench = Bench::new(py);
            let _clients = (bench.connect("/connection"), bench.push("/pushed"));
            assert_eq!(bench.look(None).as_deref(), Some("/pushed"));
            assert_eq!(bench.look(None).as_deref(), Some("/connection"));
            assert_eq!(bench.look(None), None);
        });
    }

    #[test]
    fn slot_woken_for_what_others_have_taken_looks_for_something_else() {
        Python::initialize();
        Python::attach(|py| {
            let mut bench = Bench::new(py);
            let _pushed = bench.push("/pushed");
            assert_eq!(bench.look(Some(Wake::Listener)).as_deref(), Some("/pushed"));
            let _called = bench.connect("/connection");
            let found = bench.look(Some(Wake::Ready));
            assert_eq!(found.as_deref(), Some("/connection"));
        });
    }
}
