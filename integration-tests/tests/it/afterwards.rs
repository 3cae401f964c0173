//! Code of a request that runs when its application has returned or raised: the request is not over yet.

use integration_tests::{Peer, Scoter, ScoterBuilder, get, until, with};
use nix::sys::signal::Signal;

/// What runs late: the text of an exception, and what ends with an exception, a frame of its traceback, a
/// generator there, the environ or a part of the response.
const LATE: [&str; 6] = [
    "message",
    "exception",
    "frame",
    "generator",
    "variable",
    "part",
];

fn serving() -> ScoterBuilder {
    Scoter::serving("afterwards").args(["--threads", "1"])
}

/// Sends a request, and returns when its late code has begun. It waits at a gate of the same name.
#[track_caller]
fn begin(scoter: &Scoter, name: &str) -> Peer {
    let mut peer = scoter.connect();
    peer.packet(&with(get(&format!("/{name}")), [("QUERY_STRING", name)]));
    scoter.wait_for_event(&format!("begun {name}"));
    peer
}

#[track_caller]
fn assert_serves(scoter: &Scoter) {
    let reply = scoter.connect().packet(&get("/quick")).reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "quick"));
}

#[test]
fn request_whose_late_code_takes_too_long_is_answered_for() {
    for name in LATE {
        let scoter = serving()
            .args(["--request-timeout", "300ms", "--request-grace", "60s"])
            .start();
        let gate = scoter.gate(name);
        let reply = begin(&scoter, name).reply();
        assert_eq!(reply.status, 504, "{name}");
        let line = scoter.wait_for_log("request timed out");
        assert!(line.contains(&format!("uri=\"/{name}")), "{line}");
        gate.open_for(2);
        assert_serves(&scoter);
        assert_eq!(scoter.status()["totals"]["peers_gone"], 0, "{name}");
    }
}

#[test]
fn request_whose_late_code_runs_is_running() {
    for name in LATE {
        let mut scoter = serving().start();
        let gate = scoter.gate(name);
        let mut peer = begin(&scoter, name);
        let slot = &scoter.status()["workers"][0]["slots"][0];
        assert_eq!(slot["phase"], "running", "{name}");
        scoter.begin_to_stop(Signal::SIGTERM);
        scoter.wait_for_log("stopping: finishing running requests origin=\"TERM\" running=1");
        gate.open_for(2);
        let status = match name {
            "variable" | "part" => 200,
            _ => 500,
        };
        assert_eq!(peer.reply().status, status, "{name}");
        assert_eq!(scoter.wait().code, Some(0), "{name}");
    }
}

#[test]
fn exception_that_nobody_will_read_is_not_put_into_words() {
    let scoter = serving()
        .args(["--request-timeout", "300ms", "--request-grace", "60s"])
        .start();
    // The application has been ended: what it raises then follows from that, and is for those who debug.
    let gate = scoter.gate("late_message");
    let reply = begin(&scoter, "late_message").reply();
    assert_eq!(reply.status, 504);
    gate.open();
    assert_serves(&scoter);
    until("the request is over", || {
        let slot = &scoter.status()["workers"][0]["slots"][0];
        (slot["phase"] == "idle").then_some(())
    });
    assert!(!scoter.events().contains(&"told".to_owned()));
}
