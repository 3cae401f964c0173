//! What systemd is told, and when: sd_notify(3), with a service manager that hears every word.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use integration_tests::{
    Client, Connections, Crowd, DEADLINE, Gate, Manager, Notice, Scoter, ScoterBuilder, Site,
    apps_folder, get, through_nginx, until,
};
use nix::sys::signal::Signal;
use rustix::time::{ClockId, clock_gettime};

/// A server that notifies, and whom it notifies.
fn notifying(scoter: ScoterBuilder) -> (ScoterBuilder, Manager) {
    let manager = Manager::at(scoter.folder());
    let scoter = scoter.env("NOTIFY_SOCKET", manager.address());
    (scoter, manager)
}

/// Asserts that systemd's `NotifyAccess=main` would have let everything pass.
#[track_caller]
fn assert_from_the_master(scoter: &Scoter, notices: &[Notice]) {
    for notice in notices {
        assert_eq!(notice.sender, scoter.pid(), "{notice:?}");
    }
}

/// CLOCK_MONOTONIC, which is the clock of `MONOTONIC_USEC`.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(
        now.tv_sec.try_into().expect("since the start"),
        now.tv_nsec.try_into().expect("less than a second"),
    )
}

/// An application that reports that it is loaded, and waits at a gate before.
const SLOW_TO_LOAD: &str = "\
from probe import event, wait_at
event('loading')
wait_at('load')
from streaming import application
";

#[test]
fn start_is_reported_once_every_worker_is_ready() {
    let scoter = Scoter::serving("slow_to_load")
        .with_file("slow_to_load.py", SLOW_TO_LOAD)
        .workers("2")
        .args(["--start-timeout", "25s"]);
    let gate = Gate::at(scoter.folder(), "load");
    let manager = Manager::at(scoter.folder());
    let scoter = scoter.env("NOTIFY_SOCKET", manager.address());
    let control = Client::new(scoter.folder().join("scoter.sock.control"));
    let process = scoter.spawn();
    let (_, loading) = manager.hear_until("STATUS");
    assert_eq!(loading.get("STATUS"), Some("loading the application"));
    let patience = manager.wait_for("EXTEND_TIMEOUT_USEC");
    let patience = patience.micros("EXTEND_TIMEOUT_USEC");
    assert!(patience >= Duration::from_secs(25), "{patience:?}");

    gate.open();
    until("one of the workers is ready", || {
        let status = control.get("/status").json();
        let workers = status["workers"].as_array().expect("a list").iter();
        (workers.filter(|worker| worker["phase"] == "ready").count() == 1).then_some(())
    });
    let so_far = manager.heard_by_now();
    assert!(
        so_far.iter().all(|notice| notice.get("READY").is_none()),
        "{so_far:?}"
    );

    gate.open();
    let ready = manager.wait_for("READY");
    let pid = process.pid().to_string();
    assert_eq!(ready.get("READY"), Some("1"));
    assert_eq!(ready.get("MAINPID"), Some(pid.as_str()));
    assert_eq!(ready.get("STATUS"), Some("2 workers serve generation 1"));
    assert_eq!(ready.sender, process.pid());
}

#[test]
fn abstract_socket_is_notified_too() {
    let scoter = Scoter::serving("hello");
    let manager = Manager::in_the_abstract(scoter.folder());
    let scoter = scoter.env("NOTIFY_SOCKET", manager.address()).start();
    assert_eq!(manager.wait_for("READY").sender, scoter.pid());
}

#[test]
fn nobody_who_listens_keeps_nobody_from_serving() {
    for address in [
        "/nonexistent/notify",
        "relative",
        "@nobody",
        "vsock:2:1",
        "",
    ] {
        let mut scoter = Scoter::serving("hello")
            .env("NOTIFY_SOCKET", address)
            .start();
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
        scoter.stop();
    }
}

#[test]
fn manager_that_does_not_read_for_a_while_hears_of_it_later() {
    let scoter = Scoter::serving("hello");
    let path = scoter.folder().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a path of its own");
    let other = UnixDatagram::unbound().expect("a descriptor is left");
    other.set_nonblocking(true).expect("a socket");
    // Until its queue is full, for everybody.
    while other.send_to(b"STATUS=busy", &path).is_ok() {}
    let mut scoter = scoter.env("NOTIFY_SOCKET", &path).start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);

    manager.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let mut bytes = [0; 4096];
    loop {
        let len = manager.recv(&mut bytes).expect("READY=1 comes at last");
        let text = String::from_utf8_lossy(&bytes[..len]);
        if text.lines().any(|line| line == "READY=1") {
            break;
        }
    }
    drop(manager);
    scoter.stop();
}

#[test]
fn reload_is_reported_from_its_beginning_to_its_end() {
    let (scoter, manager) = notifying(Scoter::serving("hello"));
    let scoter = scoter.args(["--start-timeout", "25s"]).start();
    manager.wait_for("READY");
    let before = monotonic();
    scoter.signal(Signal::SIGHUP);
    let (others, reloading) = manager.hear_until("RELOADING");
    assert_from_the_master(&scoter, &others);
    assert_eq!(reloading.get("RELOADING"), Some("1"));
    // systemd takes it for an answer to its own signal only if it comes from after that: notify-reload.
    let at = reloading.micros("MONOTONIC_USEC");
    assert!(before <= at && at <= monotonic(), "{before:?} {at:?}");
    let (between, ready) = manager.hear_until("READY");
    assert_eq!(ready.get("STATUS"), Some("1 workers serve generation 2"));
    let patience: Vec<_> = between
        .iter()
        .filter(|notice| notice.get("EXTEND_TIMEOUT_USEC").is_some())
        .map(|notice| notice.micros("EXTEND_TIMEOUT_USEC"))
        .collect();
    assert_eq!(patience, [Duration::from_secs(25)], "{between:?}");
    assert_from_the_master(&scoter, &between);
    assert_from_the_master(&scoter, &[reloading, ready]);
}

#[test]
fn reload_that_fails_is_over_too() {
    let scoter =
        Scoter::serving("changing").with_file("changing.py", "from hello import application\n");
    let (scoter, manager) = notifying(scoter);
    let scoter = scoter.start();
    manager.wait_for("READY");
    scoter.put("changing.py", "1 / 0\n");
    scoter.signal(Signal::SIGHUP);
    let before = manager.wait_for("RELOADING").micros("MONOTONIC_USEC");
    assert!(before > Duration::ZERO);
    let ready = manager.wait_for("READY");
    assert_eq!(ready.get("STATUS"), Some("1 workers serve generation 1"));
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn reload_of_a_wrong_configuration_is_over_too() {
    let scoter = Scoter::told_nothing();
    let file = format!(
        "app = 'hello'\nbind = 'unix:scoter.sock'\nworkers = 1\npythonpath = {:?}\n",
        apps_folder()
    );
    let (scoter, manager) = notifying(scoter.with_file("scoter.toml", &file));
    let scoter = scoter.start();
    manager.wait_for("READY");
    scoter.put("scoter.toml", &format!("{file}thread = 2\n"));
    scoter.signal(Signal::SIGHUP);
    let (_, reloading) = manager.hear_until("RELOADING");
    assert!(reloading.get("MONOTONIC_USEC").is_some(), "{reloading:?}");
    manager.wait_for("READY");
    let line = scoter.wait_for_log("reload refused");
    assert!(line.contains("scoter.toml:5:1"), "{line}");
}

#[test]
fn reload_that_is_asked_for_during_another_one_is_reported_too() {
    // systemd waits for READY=1 after a RELOADING=1 that is younger than its own signal.
    let scoter = Scoter::serving("slow_to_load").with_file("slow_to_load.py", SLOW_TO_LOAD);
    let gate = Gate::at(scoter.folder(), "load");
    let (scoter, manager) = notifying(scoter);
    gate.open();
    let scoter = scoter.start();
    manager.wait_for("READY");
    scoter.signal(Signal::SIGHUP);
    manager.wait_for("RELOADING");
    let second = monotonic();
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("another reload follows");
    gate.open_for(2);
    let (between, again) = manager.hear_until("RELOADING");
    assert!(again.micros("MONOTONIC_USEC") >= second, "{again:?}");
    assert!(
        between.iter().any(|notice| notice.get("READY").is_some()),
        "{between:?}"
    );
    let ready = manager.wait_for("READY");
    assert_eq!(ready.get("STATUS"), Some("1 workers serve generation 3"));
}

#[test]
fn stop_is_reported_with_the_time_that_it_may_take() {
    let (scoter, manager) = notifying(Scoter::serving("streaming"));
    let mut scoter = scoter
        .args(["--graceful-timeout", "20s", "--drain-delay", "100ms"])
        .start();
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    manager.wait_for("READY");
    scoter.signal(Signal::SIGTERM);
    let (before, stopping) = manager.hear_until("STOPPING");
    assert_eq!(stopping.get("STOPPING"), Some("1"));
    assert!(stopping.get("STATUS").is_some(), "{stopping:?}");
    let patience = manager.wait_for("EXTEND_TIMEOUT_USEC");
    let at_least = Duration::from_millis(20_100);
    assert!(
        patience.micros("EXTEND_TIMEOUT_USEC") >= at_least,
        "{patience:?}"
    );
    gate.open();
    assert_eq!(peer.reply().text(), "waited at a");
    assert_eq!(scoter.wait().code, Some(0));
    assert_from_the_master(&scoter, &before);
    assert_from_the_master(&scoter, &manager.heard_by_now());
}

#[test]
fn failed_start_is_never_reported_as_ready() {
    let scoter = Scoter::serving("broken").with_file("broken.py", "1 / 0\n");
    let manager = Manager::at(scoter.folder());
    let scoter = scoter.env("NOTIFY_SOCKET", manager.address());
    let finished = scoter.spawn().wait();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let notices = manager.heard_by_now();
    assert!(
        notices.iter().all(|notice| notice.get("READY").is_none()),
        "{notices:?}"
    );
}

#[through_nginx(gateway)]
fn reloads_under_load_are_all_reported(connections: Connections) {
    let (scoter, manager) = notifying(Scoter::serving("hello"));
    let site = Site::of(scoter, connections);
    manager.wait_for("READY");
    let crowd = Crowd::asking(&site, "/", 2);
    for generation in 2..8 {
        site.scoter().signal(Signal::SIGHUP);
        manager.wait_for("RELOADING");
        let status = format!("1 workers serve generation {generation}");
        assert_eq!(manager.wait_for("READY").get("STATUS"), Some(&*status));
    }
    assert!(crowd.leave().iter().all(|reply| reply.status == 200));
}

/// The environment that a service with a watchdog of two seconds gets, for a shell to finish: the process ID is known
/// only to the process itself.
const WATCHED: [&str; 3] = [
    "sh",
    "-c",
    "WATCHDOG_USEC=2000000 WATCHDOG_PID=$$ exec \"$0\" \"$@\"",
];

#[test]
fn watchdog_is_fed_twice_as_often_as_it_requires() {
    let (scoter, manager) = notifying(Scoter::serving("hello").under(WATCHED));
    let scoter = scoter.start();
    manager.wait_for("READY");
    for _ in 0..4 {
        let period = Duration::from_secs(2);
        let (mut heard, mut notices) = (None, Vec::new());
        while heard.is_none() {
            let notice = manager.hear_within(period);
            let notice = notice.unwrap_or_else(|| panic!("a hungry watchdog after {notices:?}"));
            heard = notice.get("WATCHDOG").map(str::to_owned);
            notices.push(notice);
        }
        assert_eq!(heard.as_deref(), Some("1"));
        assert_from_the_master(&scoter, &notices);
    }
}

/// Waits until nothing has fed the watchdog for two of its periods.
#[track_caller]
fn wait_until_hungry(manager: &Manager) {
    until("the watchdog goes hungry", || {
        manager
            .hear_within(Duration::from_secs(4))
            .is_none()
            .then_some(())
    });
}

#[test]
fn watchdog_goes_hungry_while_every_thread_is_stuck() {
    let scoter = Scoter::serving("streaming").workers("2").under(WATCHED);
    let (scoter, manager) = notifying(scoter.args(["--threads", "1"]));
    let mut scoter = scoter.start();
    let gates = ["a", "b"].map(|name| scoter.gate(name));
    let mut first = scoter.begin("a");
    // The other worker is idle: that is progress enough.
    manager.heard_by_now();
    for _ in 0..4 {
        manager.wait_for("WATCHDOG");
    }
    let mut second = scoter.begin("b");
    wait_until_hungry(&manager);
    gates[0].open();
    assert_eq!(first.reply().text(), "waited at a");
    manager.wait_for("WATCHDOG");
    gates[1].open();
    assert_eq!(second.reply().text(), "waited at b");
    scoter.stop();
}

#[test]
fn watchdog_goes_hungry_while_every_worker_is_stopped() {
    let (scoter, manager) = notifying(Scoter::serving("hello").workers("2").under(WATCHED));
    let scoter = scoter.start();
    manager.wait_for("WATCHDOG");
    let workers = scoter.wait_for_workers(2);
    for worker in &workers {
        worker.signal(Signal::SIGSTOP);
    }
    wait_until_hungry(&manager);
    // They come back, or others in their place.
    for worker in &workers {
        worker.signal(Signal::SIGCONT);
    }
    manager.wait_for("WATCHDOG");
}

#[through_nginx(gateway)]
fn watchdog_is_fed_while_busy_threads_finish_requests(connections: Connections) {
    // Each is busy all the time, but never with the same request.
    let (scoter, manager) = notifying(Scoter::serving("hello").under(WATCHED));
    let site = Site::of(scoter.args(["--threads", "1"]), connections);
    manager.wait_for("READY");
    let crowd = Crowd::asking(&site, "/", 4);
    for _ in 0..6 {
        manager.wait_for("WATCHDOG");
    }
    crowd.leave();
}

#[test]
fn watchdog_of_another_process_is_not_fed() {
    let (scoter, manager) = notifying(Scoter::serving("hello"));
    let scoter = scoter
        .env("WATCHDOG_USEC", "200000")
        .env("WATCHDOG_PID", "1")
        .start();
    manager.wait_for("READY");
    assert!(manager.hear_within(Duration::from_secs(2)).is_none());
    drop(scoter);
}

#[test]
fn watchdog_without_a_process_is_everybodys() {
    // sd_watchdog_enabled(3): "If the $WATCHDOG_PID variable is not set, … it is assumed".
    let (scoter, manager) = notifying(Scoter::serving("hello"));
    let scoter = scoter.env("WATCHDOG_USEC", "1000000").start();
    manager.wait_for("READY");
    manager.wait_for("WATCHDOG");
    drop(scoter);
}

#[test]
fn watchdog_that_is_none_keeps_nobody_from_serving() {
    for period in ["0", "-1", "soon", "", "18446744073709551615"] {
        let (scoter, manager) = notifying(Scoter::serving("hello"));
        let scoter = scoter.env("WATCHDOG_USEC", period).start();
        manager.wait_for("READY");
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    }
}

#[test]
fn nobody_behind_the_master_knows_of_systemd() {
    let scoter = Scoter::serving("echo").workers("2").under(WATCHED);
    let (scoter, manager) = notifying(scoter);
    let scoter = scoter.start();
    manager.wait_for("READY");
    let seen = scoter.connect().packet(&get("/")).reply().json();
    let variables = seen["process"]["environ"].as_object().expect("a map");
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        assert!(!variables.contains_key(name), "{variables:?}");
    }
    scoter.wait_for_workers(2);
    let processes = scoter.family();
    // The master, its launcher and the workers.
    assert_eq!(processes.len(), 4, "{processes:?}");
    for process in processes.iter().filter(|one| one.pid() != scoter.pid()) {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid()));
        let environment = String::from_utf8_lossy(&environment.expect("it runs")).into_owned();
        assert!(!environment.contains("NOTIFY_SOCKET="), "{environment}");
        assert!(!environment.contains("WATCHDOG_"), "{environment}");
    }
}
