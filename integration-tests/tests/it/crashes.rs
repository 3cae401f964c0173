//! Processes that crash, or leave, whatever the application does to them: what the log says, and the exit code.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use integration_tests::{Finished, Scoter, ScoterBuilder, get, until};
use nix::sys::signal::Signal;

/// Does to its process what the variable says, when it is imported or in a request.
const APPLICATION: &str = "import ctypes, os, sys\n\
                           def crash(what):\n    \
                               if what == 'segv':\n        \
                                   ctypes.string_at(0)\n    \
                               if what == 'abrt':\n        \
                                   os.abort()\n    \
                               if what in ('fpe', 'bus', 'ill', 'kill'):\n        \
                                   import signal\n        \
                                   signal.raise_signal(getattr(signal, 'SIG' + what.upper()))\n    \
                               if what == 'leave':\n        \
                                   os._exit(0)\n    \
                               if what == 'exit':\n        \
                                   sys.exit(0)\n\
                           if os.environ.get('OWN'):\n    \
                               import faulthandler\n    \
                               own = open(os.environ['OWN'], 'a')\n    \
                               faulthandler.enable(file=own)\n\
                           crash(os.environ.get('AT_IMPORT'))\n\
                           def application(environ, start_response):\n    \
                               start_response('200 OK', [])\n    \
                               if environ['PATH_INFO'] == '/child':\n        \
                                   pid = os.fork()\n        \
                                   if pid == 0:\n            \
                                       crash('segv')\n        \
                                   return [str(os.waitpid(pid, 0)[1]).encode()]\n    \
                               crash(environ['PATH_INFO'].strip('/'))\n    \
                               return [b'alive']\n";

const STACK: &str = "\nCurrent thread 0x";

fn crashing() -> ScoterBuilder {
    Scoter::serving("crashing").with_file("crashing.py", APPLICATION)
}

#[track_caller]
fn assert_has_one_stack(what: &str, log: &str, fatal: &str) {
    // As the log marks lines that continue a message.
    let log = &log.replace("\n| ", "\n");
    assert_eq!(log.matches(fatal).count(), 1, "{what}: {log}");
    let (_, stack) = log
        .split_once(STACK)
        .unwrap_or_else(|| panic!("{what}: {log}"));
    let calls: Vec<_> = stack
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .collect();
    let is_call =
        |line: &&&str| line.contains("crashing.py\", line ") && line.contains(" in crash");
    assert!(calls.iter().any(|line| is_call(&line)), "{what}: {log}");
}

#[test]
fn whatever_ends_a_process_at_import_is_exit_code_3() {
    for arguments in [&["--threads", "2"][..], &["--preload"]] {
        for (what, words, fatal) in [
            (
                "segv",
                "SIGSEGV",
                Some("Fatal Python error: Segmentation fault"),
            ),
            ("abrt", "SIGABRT", Some("Fatal Python error: Aborted")),
            ("fpe", "SIGFPE", Some("Fatal Python error: Floating")),
            ("kill", "SIGKILL", None),
            ("leave", "exit code 0", None),
            ("exit", "SystemExit", None),
        ] {
            let scoter = crashing().env("AT_IMPORT", what).args(arguments);
            let Finished { code, stderr, .. } = scoter.run();
            assert_eq!(code, Some(3), "{what}: {stderr}");
            assert!(stderr.contains(words), "{what}: {stderr}");
            if let Some(fatal) = fatal {
                assert_has_one_stack(what, &stderr, fatal);
            }
        }
    }
}

#[test]
fn crash_in_a_request_leaves_its_stack_in_the_log() {
    for arguments in [&["--threads", "2"][..], &["--preload"]] {
        for (what, fatal) in [
            ("segv", "Fatal Python error: Segmentation fault"),
            ("bus", "Fatal Python error: Bus error"),
            ("ill", "Fatal Python error: Illegal instruction"),
        ] {
            let mut scoter = crashing().args(arguments).start();
            scoter.connect().packet(&get(&format!("/{what}"))).ending();
            let line = scoter.wait_for_log("worker died");
            assert!(
                line.contains(&format!("SIG{}", what.to_uppercase())),
                "{line}"
            );
            until("the next worker", || {
                let reply = scoter.connect().packet(&get("/")).reply();
                (reply.text() == "alive").then_some(())
            });
            assert_has_one_stack(what, &scoter.stop().stderr, fatal);
        }
    }
}

#[test]
fn crash_without_a_master_is_seen_as_the_signal_and_described() {
    let mut scoter = crashing().args(["--no-master"]).start();
    scoter.connect().packet(&get("/segv")).ending();
    let status = until("its end", || scoter.exit_status());
    assert_eq!(status.signal(), Some(Signal::SIGSEGV as i32));
    assert_has_one_stack(
        "/segv",
        &scoter.stderr(),
        "Fatal Python error: Segmentation fault",
    );
}

#[test]
fn crash_of_a_child_of_the_application_is_described_as_its_own() {
    for arguments in [&["--threads", "2"][..], &["--preload"]] {
        let mut scoter = crashing().args(arguments).start();
        let reply = scoter.connect().packet(&get("/child")).reply();
        assert_eq!(reply.text(), (Signal::SIGSEGV as i32).to_string());
        let log = scoter.stop().stderr;
        assert_has_one_stack("/child", &log, "Fatal Python error: Segmentation fault");
        assert!(!log.contains("worker died"), "{log}");
    }
}

#[test]
fn description_of_crashes_that_is_set_up_already_is_left_alone() {
    for arguments in [&["--threads", "2"][..], &["--preload"]] {
        let scoter = crashing().args(arguments);
        let own = scoter.folder().join("own");
        let mut scoter = scoter.env("OWN", own.clone()).start();
        scoter.connect().packet(&get("/segv")).ending();
        scoter.wait_for_log("worker died");
        let described = fs::read_to_string(&own).expect("made by the application");
        assert_has_one_stack("its own", &described, "Fatal Python error");
        let log = scoter.stop().stderr;
        assert!(!log.contains("Fatal Python error"), "{log}");
    }
    let mut scoter = crashing().env("PYTHONFAULTHANDLER", "1").start();
    scoter.connect().packet(&get("/segv")).ending();
    scoter.wait_for_log("worker died");
    assert_has_one_stack(
        "Python's",
        &scoter.stop().stderr,
        "Fatal Python error: Segmentation fault",
    );
}
