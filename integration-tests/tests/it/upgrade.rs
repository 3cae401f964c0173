//! The server itself is replaced, in the same process and under load.

use std::fs;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::path::Path;

use integration_tests::{
    Connections, Crowd, Manager, Package, Running, Scoter, ScoterBuilder, Site, exchange, get,
    skip, through_nginx, until,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// A server that runs from a copy of the package, which a test may change.
fn released(app: &str) -> (ScoterBuilder, Package) {
    let scoter = Scoter::serving(app);
    let package = Package::installed().copied_to(&scoter.folder().join("release"));
    (scoter.from_package(&package), package)
}

/// Another release, which waits beside it to be installed, and its version.
fn other_release(folder: &Path) -> Option<(Package, String)> {
    let package = Package::installed().copied_to(&folder.join("other"));
    let Some(version) = package.as_another_release() else {
        skip("no release of another version can be made for this machine");
        return None;
    };
    let asked = Scoter::told_nothing()
        .from_package(&package)
        .args(["--version"])
        .run();
    assert_eq!(asked.stdout, format!("scoter {version}\n"));
    Some((package, version))
}

fn identity(path: &Path) -> (u64, u64) {
    let found = fs::metadata(path).expect("it is there");
    (found.dev(), found.ino())
}

#[through_nginx(gateway)]
fn upgrade_under_load_loses_no_request(connections: Connections) {
    let site = Site::of(Scoter::serving("streaming").workers("2"), connections);
    let scoter = site.scoter();
    let pid = scoter.pid();
    let sockets = [scoter.socket(), scoter.control().socket()].map(identity);
    let crowd = Crowd::asking(&site, "/quick", 8);
    crowd.wait_for_answers(50);
    for generation in 2..6 {
        if generation % 2 == 0 {
            scoter.signal(Signal::SIGUSR2);
        } else {
            let finished = scoter.command(["reload", "--upgrade"]);
            assert_eq!(finished.code, Some(0), "{finished:?}");
            let said = format!("serves with generation {generation}\n");
            assert!(finished.stdout.ends_with(&said), "{finished:?}");
        }
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        crowd.wait_for_more(50);
        let status = scoter.status();
        assert_eq!(status["pid"], pid.as_raw());
        assert_eq!(status["generation"], generation);
    }
    for reply in crowd.leave() {
        assert_eq!((reply.status, &*reply.text()), (200, "quick"));
    }
    assert_eq!(
        [scoter.socket(), scoter.control().socket()].map(identity),
        sockets
    );
    assert_eq!(scoter.log_lines("taken over").len(), 4);
}

#[through_nginx(gateway)]
fn other_release_takes_over_under_load(connections: Connections) {
    let (scoter, package) = released("streaming");
    let Some((other, version)) = other_release(scoter.folder()) else {
        return;
    };
    let site = Site::of(scoter.workers("2"), connections);
    let scoter = site.scoter();
    let pid = scoter.pid();
    assert_eq!(scoter.status()["version"], env!("CARGO_PKG_VERSION"));
    let crowd = Crowd::asking(&site, "/quick", 8);
    crowd.wait_for_answers(50);
    package.replace_with(&other);
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(
        finished.stdout,
        format!("scoter {version} serves with generation 2\n")
    );
    crowd.wait_for_more(50);
    let status = scoter.status();
    assert_eq!(status["version"], version.as_str());
    assert_eq!(status["pid"], pid.as_raw());
    // From now on it is its own.
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for reply in crowd.leave() {
        assert_eq!((reply.status, &*reply.text()), (200, "quick"));
    }
}

#[through_nginx(gateway)]
fn reload_that_meets_another_release_is_an_upgrade(connections: Connections) {
    for by_signal in [true, false] {
        let (scoter, package) = released("streaming");
        let Some((other, version)) = other_release(scoter.folder()) else {
            return;
        };
        let site = Site::of(scoter, connections);
        let scoter = site.scoter();
        let crowd = Crowd::asking(&site, "/quick", 4);
        crowd.wait_for_answers(20);
        package.replace_with(&other);
        if by_signal {
            scoter.signal(Signal::SIGHUP);
            // It cannot be asked while it gives way.
            scoter.wait_for_log("reloaded generation=");
        } else {
            let finished = scoter.command(["reload"]);
            assert_eq!(finished.code, Some(0), "{finished:?}");
            assert!(finished.stdout.contains(&version), "{finished:?}");
        }
        let status = scoter.status();
        assert_eq!(status["version"], version.as_str());
        assert_eq!(status["last_reload"]["ok"], true, "{status}");
        crowd.wait_for_more(20);
        for reply in crowd.leave() {
            assert_eq!((reply.status, &*reply.text()), (200, "quick"));
        }
    }
}

#[test]
fn worker_that_meets_another_release_changes_nothing() {
    // The launcher of the old release forks it: no file is read that has been replaced.
    let (scoter, package) = released("streaming");
    let Some((other, _)) = other_release(scoter.folder()) else {
        return;
    };
    let scoter = scoter.start();
    package.replace_with(&other);
    let before = scoter.worker();
    before.signal(Signal::SIGKILL);
    scoter.wait_for_workers_that("a successor", |workers| {
        workers.len() == 1 && workers[0].pid() != before.pid()
    });
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
    assert_eq!(scoter.status()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn release_that_does_not_start_is_refused() {
    let (scoter, package) = released("streaming");
    let manager = Manager::at(scoter.folder());
    let scoter = scoter.env("NOTIFY_SOCKET", manager.address()).start();
    manager.wait_for("READY");
    let before = scoter.worker();
    for (main, reason) in [
        ("raise RuntimeError('half installed')\n", "half installed"),
        ("def main(\n", "SyntaxError"),
        ("import missing_dependency\n", "missing_dependency"),
        (
            "import sys\nsys.exit('not for this machine')\n",
            "not for this machine",
        ),
        ("import os\nos._exit(1)\n", "cannot be started"),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
            "cannot be started",
        ),
    ] {
        package.put("__main__.py", main);
        let finished = scoter.command(["reload", "--upgrade"]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains(reason), "{reason}: {finished:?}");
        assert_eq!(finished.stdout, "");
        let refusals = scoter.log_lines("no upgrade, nothing has changed").len();
        scoter.signal(Signal::SIGUSR2);
        scoter.wait_for_log_lines(refusals + 1, "no upgrade, nothing has changed");
        assert_eq!(
            scoter.connect().packet(&get("/quick")).reply().text(),
            "quick"
        );
    }
    // Nothing has changed, and systemd does not wait for anything.
    assert_eq!(scoter.worker().pid(), before.pid());
    let status = scoter.status();
    assert_eq!(
        (&status["phase"], &status["generation"]),
        (&"running".into(), &1.into())
    );
    let mut is_reloading = false;
    for notice in manager.heard_by_now() {
        is_reloading |= notice.get("RELOADING").is_some();
        is_reloading &= notice.get("READY").is_none();
    }
    assert!(!is_reloading);
}

#[test]
fn release_that_does_not_understand_the_configuration_is_refused() {
    let (scoter, _package) = released("streaming");
    let scoter = scoter.with_file("scoter.toml", "threads = 2\n").start();
    scoter.put("scoter.toml", "threads = 2\nno-such-option = 1\n");
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("scoter.toml:2:1"), "{finished:?}");
    assert!(finished.stderr.contains("no-such-option"), "{finished:?}");
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
    scoter.put("scoter.toml", "threads = 3\n");
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(scoter.wait_for_workers(1)[0].slots, 3);
}

#[test]
fn reload_that_meets_a_release_that_does_not_start_is_refused() {
    let (scoter, package) = released("streaming");
    let Some((other, _)) = other_release(scoter.folder()) else {
        return;
    };
    other.put("__main__.py", "raise RuntimeError('half installed')\n");
    let manager = Manager::at(scoter.folder());
    let scoter = scoter
        .env("NOTIFY_SOCKET", manager.address())
        .with_file("scoter.toml", "threads = 2\n")
        .start();
    manager.wait_for("READY");
    package.replace_with(&other);
    scoter.put("scoter.toml", "threads = 3\n");
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("half installed"), "{finished:?}");
    // systemd has heard that a reload began, so it has to hear that it is over.
    manager.wait_for("RELOADING");
    manager.wait_for("READY");
    let status = scoter.status();
    assert_eq!(status["phase"], "running");
    assert_eq!(status["generation"], 1);
    assert_eq!(status["last_reload"]["ok"], false, "{status}");
    assert_eq!(scoter.wait_for_workers(1)[0].slots, 2);
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
    // A worker that is replaced now is still of the old release, with the old options.
    let before = scoter.worker();
    before.signal(Signal::SIGKILL);
    let workers = scoter.wait_for_workers_that("a successor", |workers| {
        workers.len() == 1 && workers[0].pid() != before.pid()
    });
    assert_eq!((workers[0].generation, workers[0].slots), (1, 2));
}

#[test]
fn running_requests_outlive_the_upgrade() {
    for preload in ["--preload=false", "--preload"] {
        let scoter = Scoter::serving("streaming").args([preload]);
        let scoter = scoter.workers("4").start();
        let gate = scoter.gate("a");
        let mut peer = scoter.begin("a");
        let status = scoter.status();
        let is_busy = |slot: &serde_json::Value| slot["phase"] == "running";
        let busy = status["workers"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|worker| {
                let mut slots = worker["slots"].as_array().expect("a list").iter();
                slots.any(is_busy)
            });
        let pid = busy
            .and_then(|worker| worker["pid"].as_i64())
            .expect("one is busy");
        let old = Running::new(Pid::from_raw(pid.try_into().expect("a process ID")));
        for generation in [2, 3] {
            scoter.signal(Signal::SIGUSR2);
            scoter.wait_for_log(&format!("reloaded generation={generation}"));
        }
        let reply = scoter.connect().packet(&get("/quick")).reply();
        assert_eq!(reply.text(), "quick");
        assert!(!old.is_gone());
        gate.open();
        assert_eq!(peer.reply().text(), "waited at a");
        // Nobody is left who started it, and yet it is no zombie.
        old.wait_until_gone();
        until("the old launchers have gone", || {
            (scoter.launchers().len() == 1).then_some(())
        });
    }
}

#[test]
fn upgrade_with_broken_code_leaves_the_old_workers() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    let before = scoter.worker();
    scoter.put("changing.py", "1 / 0\n");
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("ZeroDivisionError"),
        "{finished:?}"
    );
    scoter.wait_for_log("taken over");
    let workers = scoter.wait_for_workers(1);
    assert_eq!(workers[0].pid(), before.pid());
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    scoter.put("changing.py", "from hello import application\n");
    // It can do for them what the program before did.
    before.signal(Signal::SIGKILL);
    let line = scoter.wait_for_log("worker died");
    assert!(line.contains("KILL"), "{line}");
    scoter.wait_for_workers_that("a successor", |workers| {
        workers.len() == 1 && workers[0].pid() != before.pid()
    });
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn what_was_known_before_the_upgrade_is_known_after_it() {
    let scoter = Scoter::serving("streaming").start();
    for _ in 0..3 {
        scoter.connect().packet(&get("/quick")).reply();
    }
    assert_eq!(scoter.command(["scale", "3"]).code, Some(0));
    scoter.wait_for_workers(3);
    let before = scoter.status();
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("reloaded generation=2");
    let workers = scoter.wait_for_workers(3);
    assert!(workers.iter().all(|worker| worker.generation == 2));
    let after = scoter.status();
    assert_eq!(after["totals"]["requests"], 3, "{after}");
    assert_eq!(after["started_at"], before["started_at"]);
    assert_eq!(after["listeners"], before["listeners"]);
    assert_eq!(after["workers_wanted"], 3);
}

#[test]
fn sockets_of_every_kind_outlive_the_upgrade() {
    let scoter = Scoter::serving("streaming");
    let path = scoter.folder().join("scoter.sock");
    let name = scoter.folder().join("abstract").display().to_string();
    let mut scoter = scoter
        .bind("127.0.0.1:0")
        .bind(format!("unix:{}", path.display()))
        .bind(format!("unix:@{name}"))
        .start();
    let tcp = scoter.tcp_address();
    let name = UnixAddress::from_abstract_name(name.as_bytes()).expect("short");
    let connected = || {
        (
            TcpStream::connect(tcp).ok(),
            UnixStream::connect(&path).ok(),
            UnixStream::connect_addr(&name).ok(),
        )
    };
    for generation in [2, 3] {
        scoter.signal(Signal::SIGUSR2);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        let (tcp, unix, other) = connected();
        let replies = [
            exchange(tcp.expect("it listens"), &get("/quick")),
            exchange(unix.expect("it listens"), &get("/quick")),
            exchange(other.expect("it listens"), &get("/quick")),
        ];
        assert!(replies.iter().all(|reply| reply.text() == "quick"));
    }
    // The program of now ends what another one has begun.
    scoter.stop();
    assert!(matches!(connected(), (None, None, None)));
    assert!(!path.exists());
}

#[test]
fn nothing_is_left_of_a_server_that_is_killed_after_an_upgrade() {
    let mut scoter = Scoter::serving("streaming").start();
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("reloaded generation=2");
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    scoter.signal(Signal::SIGKILL);
    scoter.wait();
    gate.open();
    assert_eq!(peer.reply().text(), "waited at a");
    scoter.wait_until_all_are_gone();
    assert!(!scoter.socket().exists());
    assert!(!scoter.control().socket().exists());
}

#[test]
fn upgrade_leaves_nothing_open() {
    let scoter = Scoter::serving("hello").start();
    let upgrade = |generation: u32| {
        scoter.signal(Signal::SIGUSR2);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        scoter.wait_for_workers(1);
        until("the old launcher has gone", || {
            (scoter.launchers().len() == 1).then_some(())
        });
    };
    upgrade(2);
    let first = scoter
        .family()
        .into_iter()
        .map(|one| (one.name(), one.open_files()));
    let first: Vec<_> = first.collect();
    for generation in 3..6 {
        upgrade(generation);
    }
    let last = scoter
        .family()
        .into_iter()
        .map(|one| (one.name(), one.open_files()));
    for (name, files) in last {
        let before = first
            .iter()
            .find(|(before, _)| name.starts_with(&before[..8]));
        let (_, before) = before.unwrap_or_else(|| panic!("{name} in {first:?}"));
        assert!(files <= before + 1, "{name}: {before} files, then {files}");
    }
    let master = scoter
        .family()
        .into_iter()
        .find(|one| one.pid() == scoter.pid());
    assert_eq!(
        master.map(|one| one.name()).as_deref(),
        Some("scoter-master")
    );
}

#[test]
fn signals_during_the_upgrade_are_not_lost() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scoter = Scoter::serving("hello").start();
        scoter.signal(Signal::SIGUSR2);
        scoter.wait_for_log("replacing itself");
        scoter.signal(signal);
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{signal}: {}", finished.stderr);
        assert!(!scoter.socket().exists());
        assert!(!scoter.control().socket().exists());
        scoter.wait_until_all_are_gone();
    }
    let scoter = Scoter::serving("hello").start();
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("replacing itself");
    scoter.signal(Signal::SIGTTIN);
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=3");
    scoter.wait_for_workers(2);
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn upgrade_that_is_asked_for_during_a_reload_follows_it() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    let gate = scoter.gate("load");
    scoter.put(
        "changing.py",
        "from probe import event, wait_at\nevent('loading')\nwait_at('load')\nfrom hello import application\n",
    );
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_event("loading");
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("follows this one");
    gate.open_for(2);
    scoter.wait_for_log("taken over");
    scoter.wait_for_log("reloaded generation=3");
}

#[test]
fn worker_that_dies_during_the_upgrade_is_replaced() {
    let scoter = Scoter::serving("hello").workers("2").start();
    for generation in 2..5 {
        let victim = scoter.wait_for_workers(2).remove(0);
        scoter.signal(Signal::SIGUSR2);
        scoter.wait_for_log_lines(generation - 1, "replacing itself");
        victim.signal(Signal::SIGKILL);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        victim.wait_until_gone();
        let workers = scoter.wait_for_workers(2);
        assert!(
            workers
                .iter()
                .all(|worker| worker.generation == generation as u64)
        );
    }
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn server_survives_an_upgrade_that_cannot_look_at_its_control_socket() {
    let scoter = Scoter::serving("hello");
    let folder = scoter.folder().join("run");
    fs::create_dir(&folder).expect("the test's own folder");
    let mut scoter = scoter
        .args(["--control".into(), folder.join("control")])
        .start();
    let aside = scoter.folder().join("aside");
    fs::rename(&folder, &aside).expect("just made");
    fs::write(&folder, "").expect("the test's own folder");
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("reloaded generation=2");
    let line = scoter.wait_for_log("cannot check the control socket's file");
    assert!(line.contains("WARN"), "{line}");
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    scoter.stop();
}

#[test]
fn one_upgrade_at_a_time() {
    let (scoter, package) = released("changing");
    let scoter = scoter
        .with_file("changing.py", "from hello import application\n")
        .start();
    let gate = scoter.gate("load");
    let slow = "from probe import event, wait_at\nevent('loading')\nwait_at('load')\n";
    scoter.put(
        "changing.py",
        &format!("{slow}from hello import application\n"),
    );
    // While a reload runs,
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_event("loading");
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("already running"), "{finished:?}");
    gate.open();
    scoter.wait_for_log("reloaded generation=2");
    scoter.put("changing.py", "from hello import application\n");
    // while the installed release is asked,
    let asked = format!(
        "import os, sys\nos.environ['TEST_FOLDER'] = {:?}\nsys.path.insert(0, {:?})\n{slow}sys.exit('enough')\n",
        scoter.folder(),
        integration_tests::apps_folder(),
    );
    package.put("__main__.py", &asked);
    scoter.signal(Signal::SIGUSR2);
    until("the installed release is asked", || {
        (scoter.events().len() == 2).then_some(())
    });
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("already running"), "{finished:?}");
    // and nothing else waits for that.
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    assert_eq!(scoter.command(["scale", "2"]).code, Some(0));
    scoter.wait_for_workers(2);
    gate.open();
    scoter.wait_for_log("no upgrade, nothing has changed");
}

#[test]
fn upgrade_is_a_reload_to_systemd() {
    let scoter = Scoter::serving("hello");
    let manager = Manager::at(scoter.folder());
    let scoter = scoter
        .env("NOTIFY_SOCKET", manager.address())
        .under([
            "sh",
            "-c",
            "WATCHDOG_USEC=2000000 WATCHDOG_PID=$$ exec \"$0\" \"$@\"",
        ])
        .start();
    manager.wait_for("READY");
    for generation in [2, 3] {
        scoter.signal(Signal::SIGUSR2);
        let reloading = manager.wait_for("RELOADING");
        assert!(reloading.get("MONOTONIC_USEC").is_some(), "{reloading:?}");
        let ready = manager.wait_for("READY");
        let status = format!("1 workers serve generation {generation}");
        assert_eq!(ready.get("STATUS"), Some(status.as_str()));
        assert_eq!(
            ready.get("MAINPID"),
            Some(scoter.pid().to_string().as_str())
        );
        assert_eq!(ready.sender, scoter.pid());
    }
    // The watchdog is that of the new program now.
    for _ in 0..3 {
        assert_eq!(manager.wait_for("WATCHDOG").sender, scoter.pid());
    }
}
