//! The server as PID 1, as in a container: skipped, with a word, where the machine makes no PID namespaces.

use std::fs;
use std::process::{Command, Stdio};

use integration_tests::{Finished, Running, Scoter, ScoterBuilder, get, skip, until};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid};

/// Has a command become PID 1 of a namespace of its own. It ends with the test: it is in the family.
fn alone(scoter: ScoterBuilder) -> Option<ScoterBuilder> {
    let mut unshare = vec!["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    if !Uid::effective().is_root() {
        unshare.push("--map-root-user");
    }
    let mut attempt = Command::new(unshare[0]);
    attempt
        .args(&unshare[1..])
        .arg("true")
        .stderr(Stdio::null());
    if !attempt.status().is_ok_and(|status| status.success()) {
        skip("this machine makes no PID namespaces, or has no unshare(1)");
        return None;
    }
    Some(scoter.under(unshare))
}

/// The server itself: the test has started unshare, which waits for it.
fn master(scoter: &Scoter) -> Running {
    let pid = scoter.status()["pid"].as_i64();
    assert_eq!(pid, Some(1), "as it sees itself");
    let is_child = |process: &Running| parent(process) == Some(scoter.pid());
    let mut family = scoter.family().into_iter();
    family.find(is_child).expect("unshare has one child")
}

fn parent(process: &Running) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Some(Pid::from_raw(line.trim().parse().ok()?))
}

/// The processes of the namespace whose program is `name`.
fn programs(scoter: &Scoter, name: &str) -> Vec<Running> {
    let mut family = scoter.family();
    family.retain(|process| process.name() == name);
    family
}

#[track_caller]
fn end(scoter: &mut Scoter, signal: Signal) -> Finished {
    master(scoter).signal(signal);
    // unshare ends with the exit code of its child.
    scoter.wait()
}

#[test]
fn first_process_serves_reloads_and_stops() {
    let Some(scoter) = alone(Scoter::serving("hello").workers("2")) else {
        return;
    };
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let Some(scoter) = alone(Scoter::serving("hello").workers("2")) else {
            return;
        };
        let mut scoter = scoter.start();
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
        for (generation, reload) in [(2, Signal::SIGHUP), (3, Signal::SIGUSR2)] {
            master(&scoter).signal(reload);
            scoter.wait_for_log(&format!("reloaded generation={generation}"));
            assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
        }
        let finished = end(&mut scoter, signal);
        assert_eq!(finished.code, Some(0), "{signal}: {}", finished.stderr);
        assert!(!scoter.socket().exists());
        scoter.wait_until_all_are_gone();
    }
    drop(scoter);
}

/// Leaves processes behind whose parent is gone: PID 1 inherits them.
const ORPHANS: &str = "\
import subprocess
from probe import plain

def application(environ, start_response):
    for end in 'exit 3', 'kill -9 $$':
        script = f'head -c 1 gates/orphan >/dev/null; {end}'
        subprocess.run(['sh', '-c', 'sh -c \"$0\" & exit 0', script])
    return plain(start_response, 'left')
";

#[test]
fn orphans_are_reaped_whatever_their_exit_code() {
    let scoter = Scoter::serving("orphans").with_file("orphans.py", ORPHANS);
    let Some(scoter) = alone(scoter) else { return };
    let mut scoter = scoter.start();
    let gate = scoter.gate("orphan");
    let workers = scoter.wait_for_workers(1);
    for _ in 0..3 {
        assert_eq!(scoter.connect().packet(&get("/")).reply().text(), "left");
    }
    let first = master(&scoter);
    let orphans = until("PID 1 has six orphans", || {
        let mut shells = programs(&scoter, "sh");
        shells.retain(|shell| parent(shell) == Some(first.pid()));
        (shells.len() == 6).then_some(shells)
    });
    gate.open_for(6);
    for orphan in orphans {
        // A zombie would still be there.
        orphan.wait_until_gone();
    }
    assert_eq!(scoter.connect().packet(&get("/")).reply().text(), "left");
    assert_eq!(scoter.wait_for_workers(1)[0].id, workers[0].id);
    let status = scoter.status();
    assert_eq!(status["workers"][0]["pid"], workers[0].pid().as_raw());
    assert_eq!(status["totals"]["crashed"], 0, "{status}");
    assert!(!scoter.stderr().contains("ERROR"), "{}", scoter.stderr());
    let finished = end(&mut scoter, Signal::SIGTERM);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn orphans_are_reaped_when_the_server_is_not_the_first_process_too() {
    // Whatever a worker leaves behind comes to the master, which must not collect zombies for months.
    let scoter = Scoter::serving("children").start();
    let gate = scoter.gate("child");
    scoter.connect().packet(&get("/executes")).reply();
    let orphan = programs(&scoter, "cat");
    assert_eq!(orphan.len(), 1, "{orphan:?}");
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    scoter.wait_for_workers(1);
    until("the master has inherited it", || {
        (parent(&orphan[0]) == Some(scoter.pid())).then_some(())
    });
    // Nobody can write to its standard input any more.
    drop(gate);
    orphan[0].wait_until_gone();
    assert_eq!(scoter.status()["totals"]["crashed"], 0);
}

#[test]
fn stop_does_not_wait_for_orphans() {
    let scoter = Scoter::serving("orphans").with_file("orphans.py", ORPHANS);
    let Some(scoter) = alone(scoter) else { return };
    let mut scoter = scoter.start();
    let _gate = scoter.gate("orphan");
    assert_eq!(scoter.connect().packet(&get("/")).reply().text(), "left");
    let finished = end(&mut scoter, Signal::SIGTERM);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    // The kernel ends the rest with PID 1.
    scoter.wait_until_all_are_gone();
}

#[test]
fn exit_codes_are_those_of_any_server() {
    for (scoter, code) in [
        (Scoter::serving("no_such_module"), 3),
        (Scoter::serving("hello").args(["--threads", "0"]), 2),
    ] {
        let Some(scoter) = alone(scoter) else { return };
        let finished = scoter.run();
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
    }
}

#[test]
fn worker_that_is_killed_is_replaced() {
    let Some(scoter) = alone(Scoter::serving("hello")) else {
        return;
    };
    let scoter = scoter.start();
    let before = scoter.status()["workers"][0]["pid"].clone();
    let first = master(&scoter);
    let is_worker = |process: &Running| process.name().starts_with("scoter-w");
    let mut family = scoter.family().into_iter();
    family
        .find(is_worker)
        .expect("there is one")
        .signal(Signal::SIGKILL);
    let line = scoter.wait_for_log("worker died");
    assert!(line.contains("KILL"), "{line}");
    until("another one serves", || {
        let status = scoter.status();
        let worker = &status["workers"][0];
        (worker["phase"] == "ready" && worker["pid"] != before).then_some(())
    });
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    first.signal(Signal::SIGTERM);
    scoter.wait_until_all_are_gone();
}
