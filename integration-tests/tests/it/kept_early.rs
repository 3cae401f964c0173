//! A connection is the next request's as soon as the peer has the whole response, whatever the application does then.

use integration_tests::{Peer, Scoter, get, keeping, until, with};
use uwsgi_codec::PacketBuilder;

use crate::kept_connections::{agrees, asking, figure, posting};

/// A complete response, and then `what`.
fn behind(what: &str) -> PacketBuilder {
    keeping(with(get("/behind"), [("QUERY_STRING", what)]), 0)
}

/// Sends it, receives the whole response, and sends the next request.
#[track_caller]
fn post_behind(peer: &mut Peer, what: &str) {
    let reply = peer.packet(&behind(what)).next_reply("GET");
    assert!(
        agrees(&reply) && reply.text() == "full",
        "{what}: {reply:?}"
    );
    peer.send(posting("/body", b"posted"));
}

#[track_caller]
fn assert_posted(peer: &mut Peer, what: &str) {
    let reply = peer.next_reply("POST");
    assert!(
        agrees(&reply) && reply.text() == "posted",
        "{what}: {reply:?}"
    );
}

#[test]
fn misfortune_behind_a_complete_response_loses_no_request() {
    let scoter = Scoter::serving("kept").start();
    let mut peer = scoter.connect();
    for what in ["raise", "exit", "close", "file", "more", "write"] {
        for _ in 0..5 {
            post_behind(&mut peer, what);
            assert_posted(&mut peer, what);
        }
    }
    assert_eq!(figure(&scoter, "out_of_step"), 0);
    assert!(scoter.log_lines("too late").len() >= 4 * 5);
}

#[test]
fn request_behind_a_response_does_not_wait_for_its_application() {
    let scoter = Scoter::serving("kept").args(["--threads", "2"]).start();
    let mut peer = scoter.connect();
    for what in ["slow", "slow-close"] {
        let gate = scoter.gate(what);
        post_behind(&mut peer, what);
        assert_posted(&mut peer, what);
        gate.open();
        scoter.wait_for_event(&format!("finished {what}"));
    }
    assert_eq!(figure(&scoter, "passed_on"), 0);
}

#[test]
fn another_worker_takes_over_while_the_application_still_runs() {
    let scoter = Scoter::serving("kept")
        .workers("2")
        .args(["--threads", "1"])
        .start();
    scoter.wait_for_workers(2);
    let gate = scoter.gate("slow-close");
    let mut peer = scoter.connect();
    post_behind(&mut peer, "slow-close");
    assert_posted(&mut peer, "slow-close");
    until("it has been counted", || {
        (figure(&scoter, "passed_on") == 1).then_some(())
    });
    gate.open();
}

#[test]
fn timeout_behind_a_complete_response_cuts_nothing() {
    let scoter = Scoter::serving("kept")
        .args(["--threads", "1", "--request-timeout", "300ms"])
        .start();
    let gate = scoter.gate("slow");
    let mut peer = scoter.connect();
    post_behind(&mut peer, "slow");
    scoter.wait_for_log("answered=\"completely\"");
    gate.open();
    assert_posted(&mut peer, "slow");
}

#[test]
fn connections_of_other_workers_count_towards_the_bound() {
    let scoter = Scoter::serving("kept")
        .workers("4")
        .args(["--threads", "1", "--keep-alive", "3"])
        .start();
    scoter.wait_for_workers(4);
    let mut peers: Vec<_> = (0..24).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        peer.packet(&asking("/text")).next_reply("GET");
    }
    assert!(figure(&scoter, "idle") > 3);
    scoter.command(["scale", "1"]);
    scoter.wait_for_workers(1);
    until("the worker that stays has as many as it may", || {
        (figure(&scoter, "idle") <= 3).then_some(())
    });
    let mut peer = scoter.connect();
    let reply = peer.packet(&asking("/text")).next_reply("GET");
    assert_eq!(reply.text(), "text");
}
