//! What happens while something else is going on: a reload, a stop, a replacement.

use std::fs;
use std::thread;

use integration_tests::{
    Connections, Crowd, Finished, Gate, Running, Scoter, Site, Worker, get, through_nginx, until,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::reload::{ask, serving_version_1, version};

/// Puts code in place that waits at a gate before it is version 2, has it loaded, and returns who loads it.
fn begin_reload(scoter: &Scoter) -> (Gate, Running) {
    let gate = scoter.gate("import");
    let slow =
        "import os, probe\nprobe.event(f'importing {os.getpid()}')\nprobe.wait_at('import')\n";
    scoter.put("changing.py", &format!("{slow}{}", version(2)));
    scoter.signal(Signal::SIGHUP);
    let pid = until("the new code is being imported", || {
        let events = scoter.events();
        let mut events = events.iter();
        events.find_map(|event| event.strip_prefix("importing ")?.parse().ok())
    });
    (gate, Running::new(Pid::from_raw(pid)))
}

fn said(finished: &Finished) -> String {
    format!(
        "{:?}: {}{}",
        finished.code, finished.stdout, finished.stderr
    )
}

#[test]
fn stop_during_a_reload_is_a_stop() {
    for preload in ["--preload=false", "--preload"] {
        let mut scoter = serving_version_1().args([preload]).start();
        let gate = scoter.gate("a");
        let mut running = scoter.begin("a");
        let (_never, _importing) = begin_reload(&scoter);
        scoter.begin_to_stop(Signal::SIGTERM);
        gate.open();
        assert_eq!(running.reply().text(), "1", "{preload}");
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{preload}: {}", finished.stderr);
        assert_eq!(scoter.family(), [], "{preload}");
        assert!(!scoter.socket().exists(), "{preload}");
    }
}

#[test]
fn who_has_connected_while_the_only_worker_is_replaced_is_answered_before_the_stop() {
    let mut scoter = serving_version_1().start();
    let gate = scoter.gate("import");
    let slow = "import probe\nprobe.event('importing')\nprobe.wait_at('import')\n";
    scoter.put("changing.py", &format!("{slow}{}", version(2)));
    scoter.worker().signal(Signal::SIGKILL);
    scoter.wait_for_event("importing");
    let mut waiting = scoter.connect();
    waiting.packet(&get("/version"));
    scoter.begin_to_stop(Signal::SIGTERM);
    gate.open();
    assert_eq!(waiting.reply().text(), "2");
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn who_waits_for_a_reload_hears_of_the_stop() {
    let mut scoter = serving_version_1().start();
    let never = scoter.gate("import");
    scoter.put(
        "changing.py",
        "import probe\nprobe.event('importing')\nprobe.wait_at('import')\n",
    );
    thread::scope(|scope| {
        let reloading = scope.spawn(|| scoter.command(["reload"]));
        scoter.wait_for_event("importing");
        scoter.signal(Signal::SIGTERM);
        let finished = reloading.join().expect("no assertion in it");
        assert_eq!(finished.code, Some(1), "{}", said(&finished));
        assert!(finished.stderr.contains("stop"), "{}", said(&finished));
    });
    assert_eq!(scoter.wait().code, Some(0));
    drop(never);
}

#[test]
fn new_process_that_is_killed_fails_the_reload() {
    // With --preload it is the launcher that imports.
    for preload in ["--preload=false", "--preload"] {
        let scoter = serving_version_1().args([preload]).start();
        let before = scoter.worker();
        let (_never, importing) = begin_reload(&scoter);
        importing.signal(Signal::SIGKILL);
        let line = scoter.wait_for_log("the old code continues to serve");
        assert!(line.contains("SIGKILL"), "{line}");
        let workers = scoter.wait_for_workers(1);
        assert_eq!(workers[0].pid(), before.pid());
        assert_eq!(ask(&scoter), "1");
    }
}

#[test]
fn old_worker_that_is_killed_during_a_reload_is_replaced_by_old_code() {
    // Which only a launcher that has imported it still has.
    let scoter = serving_version_1().args(["--preload"]).workers("2").start();
    let old = scoter.wait_for_workers(2);
    let (gate, _importing) = begin_reload(&scoter);
    old[0].signal(Signal::SIGKILL);
    scoter.wait_for_log("worker died");
    until("two workers of the old code", || {
        let mut workers = scoter.workers();
        workers.retain(|worker| worker.is_ready() && worker.generation == 1);
        (workers.len() == 2).then_some(())
    });
    gate.open();
    scoter.wait_for_log("reloaded generation=2");
    let workers = scoter.wait_for_workers(2);
    assert!(
        workers.iter().all(|worker| worker.generation == 2),
        "{workers:?}"
    );
}

#[through_nginx(gateway)]
fn hups_during_a_reload_are_one_more_and_the_last_code_wins(connections: Connections) {
    // With --preload each generation has imported the code of one moment.
    let site = Site::of(
        serving_version_1().args(["--preload"]).workers("2"),
        connections,
    );
    let scoter = site.scoter();
    let crowd = Crowd::asking(&site, "/version", 4);
    crowd.wait_for_text("1");
    let (gate, _importing) = begin_reload(scoter);
    for number in 3..=12 {
        scoter.put("changing.py", &version(number));
        scoter.signal(Signal::SIGHUP);
        scoter.wait_for_log_lines(number - 2, "another reload follows");
    }
    gate.open();
    crowd.wait_for_text("12");
    scoter.wait_for_log("reloaded generation=3");
    for reply in crowd.leave() {
        assert_eq!(reply.status, 200);
        assert!(["1", "2", "12"].contains(&&*reply.text()), "{reply:?}");
    }
    let status = scoter.status();
    assert_eq!(
        (&status["generation"], &status["phase"]),
        (&3.into(), &"running".into())
    );
    assert_eq!(scoter.log_lines("reloading origin").len(), 2);
}

#[test]
fn scale_during_a_reload_holds_after_it() {
    let scoter = serving_version_1().args(["--preload"]).workers("2").start();
    let (gate, _importing) = begin_reload(&scoter);
    assert_eq!(scoter.command(["scale", "3"]).code, Some(0));
    gate.open();
    scoter.wait_for_log("reloaded generation=2");
    let workers = scoter.wait_for_workers(3);
    assert!(
        workers.iter().all(|worker| worker.generation == 2),
        "{workers:?}"
    );
}

#[test]
fn reload_does_not_wait_for_a_worker_that_is_being_replaced() {
    let scoter = serving_version_1().start();
    let gate = scoter.gate("a");
    let mut running = scoter.begin("a");
    let old = scoter.worker();
    old.signal(Signal::SIGTERM);
    scoter.wait_for_log("worker ready");
    scoter.put("changing.py", &version(2));
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(0), "{}", said(&finished));
    until("the new version serves", || {
        (ask(&scoter) == "2").then_some(())
    });
    gate.open();
    assert_eq!(running.reply().text(), "1");
    old.wait_until_gone();
    scoter.wait_for_workers(1);
}

#[test]
fn worker_that_is_told_to_end_during_a_reload_is_not_kept() {
    let scoter = serving_version_1().start();
    let old = scoter.worker();
    let (gate, _importing) = begin_reload(&scoter);
    old.signal(Signal::SIGTERM);
    gate.open();
    scoter.wait_for_log("reloaded generation=2");
    old.wait_until_gone();
    assert_eq!(scoter.wait_for_workers(1)[0].generation, 2);
    assert_eq!(ask(&scoter), "2");
}

#[test]
fn new_worker_of_a_failed_reload_serves_until_the_old_generation_is_complete() {
    let scoter = serving_version_1().workers("2").start();
    let before = scoter.wait_for_workers(2);
    scoter.put(
        "changing.py",
        &format!(
            "import os, probe\n\
             if os.path.exists(os.path.join(probe.FOLDER, 'taken')):\n    \
                 raise RuntimeError('there is one already')\n\
             open(os.path.join(probe.FOLDER, 'taken'), 'w').close()\n{}",
            version(2)
        ),
    );
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(1), "{}", said(&finished));
    assert!(
        said(&finished).contains("there is one already"),
        "{}",
        said(&finished)
    );
    scoter.wait_for_log("reload failed half-way");
    let status = scoter.status();
    assert_eq!(status["generation"], 1, "{status}");
    // The old code cannot be imported any more: one worker still has it, and the only new one serves on.
    let mut workers = scoter.workers();
    workers.retain(Worker::is_ready);
    workers.sort_by_key(|worker| worker.generation);
    let generations: Vec<_> = workers.iter().map(|worker| worker.generation).collect();
    assert_eq!(generations, [1, 2], "{workers:?}");
    assert!(before.iter().any(|old| old.pid() == workers[0].pid()));
    // Until the old generation is complete again.
    fs::remove_file(scoter.folder().join("taken")).expect("it is taken");
    scoter.wait_for_workers_that("the old generation", |workers| {
        workers.len() == 2 && workers.iter().all(|worker| worker.generation == 1)
    });
}

#[test]
fn mended_code_gets_through_though_the_last_reload_is_stuck() {
    let scoter = serving_version_1().args(["--preload"]).workers("2").start();
    let failing = "import os, probe\n\
                   from scoter import hooks\n\
                   @hooks.post_fork\n\
                   def connect():\n    \
                       os.mkdir(os.path.join(probe.FOLDER, 'taken'))\n";
    scoter.put("changing.py", &format!("{failing}{}", version(2)));
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("FileExistsError");
    scoter.put("changing.py", &version(3));
    scoter.signal(Signal::SIGHUP);
    until("the last version serves", || {
        (ask(&scoter) == "3").then_some(())
    });
    scoter.wait_for_log("reloaded generation=3");
    assert_eq!(scoter.wait_for_workers(2)[0].generation, 3);
}
