//! Signals: those that scoter acts on, whatever the application has installed for them.

use std::fs;

use integration_tests::{Scoter, ScoterBuilder, get, with};
use nix::sys::signal::{Signal, kill};

/// What an application may install, and whether it is code.
const HANDLERS: [(&str, bool); 7] = [
    ("returns", true),
    ("exits", true),
    ("raises", true),
    ("ends", true),
    ("chains", true),
    ("SIG_DFL", false),
    ("SIG_IGN", false),
];

const STOPS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];

/// The application has one thread, the main one: handlers interrupt its requests.
fn handling(handler: &str, install: &str) -> ScoterBuilder {
    Scoter::serving("handlers")
        .args(["--threads", "1"])
        .env("HANDLER", handler)
        .env("INSTALL", install)
}

/// Begins a request that waits, ends the server, lets the request go on, and checks that it was answered.
#[track_caller]
fn assert_ends_with_its_request(scoter: &mut Scoter, signal: Signal, what: &str) -> String {
    let gate = scoter.gate("a");
    let mut running = scoter.connect();
    running.packet(&with(get("/waits"), [("QUERY_STRING", "a")]));
    scoter.wait_for_event("begun");
    scoter.begin_to_stop(signal);
    gate.open();
    assert_eq!(running.reply().text(), "waited at a", "{what}");
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{what}: {}", finished.stderr);
    assert!(!scoter.socket().exists(), "{what}");
    finished.stderr
}

#[test]
fn handlers_of_the_application_run_beside_the_stop() {
    for (handler, is_code) in HANDLERS {
        for install in ["import", "request"] {
            let signal = STOPS[handler.len() % STOPS.len()];
            let what = format!("{handler} at {install}, {signal}");
            let mut scoter = handling(handler, install).args(["--no-master"]).start();
            if install == "request" {
                let reply = scoter.connect().packet(&get("/install")).reply();
                assert_eq!(reply.text(), "installed", "{what}");
            }
            let log = assert_ends_with_its_request(&mut scoter, signal, &what);
            let runs = scoter.events().iter().filter(|e| *e == "handler").count();
            assert_eq!(runs > 0, is_code, "{what}");
            assert_eq!(
                log.contains("within the handler"),
                handler == "raises",
                "{what}: {log}"
            );
            assert!(!log.contains("a second signal"), "{what}: {log}");
        }
    }
}

#[test]
fn handler_of_an_idle_application_runs() {
    let mut scoter = handling("exits", "import").args(["--no-master"]).start();
    // It interrupts no request, and ends nothing: HUP is not for a server without a master.
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_event("handler");
    scoter.wait_for_log("signal ignored");
    assert_eq!(
        scoter.connect().packet(&get("/install")).reply().status,
        200
    );
    scoter.stop();
}

#[test]
fn second_signal_stops_at_once_whatever_is_installed() {
    for (handler, _) in HANDLERS {
        let mut scoter = handling(handler, "import").args(["--no-master"]).start();
        let _never = scoter.gate("a");
        let mut running = scoter.connect();
        running.packet(&with(get("/waits"), [("QUERY_STRING", "a")]));
        scoter.wait_for_event("begun");
        scoter.begin_to_stop(Signal::SIGTERM);
        scoter.wait_for_log("stopping");
        scoter.signal(Signal::SIGINT);
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{handler}: {}", finished.stderr);
        assert!(finished.stderr.contains("request cut"), "{handler}");
    }
}

#[test]
fn handlers_of_the_application_do_not_keep_workers_from_their_stop() {
    for (index, (handler, is_code)) in HANDLERS.into_iter().enumerate() {
        let preload = [&[][..], &["--preload"][..]][index % 2];
        let mut scoter = handling(handler, "import")
            .args(preload)
            .workers("2")
            .start();
        for _ in 0..4 {
            let reply = scoter.connect().packet(&get("/install")).reply();
            assert_eq!(reply.text(), "installed", "{handler}");
        }
        // As `systemctl kill` and Ctrl-\ do.
        let processes: Vec<_> = scoter.processes();
        let gate = scoter.gate("a");
        let mut running = scoter.connect();
        running.packet(&with(get("/waits"), [("QUERY_STRING", "a")]));
        scoter.wait_for_event("begun");
        for process in processes {
            // A worker without a request may be gone already.
            let _ = kill(process.pid(), Signal::SIGQUIT);
        }
        scoter.wait_for_log("stopping");
        gate.open();
        assert_eq!(running.reply().text(), "waited at a", "{handler}");
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{handler}: {}", finished.stderr);
        assert_eq!(scoter.family(), [], "{handler}");
        let ran = scoter.events().iter().any(|event| event == "handler");
        assert_eq!(ran, is_code, "{handler} {preload:?}");
        assert!(!finished.stderr.contains("restored"), "{}", finished.stderr);
    }
}

#[test]
fn handler_from_before_the_start_is_not_run_by_the_master() {
    // What a library that is loaded by sitecustomize does, as with ddtrace-run.
    let scoter = handling("chains", "request").with_file(
        "sitecustomize.py",
        "import os, signal\n\
         def handler(number, frame):\n    \
             signal.signal(number, signal.SIG_DFL)\n    \
             os.kill(os.getpid(), number)\n\
         for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):\n    \
             signal.signal(number, handler)\n",
    );
    let folder = scoter.folder().display().to_string();
    let scoter = scoter.env("PYTHONPATH", folder);
    let mut scoter = scoter.workers("2").start();
    assert_ends_with_its_request(&mut scoter, Signal::SIGTERM, "before the start");
    assert_eq!(scoter.family(), []);
}

#[test]
fn handler_from_before_the_start_does_not_end_a_server_without_a_master() {
    let scoter = handling("returns", "request").with_file(
        "sitecustomize.py",
        "import os, signal\n\
         def handler(number, frame):\n    \
             signal.signal(number, signal.SIG_DFL)\n    \
             os.kill(os.getpid(), number)\n\
         signal.signal(signal.SIGTERM, handler)\n",
    );
    let folder = scoter.folder().display().to_string();
    let scoter = scoter.env("PYTHONPATH", folder).args(["--no-master"]);
    assert_ends_with_its_request(&mut scoter.start(), Signal::SIGTERM, "before the start");
}

#[test]
fn forked_child_has_the_handlers_of_the_application() {
    for (handler, status) in [("SIG_DFL", "-15"), ("ends", "-15"), ("exits", "3")] {
        for master in [&[][..], &["--no-master"][..]] {
            let scoter = handling(handler, "import").args(master).start();
            let reply = scoter.connect().packet(&get("/inherits")).reply();
            assert_eq!(reply.text(), status, "{handler} {master:?}");
        }
    }
}

#[test]
fn mistakes_are_refused_as_by_python() {
    let scoter = handling("returns", "import").start();
    let reply = scoter.connect().packet(&get("/refuses")).reply();
    assert_eq!(reply.text(), "4");
}

#[test]
fn stacks_that_the_application_wants_on_a_signal_are_written() {
    for args in [&[][..], &["--preload"]] {
        let scoter = Scoter::serving("dumping").args(args).with_file(
            "dumping.py",
            "import faulthandler, signal\n\
             from hello import application\n\
             faulthandler.register(signal.SIGUSR1)\n",
        );
        let mut scoter = scoter.start();
        scoter.worker().signal(Signal::SIGUSR1);
        scoter.wait_for_log("most recent call first");
        let reply = scoter.connect().packet(&get("/")).reply();
        assert_eq!(reply.status, 200);
        scoter.stop();
    }
}

#[test]
fn c_code_that_takes_a_signal_in_a_request_does_not_keep_the_server_from_its_stop() {
    let scoter = Scoter::serving("taking").args(["--no-master"]).with_file(
        "taking.py",
        "import faulthandler, signal\n\
         def application(environ, start_response):\n    \
             faulthandler.register(signal.SIGTERM)\n    \
             start_response('200 OK', [])\n    \
             return [b'taken']\n",
    );
    let mut scoter = scoter.start();
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!(reply.text(), "taken");
    let line = scoter.wait_for_log("restored");
    assert!(line.contains("SIGTERM"), "{line}");
    scoter.stop();
}

/// Lets processes dump core, as far as the machine allows that.
const WITH_CORES: [&str; 3] = [
    "sh",
    "-c",
    "ulimit -c \"$(ulimit -Hc)\"; exec \"$0\" \"$@\"",
];

/// What is there to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Serving,
    /// New code is being imported.
    Reloading,
    /// `--drain-delay` has begun.
    Draining,
}

#[test]
fn signal_to_all_processes_is_a_graceful_stop_without_a_core_dump() {
    // As `systemctl kill`, a container with another STOPSIGNAL, and Ctrl-\ in a terminal may do.
    for (args, moment) in [
        (&[][..], Moment::Serving),
        (&["--no-master"], Moment::Serving),
        (&["--preload"], Moment::Serving),
        (&[], Moment::Reloading),
        (&["--preload"], Moment::Reloading),
        (&["--drain-delay", "1h"], Moment::Draining),
    ] {
        for signal in STOPS {
            let what = format!("{signal} {args:?} {moment:?}");
            let scoter = Scoter::serving("changing")
                .with_file("changing.py", "from streaming import application\n")
                .args(["--threads", "2"])
                .args(args)
                .under(WITH_CORES);
            let mut scoter = scoter.start();
            let gates = [scoter.gate("a"), scoter.gate("load")];
            let mut running = scoter.begin("a");
            match moment {
                Moment::Serving => {}
                Moment::Reloading => {
                    let waits = "import probe\nprobe.event('loading')\nprobe.wait_at('load')\n";
                    scoter.put("changing.py", waits);
                    scoter.signal(Signal::SIGHUP);
                    scoter.wait_for_event("loading");
                }
                Moment::Draining => {
                    scoter.signal(signal);
                    scoter.wait_for_log("draining");
                }
            }
            if moment == Moment::Draining {
                // The second one means now.
                scoter.signal(Signal::SIGQUIT);
            } else {
                for process in scoter.processes() {
                    // A worker without a request may be gone already.
                    let _ = kill(process.pid(), signal);
                }
                scoter.wait_for_log("finishing running requests");
                assert!(scoter.exit_status().is_none(), "{what}");
                gates[0].open();
                assert_eq!(running.reply().text(), "waited at a", "{what}");
            }
            let finished = scoter.wait();
            assert_eq!(finished.code, Some(0), "{what}: {}", finished.stderr);
            scoter.wait_until_all_are_gone();
            for word in ["died", "dumped", "ERROR"] {
                assert!(
                    !finished.stderr.contains(word),
                    "{what}: {}",
                    finished.stderr
                );
            }
            let files = fs::read_dir(scoter.folder()).expect("it is there");
            let names = files.map(|file| file.expect("it is there").file_name());
            let cores = names.filter(|name| name.to_string_lossy().starts_with("core"));
            assert_eq!(cores.count(), 0, "{what}");
        }
    }
}

#[test]
fn signals_to_a_launcher_do_nothing() {
    let mut scoter = Scoter::serving("streaming").under(WITH_CORES).start();
    let launcher = scoter.launcher();
    let gate = scoter.gate("a");
    let mut running = scoter.begin("a");
    for signal in STOPS {
        launcher.signal(signal);
    }
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    // It still forks.
    assert_eq!(scoter.command(["scale", "2"]).code, Some(0));
    scoter.wait_for_workers(2);
    assert_eq!(scoter.launcher(), launcher);
    let log = scoter.stop().stderr;
    assert!(!log.contains("launcher died"), "{log}");
}

#[test]
fn quit_to_a_worker_replaces_it() {
    let scoter = Scoter::serving("workers").workers("2").start();
    let workers = scoter.wait_for_workers(2);
    let worker = &workers[0];
    worker.signal(Signal::SIGQUIT);
    let line = scoter.wait_for_log("replacing worker");
    assert!(line.contains("reason=\"QUIT\""), "{line}");
    worker.wait_until_gone();
    scoter.wait_for_workers(2);
}
