//! A process that gets no thread any more, for the limit of its user or of its cgroup is reached.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use integration_tests::{Running, Scoter, get, post, until};

const FILE_SIZE: usize = 16 << 20;

/// A server whose worker can start no thread, as a user who can open the test's files.
fn serving_without_threads(grace: &str) -> Scoter {
    let scoter = Scoter::serving("threads")
        .args([
            "--threads",
            "2",
            "--request-timeout",
            "300ms",
            "--request-grace",
            grace,
        ])
        .args([
            "--body-buffer",
            "1K",
            "--buffer-body",
            "all",
            "--header-timeout",
            "1s",
        ])
        .start();
    let set_mode = |name: &str, mode| {
        let path = scoter.folder().join(name);
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test's own folder");
    };
    fs::write(scoter.folder().join("file"), vec![b'x'; FILE_SIZE]).expect("there is room");
    set_mode("", 0o755);
    set_mode("events", 0o666);
    let reply = scoter.connect().packet(&get("/stops_threads")).reply();
    assert_eq!(reply.text(), "none");
    scoter
}

#[track_caller]
fn assert_serves(scoter: &Scoter) {
    let reply = scoter.connect().packet(&get("/quick")).reply();
    assert_eq!(reply.text(), "quick");
}

#[test]
fn requests_time_out_without_a_new_thread() {
    let mut scoter = serving_without_threads("60s");
    let worker = scoter.worker().pid();
    // More than there are slots: each has to be ended for the next one to have its turn.
    for count in 1..=4 {
        let reply = scoter.connect().packet(&get("/loops")).reply();
        assert_eq!(reply.status, 504);
        scoter.wait_for_log_lines(count, "request timed out");
    }
    let stacks = scoter.wait_for_log("in loops");
    assert!(stacks.contains("threads.py"), "{stacks}");
    assert_serves(&scoter);
    assert_eq!(scoter.worker().pid(), worker);
    scoter.stop();
}

#[test]
fn request_that_cannot_be_ended_is_dealt_with_without_a_new_thread() {
    let mut scoter = serving_without_threads("100ms");
    let worker = scoter.worker().pid();
    let reply = scoter.connect().packet(&get("/stubborn")).reply();
    assert_eq!(reply.status, 504);
    scoter.wait_for_log("cannot end the request: ending its worker instead");
    until("another worker", || {
        let workers = scoter.workers();
        workers
            .iter()
            .all(|one| one.is_ready() && one.pid() != worker)
            .then_some(())
    });
    Running::new(worker).wait_until_gone();
    assert_serves(&scoter);
    scoter.stop();
}

#[test]
fn what_has_to_wait_does_so_without_a_new_thread() {
    let mut scoter = serving_without_threads("60s");
    let worker = scoter.worker().pid();
    // A line of the log about a connection that the reactor has.
    let mut silent = scoter.connect();
    silent.send(b"\0");
    scoter.wait_for_log("arrived within --header-timeout");
    assert_eq!(silent.reply().status, 408);
    // A body on its way to a file.
    let mut upload = scoter.connect();
    upload.packet(&post("/reads", 1 << 20));
    for _ in 0..16 {
        upload.send(vec![b'x'; 1 << 16]);
    }
    assert_eq!(upload.reply().text(), (1 << 20).to_string());
    // A file whose reader is slow.
    let mut download = scoter.connect();
    download.packet(&get("/file"));
    let beginning = download.read(1_000).len();
    assert_serves(&scoter);
    let rest = download.ending().bytes().len();
    assert!(beginning + rest > FILE_SIZE, "{beginning} and {rest}");
    assert_eq!(scoter.worker().pid(), worker);
    scoter.stop();
}
