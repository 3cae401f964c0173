//! The number of workers: as configured, as an operator says, or as the load asks for.

use integration_tests::{Peer, Scoter, ScoterBuilder, Worker, get, until, with};
use nix::sys::signal::Signal;

fn serving(workers: &str) -> ScoterBuilder {
    Scoter::serving("workers").workers(workers)
}

/// Sends a request that waits at the gate `name`, perhaps for a thread before that.
fn send_waiting(scoter: &Scoter, name: &str) -> Peer {
    let mut peer = scoter.connect();
    peer.packet(&with(get("/waits"), [("QUERY_STRING", name)]));
    peer
}

#[test]
fn scale_command_changes_the_number_of_workers() {
    let scoter = serving("1").start();
    for (number, said) in [
        ("3", "workers: 1 -> 3\n"),
        ("1", "workers: 3 -> 1\n"),
        ("2", "workers: 1 -> 2\n"),
    ] {
        let finished = scoter.command(["scale", number]);
        assert_eq!(
            (finished.code, &*finished.stdout),
            (Some(0), said),
            "{}",
            finished.stderr
        );
        scoter.wait_for_workers(number.parse().expect("a number"));
    }
    // A reload keeps what the operator has said last.
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    let workers = scoter.wait_for_workers(2);
    assert!(
        workers.iter().all(|worker| worker.generation == 2),
        "{workers:?}"
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    let scoter = serving("1").start();
    for number in ["0", "1025", "many", "-1", ""] {
        let finished = scoter.command(["scale", number]);
        assert_eq!(finished.code, Some(2), "{number}: {finished:?}");
        assert!(!finished.stderr.is_empty(), "{number}");
    }
    assert_eq!(scoter.status()["workers_wanted"], 1);
}

#[test]
fn signals_add_and_take_away_a_worker() {
    let scoter = serving("1").start();
    for (signal, expected) in [
        (Signal::SIGTTIN, 2),
        (Signal::SIGTTIN, 3),
        (Signal::SIGTTOU, 2),
        (Signal::SIGTTOU, 1),
    ] {
        scoter.signal(signal);
        scoter.wait_for_workers(expected);
    }
}

#[test]
fn worker_that_is_too_many_finishes_its_requests() {
    let scoter = serving("2").args(["--threads", "1"]).start();
    let gates = [scoter.gate("a"), scoter.gate("b")];
    let mut peers = [scoter.begin("a"), scoter.begin("b")];
    assert_eq!(scoter.command(["scale", "1"]).code, Some(0));
    until("one retires", || {
        let workers = scoter.workers();
        workers
            .iter()
            .any(|worker| worker.phase == "retiring")
            .then_some(())
    });
    for (gate, peer) in gates.iter().zip(&mut peers) {
        gate.open();
        assert!(peer.reply().text().starts_with("waited at"));
    }
    scoter.wait_for_workers(1);
}

#[test]
fn workers_follow_the_load() {
    let scoter = serving("1..3").args(["--threads", "1"]).start();
    assert_eq!(scoter.workers().len(), 1);
    let refused = scoter.command(["scale", "2"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("1..3"), "{refused:?}");

    let (gate, last) = (scoter.gate("all"), scoter.gate("last"));
    let mut long = scoter.begin("last");
    let mut peers: Vec<_> = (0..3).map(|_| send_waiting(&scoter, "all")).collect();
    let workers = scoter.wait_for_workers(3);
    // There is work for one more, which may not be.
    gate.open_for(3);
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "waited at all");
    }
    // One of three is busy: it is an idle one that is not needed.
    scoter.wait_for_log("removing a worker");
    let left = scoter.wait_for_workers(2);
    let is_old = |worker: &Worker| workers.iter().any(|old| old.pid() == worker.pid());
    assert!(left.iter().all(is_old), "{left:?}");
    last.open();
    assert_eq!(long.reply().text(), "waited at last");
}

#[test]
fn automatic_number_is_that_of_the_cpus_allowed() {
    let scoter = Scoter::serving("workers")
        .default_workers()
        .on_one_cpu()
        .start();
    assert_eq!(scoter.wait_for_workers(1).len(), 1);
    assert_eq!(scoter.status()["workers_wanted"], 1);
    for scoter in [
        serving("auto"),
        Scoter::serving("workers").default_workers(),
    ] {
        let cpus = std::thread::available_parallelism().expect("Linux").get();
        assert_eq!(scoter.start().status()["workers_wanted"], cpus);
    }
}
