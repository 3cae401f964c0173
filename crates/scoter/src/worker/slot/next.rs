//! What a slot does next: looks for connections and for ready requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::debug;

use crate::sys::fatal;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::request::intake::Request;
use crate::worker::request::ready_queue::Popped;
use crate::worker::response::refusal::{Refusal, Refused};
use crate::worker::slot::admission::Decision;
use crate::worker::slot::poller::Wake;
use crate::worker::slot::{Next, Slot, part, survive};
use crate::worker::stop::Ending;

impl Slot {
    /// Takes a request in hand, unless nobody waits for it any more, or it has waited for too
    /// long.
    pub(super) fn admit(&mut self, mut request: Box<Request>) -> Option<Box<Request>> {
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
                    "the peer disconnected before its turn"
                );
                return None;
            }
            Decision::Late(waited) => {
                let refused = Refused {
                    refusal: Refusal::QueueTimeout { waited },
                    head: Some(request.head),
                };
                self.refuse(request.connection, &refused);
                return None;
            }
        }
        if let Some(slot) = shared.monitor.slot(self.index) {
            slot.begin(&request);
        }
        Some(request)
    }

    pub(super) fn next(&mut self) -> Next {
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
    fn look(&mut self, shared: &Shared, mut wake: Option<Wake>) -> Option<Next> {
        loop {
            // First of all, even where the slot is to leave: the kernel wakes one sleeper for a
            // connection (EPOLLEXCLUSIVE), and this was it. Nobody else comes for it until a
            // slot is done or the next connection arrives. What is in the ready queue has woken
            // another slot.
            if let Some(next) = wake.take().and_then(|wake| self.follow(shared, wake)) {
                return Some(next);
            }
            if let Some(connection) = self.signalled.take() {
                if let Some(next) = self.serve_from(connection) {
                    return Some(next);
                }
                continue;
            }
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
            let mut asks_listeners = true;
            if ending.is_none() && self.is_turn_of_poller(shared) {
                // Kept connections and new ones, in the order in which they became ready.
                wake = self
                    .poller
                    .look()
                    .unwrap_or_else(|errno| self.lose_poller(errno));
                if wake.is_some() {
                    continue;
                }
                asks_listeners = self.is_nudged;
            }
            let found = asks_listeners.then(|| self.accept()).flatten();
            let found = found.or_else(|| self.receive_overlooked(shared));
            if let Some(connection) = found {
                match self.serve_from(connection) {
                    Some(next) => return Some(next),
                    None => continue,
                }
            }
            self.longest_run = Duration::ZERO;
            if std::mem::take(&mut self.frees_memory) {
                return Some(Next::FreeMemory);
            }
            if ending == Some(Ending::Drain) {
                if let Some(connection) = self.receive_passed(shared) {
                    match self.serve_from(connection) {
                        Some(next) => return Some(next),
                        None => continue,
                    }
                }
                // Nobody waits in the kernel's queue. What the reactor has still comes.
                self.stop_accepting();
            }
            return None;
        }
    }

    /// Does what the slot was woken for, unless another one has.
    fn follow(&mut self, shared: &Shared, wake: Wake) -> Option<Next> {
        match wake {
            Wake::Listener => {
                let connection = self.accept()?;
                self.serve_from(connection)
            }
            Wake::Kept(ticket) => {
                let connection = shared.kept.claim(ticket)?;
                self.serve_from(connection)
            }
            Wake::Passed => {
                let connection = self.receive_passed(shared)?;
                self.serve_from(connection)
            }
            Wake::Ready => match shared.ready.pop() {
                Popped::Request(request) => {
                    self.wake_policy.request_taken();
                    Some(Next::Serve(request))
                }
                Popped::Empty => {
                    self.is_nudged = true;
                    None
                }
                Popped::Closed => Some(Next::End),
            },
            Wake::Unneeded => {
                shared.response_memory.consume_wakeup();
                Some(Next::FreeMemory)
            }
            Wake::Signal => Some(Next::CheckSignals),
            Wake::Stop => None,
        }
    }

    /// A connection that another worker has passed on, where a nudge has said that nobody may have
    /// been woken for it.
    fn receive_overlooked(&mut self, shared: &Shared) -> Option<Arc<Connection>> {
        let passed = self
            .is_nudged
            .then(|| self.receive_passed(shared))
            .flatten();
        self.is_nudged = passed.is_some();
        passed
    }

    /// Whether the slot asks its poller before it sleeps, and not only the listeners: always
    /// where connections are kept, and else now and then, for those that other workers leave.
    fn is_turn_of_poller(&mut self, shared: &Shared) -> bool {
        self.turn = self.turn.wrapping_add(1);
        !shared.kept.is_empty() || self.turn % TURNS_OF_LISTENERS == 0
    }

    /// A request of a connection, if it has one now.
    fn serve_from(&mut self, connection: Arc<Connection>) -> Option<Next> {
        // Boxed inside, so that only a pointer is handed on.
        let request = survive(|| self.receive(connection).map(Box::new))?;
        Some(Next::Serve(request))
    }

    fn receive_passed(&self, shared: &Shared) -> Option<Arc<Connection>> {
        shared.kept.receive_passed(shared.connection_timeouts)
    }

    fn lose_poller(&self, errno: Errno) -> ! {
        fatal::check_descriptors();
        fatal::end_process(&part(self.index), &errno)
    }

    fn stop_accepting(&mut self) {
        let shared = &self.shared;
        self.poller.stop_accepting(shared);
        self.cell().leave();
        shared.report_not_accepting();
        shared.reactor.slot_drained(self.index);
    }

    /// Takes the next connection, from each listener in turn.
    fn accept(&mut self) -> Option<Arc<Connection>> {
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
                let connection = Connection::new(fd, listener.family(), timeouts);
                return Some(Arc::new(connection));
            }
        }
        None
    }
}

/// How often in a row a slot asks only the listeners, where no connection is kept.
const TURNS_OF_LISTENERS: u32 = 64;

/// For how long a stop takes what comes from a socket that stays open to newcomers.
const OPEN_SOCKET_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use pyo3::prelude::*;
    use tempfile::TempDir;
    use uwsgi_codec::PacketBuilder;
    use wsgi_environ::{Body, ForwardedProto, ServerInfo};

    use super::*;
    use crate::net::Family;
    use crate::request_head::RequestHead;
    use crate::worker::slot::Service;

    struct Bench {
        folder: TempDir,
        slot: Slot,
    }

    fn send(mut client: &UnixStream, path: &str) {
        let mut packet = PacketBuilder::new();
        packet.var("PATH_INFO", path).unwrap();
        client.write_all(&packet.to_vec().unwrap()).unwrap();
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
            let client = UnixStream::connect(self.folder.path().join("socket")).unwrap();
            send(&client, path);
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
            let head = RequestHead::of([("PATH_INFO", path)]);
            let request = Request {
                since: connection.accepted(),
                connection,
                head,
                body: Body::empty(),
                overrun: false,
                permit: None,
            };
            assert!(shared.ready.push(request).is_ok());
            client
        }

        /// Keeps a connection, as after its first response.
        fn keep(&self) -> UnixStream {
            let shared = &self.slot.shared;
            let (ours, client) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let (ours, timeouts) = (OwnedFd::from(ours), shared.connection_timeouts);
            let connection = Connection::new(ours, Family::Unix, timeouts);
            assert!(shared.kept.keep(Arc::new(connection)).is_none());
            client
        }

        /// Passes on a connection with a request, as another worker does.
        fn pass(&self, path: &str) -> UnixStream {
            let (ours, client) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let queue = self.slot.shared.kept.queue().unwrap();
            queue.send(ours.as_fd(), Family::Unix, 1).unwrap();
            send(&client, path);
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

    #[test]
    fn nudged_slot_finds_all_that_nobody_was_woken_for() {
        Python::initialize();
        Python::attach(|py| {
            let mut bench = Bench::new(py);
            let shared = Arc::clone(&bench.slot.shared);
            let _kept = bench.keep();
            bench.slot.poller.miss_connections(&shared);
            let _new = [bench.connect("/first"), bench.connect("/second")];
            let _passed = [bench.pass("/third"), bench.pass("/fourth")];
            assert_eq!(bench.look(None), None);
            shared.ready.nudge();
            let wake = bench.slot.poller.wait().unwrap();
            assert_eq!(bench.look(Some(wake)).as_deref(), Some("/first"));
            for expected in ["/second", "/third", "/fourth"] {
                assert_eq!(bench.look(None).as_deref(), Some(expected));
            }
            assert_eq!(bench.look(None), None);
        });
    }

    #[test]
    fn request_is_found_again_where_it_could_not_be_passed_on() {
        Python::initialize();
        Python::attach(|py| {
            let mut bench = Bench::new(py);
            let shared = Arc::clone(&bench.slot.shared);
            let client = bench.keep();
            send(&client, "/first");
            let Ok(Wake::Kept(ticket)) = bench.slot.poller.wait() else {
                panic!("the connection is kept")
            };
            let connection = shared.kept.claim(ticket).unwrap();
            // Another slot sees an event before the connection is idle again.
            assert!(shared.kept.claim(ticket).is_none());
            shared.kept.put_back(connection, Instant::now()).unwrap();
            assert_eq!(bench.look(None).as_deref(), Some("/first"));
            assert_eq!(bench.look(None), None);
        });
    }

    #[test]
    fn kept_and_new_connections_take_turns_as_they_became_ready() {
        Python::initialize();
        Python::attach(|py| {
            let mut bench = Bench::new(py);
            let clients = [bench.keep(), bench.keep()];
            send(&clients[1], "/first");
            let _new = bench.connect("/second");
            send(&clients[0], "/third");
            for expected in ["/first", "/second", "/third"] {
                assert_eq!(bench.look(None).as_deref(), Some(expected));
            }
            assert_eq!(bench.look(None), None);
        });
    }

    #[test]
    fn request_that_came_before_its_connection_was_idle_is_found() {
        Python::initialize();
        Python::attach(|py| {
            let mut bench = Bench::new(py);
            let client = bench.keep();
            let shared = Arc::clone(&bench.slot.shared);
            let wake = || match bench.slot.poller.wait() {
                Ok(Wake::Kept(ticket)) => ticket,
                other => panic!("{other:?}"),
            };
            send(&client, "/first");
            let ticket = wake();
            let connection = shared.kept.claim(ticket).unwrap();
            let mut buffer = bytes::BytesMut::with_capacity(1_024);
            connection.recv_into(&mut buffer).unwrap();
            // Another slot is woken for what comes meanwhile.
            send(&client, "/second");
            assert!(shared.kept.claim(wake()).is_none());
            bench.slot.signalled = shared.kept.keep(connection);
            assert!(bench.slot.signalled.is_some());
            assert_eq!(bench.look(None).as_deref(), Some("/second"));
        });
    }

    #[test]
    fn connection_that_is_held_elsewhere_is_not_kept() {
        Python::initialize();
        Python::attach(|py| {
            let bench = Bench::new(py);
            let shared = &bench.slot.shared;
            let (ours, mut client) = UnixStream::pair().unwrap();
            let (ours, timeouts) = (OwnedFd::from(ours), shared.connection_timeouts);
            let connection = Arc::new(Connection::new(ours, Family::Unix, timeouts));
            let held = Arc::clone(&connection);
            assert!(shared.kept.keep(connection).is_none());
            assert!(shared.kept.is_empty());
            let mut received = String::new();
            std::io::Read::read_to_string(&mut client, &mut received).unwrap();
            assert!(client.write_all(b"next").is_err());
            drop(held);
        });
    }
}
