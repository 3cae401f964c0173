//! Processes that do not respond: they are not relied upon, and replaced.

use std::time::Duration;

use integration_tests::{Scoter, ScoterBuilder, Worker, elapse, get, until};
use nix::sys::signal::Signal;
use serde_json::Value;

fn serving(workers: &str) -> ScoterBuilder {
    Scoter::serving("unresponsive")
        .workers(workers)
        .with_file("unresponsive.py", APPLICATION)
}

/// Closes what the worker has to the master, or keeps the GIL for long.
const APPLICATION: &str = "\
import ctypes, os, socket
import probe, workers


def close_channel():
    for number in map(int, os.listdir('/proc/self/fd')):
        try:
            with socket.socket(fileno=os.dup(number)) as copy:
                is_channel = copy.type == socket.SOCK_SEQPACKET
        except OSError:
            continue
        if is_channel:
            os.close(number)


def closes(environ, start_response):
    close_channel()
    return probe.plain(start_response, 'closed')


def keeps_the_gil(environ, start_response):
    probe.event('keeping')
    ctypes.PyDLL(None).sleep(12)
    return probe.plain(start_response, str(os.getpid()))


own = probe.by_path(closes, keeps_the_gil)


def application(environ, start_response):
    if environ['PATH_INFO'] in ('/closes', '/keeps_the_gil'):
        return own(environ, start_response)
    return workers.application(environ, start_response)


if os.path.exists(os.path.join(probe.FOLDER, 'close at import')):
    close_channel()
";

#[track_caller]
fn assert_serves(scoter: &Scoter) {
    let reply = scoter.connect().packet(&get("/quick")).reply();
    assert_eq!(reply.text(), "quick");
}

/// Waits until whoever asks is told that the server is not ready.
#[track_caller]
fn wait_until_it_is_not_ready(scoter: &Scoter) {
    until("the server is not ready", || {
        let ready = scoter.control().get("/ready");
        (ready.status == 503).then(|| assert!(ready.text().contains("no worker"), "{ready:?}"))
    });
    assert_eq!(scoter.status()["ready"], false);
    assert_eq!(scoter.control().get("/health").status, 503);
    let finished = scoter.command(["status", "--ready"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
}

#[track_caller]
fn wait_until_it_is_ready(scoter: &Scoter) {
    until("the server is ready", || {
        (scoter.status()["ready"] == Value::Bool(true)).then_some(())
    });
    assert_eq!(scoter.control().get("/ready").status, 200);
    assert_eq!(scoter.control().get("/health").status, 200);
}

#[track_caller]
fn wait_for_others(scoter: &Scoter, gone: &[Worker]) -> Vec<Worker> {
    scoter.wait_for_workers_that("other workers", |now| {
        let is_old = |worker: &Worker| gone.iter().any(|old| old.pid() == worker.pid());
        now.len() == gone.len() && !now.iter().any(is_old)
    })
}

#[test]
fn stopped_workers_are_not_ready_and_are_replaced() {
    let scoter = serving("2").start();
    let workers = scoter.wait_for_workers(2);
    for worker in &workers {
        worker.signal(Signal::SIGSTOP);
    }
    wait_until_it_is_not_ready(&scoter);
    for worker in scoter.workers() {
        assert_eq!(worker.phase, "unresponsive", "{worker:?}");
    }
    wait_for_others(&scoter, &workers);
    wait_until_it_is_ready(&scoter);
    assert_serves(&scoter);
    let lines = scoter.log_lines("worker does not respond");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("no heartbeat"), "{lines:?}");
    assert_eq!(scoter.status()["totals"]["replaced"], 2);
}

#[test]
fn worker_that_was_stopped_for_a_moment_is_ready_again() {
    let scoter = serving("1").start();
    let worker = scoter.worker();
    worker.signal(Signal::SIGSTOP);
    wait_until_it_is_not_ready(&scoter);
    worker.signal(Signal::SIGCONT);
    wait_until_it_is_ready(&scoter);
    assert_eq!(scoter.worker().pid(), worker.pid());
}

#[test]
fn server_that_was_frozen_as_a_whole_keeps_its_workers() {
    let scoter = serving("2").start();
    let workers = scoter.wait_for_workers(2);
    // As the freezer of a cgroup does it, or a machine that sleeps. The master comes back first.
    let mut processes = scoter.processes();
    processes.sort_by_key(|process| process.pid() != scoter.pid());
    for process in &processes {
        process.signal(Signal::SIGSTOP);
    }
    elapse(FREEZE);
    for process in &processes {
        process.signal(Signal::SIGCONT);
    }
    wait_until_it_is_ready(&scoter);
    assert_serves(&scoter);
    let pids = |workers: &[Worker]| -> Vec<_> { workers.iter().map(|it| it.pid()).collect() };
    assert_eq!(pids(&scoter.wait_for_workers(2)), pids(&workers));
    assert!(!scoter.stderr().contains("ERROR"), "{}", scoter.stderr());
}

/// Longer than a worker may be silent.
const FREEZE: Duration = Duration::from_secs(12);

#[test]
fn worker_whose_application_keeps_the_gil_for_long_is_not_replaced() {
    let scoter = serving("1").start();
    let pid = scoter.worker().pid();
    let mut keeping = scoter.connect();
    keeping.packet(&get("/keeps_the_gil"));
    scoter.wait_for_event("keeping");
    assert_eq!(keeping.reply().text(), pid.to_string());
    assert_eq!(scoter.worker().pid(), pid);
    assert_eq!(scoter.status()["ready"], true);
}

#[test]
fn worker_whose_launcher_is_stopped_is_not_ready_once_it_is_killed() {
    let scoter = serving("1").start();
    let worker = scoter.worker();
    let launcher = scoter.launcher();
    launcher.signal(Signal::SIGSTOP);
    worker.signal(Signal::SIGKILL);
    wait_until_it_is_not_ready(&scoter);
    wait_for_others(&scoter, std::slice::from_ref(&worker));
    wait_until_it_is_ready(&scoter);
    assert_serves(&scoter);
    assert_ne!(scoter.launcher(), launcher);
    let line = scoter.wait_for_log("worker died");
    assert!(line.contains("SIGKILL"), "{line}");
    worker.wait_until_gone();
    launcher.wait_until_gone();
}

#[test]
fn launcher_that_does_not_fork_is_replaced() {
    let scoter = serving("1").start();
    let (worker, launcher) = (scoter.worker(), scoter.launcher());
    launcher.signal(Signal::SIGSTOP);
    assert_eq!(scoter.command(["scale", "2"]).code, Some(0));
    scoter.wait_for_log("launcher does not respond");
    let workers = scoter.wait_for_workers(2);
    assert!(
        workers.iter().any(|now| now.pid() == worker.pid()),
        "{workers:?}"
    );
    assert_ne!(scoter.launcher(), launcher);
}

#[test]
fn worker_without_a_channel_is_replaced() {
    let scoter = serving("1").start();
    let worker = scoter.worker();
    scoter.connect().packet(&get("/closes")).ending();
    wait_for_others(&scoter, std::slice::from_ref(&worker));
    assert_serves(&scoter);
    worker.wait_until_gone();
    wait_until_it_is_ready(&scoter);
}

#[test]
fn worker_that_loses_its_channel_at_import_is_not_waited_for() {
    let finished = serving("1").with_file("close at import", "").run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let words = "descriptors that are not its own";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
}
