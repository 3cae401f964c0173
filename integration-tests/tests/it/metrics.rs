//! What the server counts, and who may read it.

use std::fmt::Debug;

use integration_tests::{Scoter, post, request, until};
use nix::sys::signal::Signal;

/// Waits until a value is as expected: a request is counted when its response has left.
#[track_caller]
fn wait_for<T: PartialEq + Debug>(expected: &T, read: impl Fn() -> T) {
    until(&format!("{expected:?}"), || {
        (read() == *expected).then_some(())
    });
}

/// The finished requests by status class.
fn responses(scoter: &Scoter) -> [u64; 5] {
    let status = scoter.status();
    ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
        let number = &status["totals"]["responses"][class];
        number.as_u64().expect("a number")
    })
}

#[test]
fn finished_requests_are_counted_and_stay_so_whatever_becomes_of_their_worker() {
    let scoter = Scoter::serving("failures")
        .args(["--max-body", "10"])
        .start();
    let ask = |path: &str| {
        let packet = request("GET", path);
        scoter.connect().packet(&packet).reply().status
    };
    assert_eq!(ask("/fine"), 200);
    assert_eq!(ask("/before_start"), 500);
    assert_eq!(
        scoter.connect().packet(&post("/fine", 11)).reply().status,
        413
    );
    wait_for(&[0, 1, 0, 1, 1], || responses(&scoter));

    // A worker that is killed.
    let worker = scoter.worker();
    worker.signal(Signal::SIGKILL);
    let successors = scoter.wait_for_workers_that("a successor", |workers| {
        workers.len() == 1 && workers[0].pid() != worker.pid()
    });
    assert_eq!(responses(&scoter), [0, 1, 0, 1, 1]);
    assert_eq!(ask("/fine"), 200);
    wait_for(&[0, 2, 0, 1, 1], || responses(&scoter));

    // A reload, and an upgrade.
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    successors[0].wait_until_gone();
    assert_eq!(responses(&scoter), [0, 2, 0, 1, 1]);
    assert_eq!(ask("/fine"), 200);
    wait_for(&[0, 3, 0, 1, 1], || responses(&scoter));
    assert_eq!(scoter.command(["reload", "--upgrade"]).code, Some(0));
    assert_eq!(responses(&scoter), [0, 3, 0, 1, 1]);
    assert_eq!(ask("/fine"), 200);
    wait_for(&[0, 4, 0, 1, 1], || responses(&scoter));
}

#[test]
fn status_says_how_long_requests_took_and_waited() {
    let scoter = Scoter::serving("streaming").start();
    assert!(scoter.status()["latency"]["p50_ms"].is_null());
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    gate.open();
    peer.reply();
    let status = until("a finished request", || {
        let status = scoter.status();
        status["latency"]["p99_ms"].is_f64().then_some(status)
    });
    for times in ["latency", "queue"] {
        let [p50, p99] = ["p50_ms", "p99_ms"].map(|name| status[times][name].as_f64());
        assert!(p50 > Some(0.0) && p50 <= p99, "{times} of {status}");
    }
    assert!(status["requests_per_second"].is_f64(), "{status}");
    until("a measured worker", || {
        let status = scoter.status();
        status["workers"][0]["cpu_ratio"].is_f64().then_some(())
    });
}
