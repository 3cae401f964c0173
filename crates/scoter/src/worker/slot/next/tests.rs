use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tempfile::TempDir;
use uwsgi_codec::PacketBuilder;
use wsgi_environ::{Body, ForwardedProto, ServerInfo, Transport};

use super::*;
use crate::net::Family;
use crate::request_head::RequestHead;
use crate::worker::connection::owner::Revoked;
use crate::worker::request::intake::Request;
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
            mounts: None,
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
            queued_since: None,
            connection,
            head,
            body: Body::empty(),
            overrun: false,
            permit: None,
        };
        assert!(shared.ready.push(request).is_ok());
        client
    }

    /// Holds a connection of the listener, as a reactor does.
    fn hold(&self, path: &str) -> UnixStream {
        let shared = &self.slot.shared;
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (ours, timeouts) = (OwnedFd::from(ours), shared.connection_timeouts);
        let connection = Connection::new(ours, Family::Unix, timeouts);
        send(&client, path);
        shared.held.put(0, &connection, Instant::now()).unwrap();
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

    /// Serves requests that run for so long each. Returns those, in the order in which they are
    /// found.
    fn serve_each_for(&mut self, time: Duration) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(path) = self.look(None) {
            self.slot.passed_unasked.end(time);
            found.push(path);
        }
        found
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
        assert_eq!(bench.look(Some(wake)).as_deref(), Some("/third"));
        for expected in ["/first", "/fourth", "/second"] {
            assert_eq!(bench.look(None).as_deref(), Some(expected));
        }
        assert_eq!(bench.look(None), None);
    });
}

#[test]
fn held_connection_wakes_a_slot_and_comes_before_those_of_its_listener() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let _held = bench.hold("/held");
        let wake = bench.slot.poller.wait().unwrap();
        assert_eq!(wake, Wake::Held);
        assert_eq!(bench.look(Some(wake)).as_deref(), Some("/held"));
        // The reactor would have accepted before these came; the slot has not looked since then.
        let _new = ["/1", "/2"].map(|path| bench.connect(path));
        let _held = bench.hold("/held");
        let found = bench.serve_each_for(Duration::from_millis(200));
        assert_eq!(found, ["/1", "/held", "/2"]);
    });
}

#[test]
fn slot_that_drains_the_queues_leaves_no_held_connection() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let _held = bench.hold("/held");
        bench.slot.shared.stop.begin(Ending::Drain);
        assert_eq!(bench.look(None).as_deref(), Some("/held"));
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
fn new_connections_have_every_second_turn_among_kept_ones() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let kept: Vec<_> = (0..6).map(|_| bench.keep()).collect();
        let _new = ["/a", "/b", "/c"].map(|path| bench.connect(path));
        for client in &kept {
            send(client, "/kept");
        }
        let found: Vec<_> = std::iter::from_fn(|| bench.look(None)).collect();
        assert_eq!(found.len(), kept.len() + 3);
        assert_eq!(found[..5], ["/a", "/kept", "/b", "/kept", "/c"]);
    });
}

#[test]
fn connections_of_other_workers_have_every_second_turn() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let kept: Vec<_> = (0..6).map(|_| bench.keep()).collect();
        let passed = ["/a", "/b", "/c"];
        let _passed = passed.map(|path| bench.pass(path));
        for client in &kept {
            send(client, "/kept");
        }
        let mut found: Vec<_> = std::iter::from_fn(|| bench.look(None)).collect();
        assert_eq!(found.len(), kept.len() + passed.len());
        // The first one comes when the poller has it.
        let first = found.iter().position(|path| path == passed[0]).unwrap();
        found.drain(..first);
        assert_eq!(found[..5], ["/a", "/kept", "/b", "/kept", "/c"]);
    });
}

#[test]
fn connections_of_other_workers_do_not_wait_for_all_that_are_new() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let new = ["/1", "/2", "/3", "/4", "/5"];
        let _new = new.map(|path| bench.connect(path));
        let _passed = ["/a", "/b"].map(|path| bench.pass(path));
        assert!(bench.slot.shared.kept.is_empty());
        let found = bench.serve_each_for(Duration::from_millis(200));
        assert_eq!(found, ["/1", "/a", "/2", "/b", "/3", "/4", "/5"]);
    });
}

#[test]
fn connections_of_other_workers_do_not_wait_for_all_that_are_kept() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let kept: Vec<_> = (0..6).map(|_| bench.keep()).collect();
        for client in &kept {
            send(client, "/kept");
        }
        let _passed = bench.pass("/passed");
        let found = bench.serve_each_for(Duration::from_millis(200));
        assert_eq!(found.len(), kept.len() + 1);
        assert_eq!(found.iter().position(|path| path == "/passed"), Some(1));
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
fn connection_is_kept_whatever_still_refers_to_its_last_request() {
    Python::initialize();
    Python::attach(|py| {
        let mut bench = Bench::new(py);
        let shared = Arc::clone(&bench.slot.shared);
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (ours, timeouts) = (OwnedFd::from(ours), shared.connection_timeouts);
        let connection = Arc::new(Connection::new(ours, Family::Unix, timeouts));
        let held = Arc::clone(&connection);
        assert!(shared.kept.keep(connection).is_none());
        let late = [std::io::IoSlice::new(b"late")];
        assert!(held.try_send(&late).is_err() && held.send(&late).is_err());
        assert_eq!(held.owner().revoke(), Revoked::Nothing);
        held.cut();
        held.interrupt();
        drop(held);
        send(&client, "/next");
        assert_eq!(bench.look(None).as_deref(), Some("/next"));
    });
}
