//! Processes die, each in turn and in every order: those that are left do what is needed.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use integration_tests::{
    Connections, Crowd, DEADLINE, Gate, Peer, Running, Scoter, ScoterBuilder, Site, Worker, elapse,
    get, through_nginx, until, with,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

fn serving(workers: &str) -> ScoterBuilder {
    Scoter::serving("workers").workers(workers)
}

#[track_caller]
fn assert_serves(scoter: &Scoter) {
    let reply = scoter.connect().packet(&get("/quick")).reply();
    assert_eq!(reply.text(), "quick");
}

/// Waits until no process is left, and no socket that nobody listens on.
#[track_caller]
fn assert_leaves_nothing(scoter: &mut Scoter) {
    scoter.wait();
    scoter.wait_until_all_are_gone();
    assert!(!scoter.socket().exists());
}

/// Waits until there are `count` workers, and none of `gone` among them.
#[track_caller]
fn wait_for_others(scoter: &Scoter, count: usize, gone: &[Worker]) -> Vec<Worker> {
    scoter.wait_for_workers_that("other workers", |now| {
        let is_old = |worker: &Worker| gone.iter().any(|old| old.pid() == worker.pid());
        now.len() == count && !now.iter().any(is_old)
    })
}

#[test]
fn killed_workers_are_replaced_while_others_serve() {
    let scoter = serving("2").start();
    let workers = scoter.wait_for_workers(2);
    for worker in &workers {
        worker.signal(Signal::SIGKILL);
        assert_serves(&scoter);
        let pid = worker.pid();
        let line = scoter.wait_for_log(&format!(
            "worker died: starting a new one worker={} pid={pid}",
            worker.id
        ));
        assert!(line.contains("killed by SIGKILL"), "{line}");
        // Somebody has taken note of its end.
        worker.wait_until_gone();
        let serving = scoter.wait_for_workers(2);
        assert!(
            serving.iter().all(|worker| worker.pid() != pid),
            "{serving:?}"
        );
    }
    assert_eq!(scoter.status()["totals"]["crashed"], 2);
}

#[test]
fn only_worker_is_supervised() {
    let scoter = serving("1").start();
    let worker = scoter.worker();
    worker.signal(Signal::SIGKILL);
    let other = wait_for_others(&scoter, 1, &[worker]);
    let who = scoter.connect().packet(&get("/who")).reply().text();
    assert_eq!(who, other[0].pid().to_string());
}

#[through_nginx(gateway)]
fn worker_that_dies_in_a_request_is_replaced_and_its_requests_are_named(connections: Connections) {
    for (path, reason) in [("/exits", "exit code 7"), ("/segfaults", "SIGSEGV")] {
        let site = Site::of(serving("1"), connections);
        let scoter = site.scoter();
        let _gate = scoter.gate("a");
        let mut neighbour = scoter.begin("a");
        let worker = scoter.worker();
        assert_eq!(site.get(path).status, 502);
        assert!(neighbour.ending().bytes().is_empty());
        let line = scoter.wait_for_log("worker died");
        assert!(line.contains(reason), "{line}");
        let lost = scoter.wait_for_log_lines(2, "request lost");
        assert_eq!(lost.len(), 2, "{lost:?}");
        for uri in [path, "/waits"] {
            let words = format!("method=\"GET\" uri=\"{uri}\"");
            assert!(
                lost.iter().any(|line| line.contains(&words)),
                "{words} in {lost:?}"
            );
        }
        wait_for_others(scoter, 1, &[worker]);
        assert_eq!(site.get("/quick").text(), "quick");
    }
}

#[test]
fn death_of_the_master_is_one_error_line_of_a_worker() {
    for bind in ["unix:scoter.sock", "127.0.0.1:0"] {
        let mut scoter = serving("4")
            .bind(bind)
            .bind("unix:scoter.sock.2")
            .args(["--control", "control"])
            .start();
        let launcher = scoter.launchers().remove(0);
        let gate = scoter.gate("a");
        let mut running = Peer::connect(&scoter.folder().join("scoter.sock.2"));
        running.packet(&with(get("/waits"), [("QUERY_STRING", "a")]));
        scoter.wait_for_event("begun a");
        scoter.signal(Signal::SIGKILL);
        scoter.wait();
        scoter.wait_for_log("the master is gone");
        // Longer than a worker takes to look whether it is whole.
        elapse(Duration::from_millis(1_500));
        gate.open();
        assert_eq!(running.reply().text(), "waited at a", "{bind}");
        launcher.wait_until_gone();
        scoter.wait_until_all_are_gone();
        let log = scoter.stderr();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
        let [line] = lines[..] else {
            panic!("{bind}: {log}");
        };
        assert!(line.contains("the master is gone"), "{line}");
        assert!(line.contains("worker="), "{line}");
        assert!(!scoter.folder().join("scoter.sock.2").exists(), "{bind}");
    }
}

#[through_nginx(gateway)]
fn killed_launcher_is_replaced_and_nobody_notices(connections: Connections) {
    let site = Site::of(serving("2"), connections);
    let scoter = site.scoter();
    let workers = scoter.wait_for_workers(2);
    let launcher = scoter.launcher();
    let crowd = Crowd::asking(&site, "/quick", 8);
    launcher.signal(Signal::SIGKILL);
    let line = scoter.wait_for_log("launcher died");
    assert!(line.contains("SIGKILL"), "{line}");
    launcher.wait_until_gone();
    assert_ne!(scoter.launcher(), launcher);
    crowd.wait_for_more(50);
    // Its workers serve on, and their end is still noticed.
    let orphans = scoter.wait_for_workers(2);
    assert!(
        orphans
            .iter()
            .zip(&workers)
            .all(|(now, before)| now.pid() == before.pid())
    );
    assert!(crowd.leave().iter().all(|reply| reply.status == 200));
    orphans[0].signal(Signal::SIGKILL);
    let line = scoter.wait_for_log("worker died");
    assert!(line.contains("SIGKILL"), "{line}");
    wait_for_others(scoter, 2, &orphans[..1]);
}

#[through_nginx(gateway)]
fn killed_master_takes_everything_along_but_what_was_accepted(connections: Connections) {
    let mut site = Site::of(serving("2"), connections);
    let gate = site.scoter().gate("a");
    let mut running = site.scoter().begin("a");
    let crowd = Crowd::asking(&site, "/quick", 8);
    crowd.wait_for_answers(100);
    site.scoter().signal(Signal::SIGKILL);
    for reply in crowd.turned_away() {
        assert!(reply.status == 502 || reply.body == "quick", "{reply:?}");
    }
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    assert_leaves_nothing(site.scoter_mut());
    // The next server has the place for itself.
    let path = format!("unix:{}", site.scoter().socket().display());
    let next = serving("1").bind(path).start();
    assert_eq!(
        Peer::connect(site.scoter().socket())
            .packet(&get("/quick"))
            .reply()
            .text(),
        "quick"
    );
    drop(next);
}

#[test]
fn master_and_launcher_may_die_in_any_order() {
    for order in ["master first", "launcher first"] {
        let mut scoter = serving("2").start();
        let gate = scoter.gate("a");
        let mut running = scoter.begin("a");
        let master = Running::new(scoter.pid());
        let mut processes = [master, scoter.launcher()];
        if order == "launcher first" {
            processes.reverse();
        }
        for process in processes {
            process.signal(Signal::SIGKILL);
        }
        gate.open();
        assert_eq!(running.reply().text(), "waited at a", "{order}");
        assert_leaves_nothing(&mut scoter);
    }
}

#[test]
fn last_process_leaves_and_takes_the_socket_along() {
    let mut scoter = serving("2").start();
    let workers = scoter.wait_for_workers(2);
    let launcher = scoter.launcher();
    for process in [Running::new(scoter.pid()), launcher, *workers[0]] {
        process.signal(Signal::SIGKILL);
    }
    assert_leaves_nothing(&mut scoter);
}

/// Starts a server whose application reports who imports it, and then waits for something that never comes.
fn stuck_at_its_start(args: &[&str]) -> (ScoterBuilder, Gate) {
    let scoter = Scoter::serving("stuck").args(args).with_file(
        "stuck.py",
        "import os, probe\nprobe.event(str(os.getpid()))\nprobe.wait_at('never')\n",
    );
    let never = Gate::at(scoter.folder(), "never");
    (scoter, never)
}

/// Waits for the report of `stuck_at_its_start`.
#[track_caller]
fn wait_for_import(scoter: &ScoterBuilder) -> Running {
    until("the application is being imported", || {
        let events = fs::read_to_string(scoter.folder().join("events")).ok()?;
        let pid = events.strip_suffix('\n')?.parse().expect("a process id");
        Some(Running::new(Pid::from_raw(pid)))
    })
}

#[test]
fn master_that_is_killed_during_the_start_leaves_nothing() {
    for args in [&[][..], &["--preload"]] {
        let (scoter, _never) = stuck_at_its_start(args);
        let mut process = scoter.spawn();
        wait_for_import(&scoter);
        process.signal(Signal::SIGKILL);
        process.wait();
        until("every process has left", || {
            process.family().is_empty().then_some(())
        });
        assert!(
            UnixStream::connect(scoter.folder().join("scoter.sock")).is_err(),
            "{args:?}"
        );
    }
}

#[test]
fn process_that_dies_during_the_start_ends_it() {
    // With --preload it is the launcher that imports, otherwise the worker.
    for args in [&[][..], &["--preload"]] {
        let (scoter, _never) = stuck_at_its_start(args);
        let mut process = scoter.spawn();
        wait_for_import(&scoter).signal(Signal::SIGKILL);
        let finished = process.wait();
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        assert!(finished.stderr.contains("SIGKILL"), "{}", finished.stderr);
        until("every process has left", || {
            process.family().is_empty().then_some(())
        });
        assert!(!scoter.folder().join("scoter.sock").exists(), "{args:?}");
    }
}

#[test]
fn worker_that_dies_again_and_again_is_started_ever_more_rarely_while_others_serve() {
    let scoter = Scoter::serving("fragile")
        .workers("2")
        .with_file(
            "fragile.py",
            "import os, probe\n\
             if os.path.exists(os.path.join(probe.FOLDER, 'broken')):\n    \
                 probe.event('broken')\n    \
                 os._exit(3)\n\
             from workers import application\n",
        )
        .start();
    let workers = scoter.wait_for_workers(2);
    scoter.put("broken", "");
    workers[0].signal(Signal::SIGKILL);
    let lines = scoter.wait_for_log_lines(3, "pausing before it is started again");
    for (line, pause) in lines.iter().zip([100, 200, 400]) {
        assert!(line.contains(&format!("pause_ms={pause}")), "{line}");
    }
    let reason = scoter.wait_for_log("exit code 3");
    assert!(reason.contains("ERROR"), "{reason}");
    for _ in 0..20 {
        assert_serves(&scoter);
    }
    let left = scoter.workers();
    assert!(
        left.iter().any(|worker| worker.pid() == workers[1].pid()),
        "{left:?}"
    );
    fs::remove_file(scoter.folder().join("broken")).expect("put there before");
    scoter.wait_for_workers(2);
}

#[test]
fn requests_that_kill_their_workers_do_not_keep_others_waiting() {
    // Who comes between them, and who comes when no worker has ever finished a request.
    for others in [1, 0] {
        let scoter = serving("2").args(["--preload"]).start();
        for _ in 0..18 {
            let ending = scoter.connect().packet(&get("/segfaults")).ending();
            assert!(ending.bytes().is_empty());
            for _ in 0..others {
                assert_answers_soon(&scoter);
            }
        }
        assert_answers_soon(&scoter);
        scoter.wait_for_workers(2);
        assert_eq!(scoter.status()["totals"]["crashed"], 18);
    }
}

/// A worker may have to be started first, a second after the last one died. A place that keeps
/// losing its worker stays empty for 30 s while others serve.
#[track_caller]
fn assert_answers_soon(scoter: &Scoter) {
    let start = Instant::now();
    assert_serves(scoter);
    assert!(start.elapsed() < DEADLINE / 2, "{:?}", start.elapsed());
}

#[through_nginx(gateway)]
fn worker_that_is_told_to_end_is_replaced_without_loss(connections: Connections) {
    let site = Site::of(serving("2"), connections);
    let scoter = site.scoter();
    let workers = scoter.wait_for_workers(2);
    let gate = scoter.gate("a");
    let mut running = scoter.begin("a");
    let crowd = Crowd::asking(&site, "/quick", 8);
    for worker in &workers {
        worker.signal(Signal::SIGTERM);
    }
    scoter.wait_for_log("replacing worker");
    scoter.wait_for_log("worker ready");
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    for line in scoter.wait_for_log_lines(2, "replacing worker") {
        assert!(line.contains("reason=\"TERM\""), "{line}");
    }
    wait_for_others(scoter, 2, &workers);
    assert!(crowd.leave().iter().all(|reply| reply.status == 200));
    assert!(!scoter.stderr().contains("ERROR"), "{}", scoter.stderr());
}

#[test]
fn term_to_every_process_is_an_ordinary_stop() {
    // As `systemctl stop` does, unless the unit says otherwise.
    let mut scoter = serving("2").start();
    let gate = scoter.gate("a");
    let mut running = scoter.begin("a");
    for process in scoter.processes() {
        process.signal(Signal::SIGTERM);
    }
    scoter.wait_for_log("stopping");
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_leaves_nothing(&mut scoter);
}

#[test]
fn server_without_a_master_is_one_process() {
    let mut scoter = serving("1").args(["--no-master"]).start();
    assert_serves(&scoter);
    let family = scoter.family();
    assert_eq!(family, [Running::new(scoter.pid())]);
    let who = scoter.connect().packet(&get("/who")).reply().text();
    assert_eq!(who, scoter.pid().to_string());
    assert!(!scoter.control().socket().exists());
    // It has nobody to reload, or to replace, anything.
    for (signal, name) in [
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGTTIN, "TTIN"),
        (Signal::SIGTTOU, "TTOU"),
    ] {
        scoter.signal(signal);
        let line = scoter.wait_for_log(&format!("origin={name:?}"));
        assert!(line.contains("signal ignored"), "{line}");
    }
    assert_serves(&scoter);
    scoter.stop();
}
