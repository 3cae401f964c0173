//! Children of `os.fork()`, which are no part of the server, however they end.

use std::fs;
use std::os::unix::net::UnixStream;

use integration_tests::{Running, Scoter, ScoterBuilder, apps_folder, get, until, with};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// With a master and without.
const KINDS: [&[&str]; 3] = [&[], &["--preload"], &["--no-master"]];

/// How children end, and what their parent learns of it.
const ENDINGS: [(&str, i32); 5] = [
    ("returns", 0),
    ("exits", 7),
    ("says", 1),
    ("raises", 1),
    ("interrupts", -2),
];

fn serving(args: &[&str]) -> ScoterBuilder {
    Scoter::serving("forking").args(args)
}

#[track_caller]
fn ask(scoter: &Scoter, path: &str, query: &str) -> String {
    let packet = with(get(path), [("QUERY_STRING", query)]);
    scoter.connect().packet(&packet).reply().text()
}

/// Returns the only process that serves.
#[track_caller]
fn pid(scoter: &Scoter) -> String {
    ask(scoter, "/who", "")
}

/// Looks at what came of a test: one response and one line for each request, and one process
/// that serves.
#[track_caller]
fn assert_that_only_the_worker_serves(mut scoter: Scoter, pid: &str, requests: usize) {
    for _ in 0..40 {
        assert_eq!(ask(&scoter, "/who", ""), pid);
    }
    let finished = scoter.stop();
    let logged = finished
        .stdout
        .lines()
        .filter(|line| line.contains("HTTP/1.1"));
    assert_eq!(logged.count(), requests + 40, "{}", finished.stdout);
    let (_, log) = finished.stderr.split_once(" ready ").expect("it was");
    for told in ["lost", "ERROR", "WARN"] {
        assert!(!log.contains(told), "{log}");
    }
}

#[test]
fn child_that_comes_back_ends_and_its_parent_answers() {
    for args in KINDS {
        let scoter = serving(args).start();
        let pid = pid(&scoter);
        let mut requests = 1;
        for (how, code) in ENDINGS {
            for (place, path, query, expected) in [
                ("view", "/view", how, ""),
                ("started", "/started", how, ""),
                ("generator", "/generator", how, "first second "),
                ("iter", "/result", &format!("iter&{how}"), ""),
                ("len", "/result", &format!("len&{how}"), ""),
                ("close", "/result", &format!("close&{how}"), ""),
            ] {
                let text = ask(&scoter, path, query);
                assert_eq!(text, format!("{expected}{pid}"), "{place} {how}");
                scoter.wait_for_event(&format!("{place} {how} {code}"));
                requests += 1;
            }
            // What it prints is there once, and so is what it has to say for itself.
            let printed = format!("printed by a child that {how}\n");
            assert_eq!(scoter.stdout().matches(&printed).count(), 6, "{args:?}");
        }
        let log = scoter.stderr();
        for said in [
            "ValueError: of a child\n",
            "\nKeyboardInterrupt\n",
            "last words\n",
        ] {
            assert_eq!(log.matches(said).count(), 6, "{said} {log}");
        }
        assert_that_only_the_worker_serves(scoter, &pid, requests);
    }
}

#[test]
fn child_that_comes_back_outside_of_a_request_ends() {
    for args in KINDS {
        for (place, how, code) in [
            ("import", "returns", 0),
            ("import", "exits", 7),
            ("import", "raises", 1),
            ("post_fork", "exits", 7),
            ("on_worker_start", "raises", 1),
            ("on_worker_exit", "exits", 7),
            // One that is scoter's, too, and one that is not.
            ("SIGUSR1", "exits", 7),
            ("SIGALRM", "raises", 1),
        ] {
            let scoter = Scoter::serving("forking_elsewhere").args(args);
            let scoter = scoter.env("PLACE", place).env("HOW", how).start();
            let pid = pid(&scoter);
            if let Ok(signal) = place.parse() {
                Running::new(Pid::from_raw(pid.parse().expect("a process id"))).signal(signal);
                scoter.wait_for_event(&format!("{place} {how} {code}"));
            }
            for _ in 0..40 {
                assert_eq!(ask(&scoter, "/who", ""), pid, "{args:?} {place} {how}");
            }
            let mut scoter = scoter;
            let finished = scoter.stop();
            assert_eq!(
                scoter.events(),
                [format!("{place} {how} {code}")],
                "{args:?}"
            );
            let printed = format!("printed by a child that {how}\n");
            assert_eq!(
                finished.stdout.matches(&printed).count(),
                1,
                "{args:?} {place}"
            );
            let logged = finished
                .stdout
                .lines()
                .filter(|line| line.contains("HTTP/1.1"));
            assert_eq!(logged.count(), 41, "{args:?} {place} {how}");
        }
    }
}

#[test]
fn check_of_an_application_that_forks_says_one_thing() {
    let scoter = Scoter::told_nothing().args(["check", "--pythonpath"]);
    let scoter = scoter
        .args([apps_folder()])
        .args(["--bind", "unix:scoter.sock"]);
    let scoter = scoter.env("PLACE", "import").env("HOW", "returns");
    let finished = scoter.args(["forking_elsewhere"]).run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        finished.stdout.matches("fine").count(),
        1,
        "{}",
        finished.stdout
    );
}

#[test]
fn child_that_comes_back_from_a_finalizer_ends() {
    let scoter = serving(&[]).start();
    let pid = pid(&scoter);
    assert_eq!(ask(&scoter, "/result", "del&returns"), pid);
    scoter.wait_for_event("del returns 0");
    assert_that_only_the_worker_serves(scoter, &pid, 2);
}

#[test]
fn child_that_c_code_has_forked_ends() {
    for args in KINDS {
        let scoter = serving(args).start();
        let pid = pid(&scoter);
        for (how, code) in [("returns", 0), ("exits", 7)] {
            assert_eq!(ask(&scoter, "/of_c", how), pid);
            scoter.wait_for_event(&format!("of_c {code}"));
        }
        assert_that_only_the_worker_serves(scoter, &pid, 3);
    }
}

#[test]
fn child_cannot_write_to_the_connection() {
    for args in KINDS {
        let scoter = serving(args).start();
        let pid = pid(&scoter);
        assert_eq!(
            ask(&scoter, "/writes", "writes"),
            format!("before parent {pid}")
        );
        scoter.wait_for_event("writes writes 1");
        assert_that_only_the_worker_serves(scoter, &pid, 2);
    }
}

#[test]
fn child_of_a_thread_ends_with_the_thread() {
    for args in KINDS {
        let scoter = serving(args).start();
        let pid = pid(&scoter);
        // So it is in Python: nobody asks a thread for its exit code.
        for (how, _) in ENDINGS {
            assert_eq!(ask(&scoter, "/thread", how), pid);
            scoter.wait_for_event(&format!("thread {how} 0"));
        }
        assert_that_only_the_worker_serves(scoter, &pid, 1 + ENDINGS.len());
    }
}

#[test]
fn child_that_lives_on_keeps_nothing_of_the_server() {
    for args in KINDS {
        let scoter = serving(args).args(["--request-timeout", "30s"]);
        let log = scoter.folder().join("access.log");
        let scoter = scoter.args(["--access-log".into(), log]).start();
        let gate = scoter.gate("child");
        let pid = pid(&scoter);
        // Connections in every state there is.
        let _silent = scoter.connect();
        scoter.connect().send([0, 100]);
        let mut pending = scoter.connect();
        pending
            .packet(&integration_tests::post("/who", 10))
            .send("part");
        assert_eq!(ask(&scoter, "/keeps", ""), pid);
        let child = child(&scoter);
        let files = fs::read_dir(format!("/proc/{}/fd", child.pid())).expect("it runs");
        for file in files.filter_map(Result::ok) {
            let file = fs::read_link(file.path()).unwrap_or_default();
            let file = file.to_string_lossy().into_owned();
            // What the tests were started with is none of the server's business: pipes, terminals.
            for kind in ["socket:", "anon_inode:", "memfd:", "access.log"] {
                assert!(!file.contains(kind), "{file}");
            }
        }
        for _ in 0..40 {
            assert_eq!(ask(&scoter, "/who", ""), pid);
        }
        drop((scoter, gate));
    }
}

#[test]
fn child_that_lives_on_holds_up_neither_a_stop_nor_the_next_server() {
    for args in KINDS {
        let mut scoter = serving(args).start();
        let gate = scoter.gate("child");
        ask(&scoter, "/keeps", "");
        let child = child(&scoter);
        let worker = pid(&scoter).parse().expect("a process id");
        Running::new(Pid::from_raw(worker)).signal(Signal::SIGKILL);
        if args.contains(&"--no-master") {
            scoter.wait();
            assert!(UnixStream::connect(scoter.socket()).is_err());
        } else {
            scoter.wait_for_log("worker died");
            scoter.wait_for_workers_that("a new worker", |workers| {
                workers.len() == 1 && workers[0].pid().as_raw() != worker
            });
            scoter.signal(Signal::SIGTERM);
            assert_eq!(scoter.wait().code, Some(0));
        }
        assert!(!child.is_gone());
        let requests = scoter.stdout().lines().count();
        gate.open();
        scoter.wait_for_event("child returns");
        until("the child has ended", || {
            scoter.family().is_empty().then_some(())
        });
        assert_eq!(scoter.stdout().lines().count(), requests);
    }
}

#[test]
fn child_that_lives_on_holds_up_no_reload() {
    let scoter = serving(&[]).start();
    let gate = scoter.gate("child");
    let before = pid(&scoter);
    ask(&scoter, "/keeps", "");
    let child = child(&scoter);
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    scoter.wait_for_workers_that("only the new worker", |workers| {
        workers.len() == 1 && workers[0].pid().to_string() != before
    });
    assert!(!child.is_gone());
    gate.open();
    // The master takes note of it: its parent is gone.
    child.wait_until_gone();
    let after = pid(&scoter);
    assert_that_only_the_worker_serves(scoter, &after, 3);
}

#[track_caller]
fn child(scoter: &Scoter) -> Running {
    until("the child's process id", || {
        let events = scoter.events();
        let mut pids = events
            .iter()
            .filter_map(|event| event.strip_prefix("child ")?.parse().ok());
        pids.next().map(|pid| Running::new(Pid::from_raw(pid)))
    })
}

/// `SigBlk`, `SigIgn` and `SigCgt` of a process (proc_pid_status(5)) as the numbers of the signals, without those
/// that the C library has for itself.
fn signals(text: &str) -> Vec<Vec<u32>> {
    let numbers = |mask: &str| {
        let mask = u64::from_str_radix(mask, 16).expect("hexadecimal");
        let set = (1..=64).filter(|number| mask & 1 << (number - 1) != 0);
        set.filter(|number| ![32, 33].contains(number)).collect()
    };
    text.split_whitespace().map(numbers).collect()
}

#[test]
fn signals_do_in_children_what_they_do_in_any_child_of_python() {
    let (interrupt, pipe, file_size) = (2, 13, 25);
    for args in KINDS {
        let scoter = serving(args).args(["--request-timeout", "30s"]).start();
        // Blocked, ignored, caught.
        assert_eq!(
            signals(&ask(&scoter, "/forked_signals", "")),
            // What faulthandler describes, in children too: ILL, ABRT, BUS, FPE, SEGV.
            [
                vec![],
                vec![pipe, file_size],
                vec![interrupt, 4, 6, 7, 8, 11]
            ],
            "{args:?}"
        );
        // Python gives those two their default back (subprocess, restore_signals).
        assert_eq!(
            signals(&ask(&scoter, "/executed_signals", "")),
            [[0_u32; 0], [], []],
            "{args:?}"
        );
        let handlers = ask(&scoter, "/handlers", "");
        assert!(
            handlers.starts_with("0 <built-in function default_int_handler> 0 0 0")
                || handlers.starts_with("Handlers.SIG_DFL <built-in function default_int_handler>"),
            "{handlers}"
        );
    }
}

#[test]
fn handlers_of_c_code_stay_in_force_in_children() {
    let code = "import faulthandler, os, signal\n\
                from probe import plain\n\
                dump = open(os.path.join(os.environ['TEST_FOLDER'], 'dump'), 'w')\n\
                def install():\n    \
                    faulthandler.register(signal.SIGUSR1, file=dump)\n\
                if os.environ['INSTALL'] == 'import':\n    \
                    install()\n\
                def application(environ, start_response):\n    \
                    if os.environ['INSTALL'] == 'request':\n        \
                        install()\n    \
                    child = os.fork()\n    \
                    if child == 0:\n        \
                        os.kill(os.getpid(), signal.SIGUSR1)\n        \
                        os._exit(9)\n    \
                    status = os.waitpid(child, 0)[1]\n    \
                    return plain(start_response, f'{os.waitstatus_to_exitcode(status)}')\n";
    for args in KINDS {
        for install in ["import", "request"] {
            let mut scoter = Scoter::serving("dumping")
                .with_file("dumping.py", code)
                .env("INSTALL", install)
                .args(args)
                .start();
            assert_eq!(ask(&scoter, "/", ""), "9", "{args:?} {install}");
            let dump = fs::read_to_string(scoter.folder().join("dump")).expect("it is open");
            assert!(
                dump.contains("in application"),
                "{args:?} {install}: {dump}"
            );
            scoter.stop();
        }
    }
}
