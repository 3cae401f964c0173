//! More requests on kept connections than the queue between the workers holds: each is answered, whatever happens to
//! the workers meanwhile.

use integration_tests::{Gate, Peer, Scoter, get, keeping, until, with};
use nix::sys::signal::Signal;

use crate::kept_connections::{agrees, asking, figure, posting};

/// Two busy workers, a full queue between them, and hundreds of requests that wait.
struct Full {
    scoter: Scoter,
    waiting: Vec<Peer>,
    busy: Vec<Busy>,
}

/// What a busy worker does: a request that waits at a gate.
struct Busy {
    worker: String,
    peer: Peer,
    gate: Gate,
}

/// Connections that wait: more than twice as many as the queue holds (net.core.wmem_default), and many more than
/// `--max-pending`.
const WAITING: usize = 700;

impl Full {
    fn new(args: &[&str]) -> Self {
        let scoter = Scoter::serving("kept")
            .workers("2")
            .args([
                "--threads",
                "1",
                "--keep-alive",
                "1000",
                "--max-pending",
                "8",
            ])
            .args(args)
            .start();
        scoter.wait_for_workers(2);
        let kept = || {
            let mut peer = scoter.connect();
            assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
            peer
        };
        let mut waiting: Vec<Peer> = (0..WAITING).map(|_| kept()).collect();
        let mut begun = Vec::new();
        let busy = ["one", "two"].map(|name| {
            let gate = scoter.gate(name);
            let mut peer = scoter.connect();
            peer.packet(&keeping(
                with(get("/who_waits"), [("QUERY_STRING", name)]),
                0,
            ));
            let worker = until("it has begun", || {
                let mut events = scoter.events().into_iter();
                events.find(|event| event.starts_with("begun") && !begun.contains(event))
            });
            begun.push(worker.clone());
            let worker = worker.replace("begun in ", "");
            Busy { worker, peer, gate }
        });
        for peer in &mut waiting {
            peer.send(posting("/body", b"posted"));
        }
        until("many have been passed on", || {
            (figure(&scoter, "passed_on") > 100).then_some(())
        });
        let mut before = 0;
        until("the queue is full", || {
            let now = figure(&scoter, "passed_on");
            (std::mem::replace(&mut before, now) == now).then_some(())
        });
        assert!(before < WAITING as u64, "{before}");
        let busy = busy.into();
        Self {
            scoter,
            waiting,
            busy,
        }
    }

    /// Has the workers go on, and expects an answer to each request.
    #[track_caller]
    fn assert_all_are_answered(&mut self) {
        for busy in &mut self.busy {
            busy.gate.open();
        }
        for (number, peer) in self.waiting.iter_mut().enumerate() {
            let reply = peer.try_next_reply("POST");
            let reply =
                reply.unwrap_or_else(|error| panic!("{number}: {error}\n{}", self.scoter.stderr()));
            assert_eq!((reply.status, &*reply.text()), (200, "posted"), "{number}");
        }
        for Busy { peer, worker, .. } in &mut self.busy {
            assert_eq!(peer.next_reply("GET").text(), *worker);
        }
    }
}

#[test]
fn requests_beyond_the_room_of_the_queue_are_answered() {
    let mut full = Full::new(&[]);
    full.assert_all_are_answered();
    let mut again = full.waiting.pop().expect("there are some");
    let reply = again.packet(&asking("/text")).next_reply("GET");
    assert!(agrees(&reply), "{reply:?}");
}

#[test]
fn reload_with_a_full_queue_loses_no_request() {
    let mut full = Full::new(&[]);
    full.scoter.signal(Signal::SIGHUP);
    full.scoter.wait_for_log("generation=2");
    full.assert_all_are_answered();
}

#[test]
fn stop_with_a_full_queue_loses_no_request() {
    let mut full = Full::new(&[]);
    full.scoter.begin_to_stop(Signal::SIGTERM);
    full.scoter
        .wait_for_log("stopping: finishing running requests");
    full.assert_all_are_answered();
    full.scoter.wait();
}

#[test]
fn scaling_down_with_a_full_queue_loses_no_request() {
    let mut full = Full::new(&[]);
    assert_eq!(full.scoter.command(["scale", "1"]).code, Some(0));
    full.assert_all_are_answered();
}

#[test]
fn connection_that_a_response_has_promised_to_keep_survives_a_full_queue() {
    let mut full = Full::new(&[]);
    assert_eq!(full.scoter.command(["scale", "1"]).code, Some(0));
    let retiring = until("a worker retires", || {
        let status = full.scoter.status();
        let workers = status["workers"].as_array()?;
        let retiring = workers
            .iter()
            .find(|worker| worker["phase"] == "retiring")?;
        Some(retiring["pid"].to_string())
    });
    let place = full.busy.iter().position(|busy| busy.worker == retiring);
    let mut busy = full.busy.remove(place.expect("both are busy"));
    busy.gate.open();
    assert!(agrees(&busy.peer.next_reply("GET")));
    // The other worker is still busy, and the queue full.
    busy.peer.send(posting("/body", b"later"));
    full.assert_all_are_answered();
    let reply = busy.peer.next_reply("POST");
    assert_eq!((reply.status, &*reply.text()), (200, "later"));
}

#[test]
fn recycling_with_a_full_queue_loses_no_request() {
    let mut full = Full::new(&[]);
    full.scoter.wait_for_workers(2)[0].signal(Signal::SIGTERM);
    full.scoter.wait_for_log("worker ready");
    full.assert_all_are_answered();
}

#[test]
fn stop_during_a_reload_loses_no_request() {
    let mut full = Full::new(&[]);
    full.scoter.signal(Signal::SIGHUP);
    full.scoter.wait_for_log("generation=2");
    full.scoter.begin_to_stop(Signal::SIGTERM);
    full.assert_all_are_answered();
    full.scoter.wait();
}
