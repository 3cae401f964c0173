//! A limit of open files that is too low, by little or by much, whatever descriptors are inherited.

use std::ops::Range;

use integration_tests::{Finished, Scoter, ScoterBuilder, get};
use nix::sys::signal::Signal;

/// The ways to serve.
const WAYS: [&[&str]; 3] = [&[], &["--no-master"], &["--preload"]];

/// The first number that is free for inherited descriptors.
const FIRST: usize = 3;

/// A limit with which nothing can be served.
const FAR_TOO_LOW: usize = 32;

const TOO_MANY: &str = "Too many open files";

fn inherited(count: usize) -> Range<usize> {
    FIRST..FIRST + count
}

/// An application that answers when four requests run, unless [`serving_together`] says otherwise.
fn serving(limit: usize, inherited: Range<usize>, arguments: &[&str]) -> ScoterBuilder {
    serving_together(4, limit, inherited, arguments)
}

/// An application that answers when `threads` requests run.
fn serving_together(
    threads: usize,
    limit: usize,
    inherited: Range<usize>,
    arguments: &[&str],
) -> ScoterBuilder {
    Scoter::serving("together")
        .limit_files_inheriting(limit, inherited)
        .env("TOGETHER", threads.to_string())
        .args(["--threads", &threads.to_string()])
        .args(arguments)
}

/// Returns the limit that the message asks for.
#[track_caller]
fn assert_refused(finished: &Finished, limit: usize) -> usize {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.stderr.matches(" ERROR ").count(),
        1,
        "{finished:?}"
    );
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    limit_wanted(&finished.stderr, limit)
}

/// Returns the limit that a message about this `limit` asks for.
#[track_caller]
fn limit_wanted(text: &str, limit: usize) -> usize {
    let (_, message) = text
        .split_once(&format!("the open file limit is {limit}: "))
        .unwrap_or_else(|| panic!("{text}"));
    for words in ["in use", "LimitNOFILE=", "ulimit -n", "or lower --"] {
        assert!(message.contains(words), "{words:?} in {text}");
    }
    let (_, wanted) = message
        .split_once("hint: raise the limit to at least ")
        .unwrap_or_else(|| panic!("{text}"));
    let (wanted, _) = wanted.split_once(' ').expect("a sentence");
    wanted.parse().expect("a number")
}

/// Has every thread of a worker run a request at the same time.
#[track_caller]
fn assert_all_threads_serve(scoter: &Scoter, threads: usize) {
    let packet = get("/").to_vec().expect("fits");
    let send = |_| {
        let mut peer = scoter.connect();
        peer.send(&packet);
        peer
    };
    let running: Vec<_> = (0..threads).map(send).collect();
    for mut peer in running {
        assert_eq!(peer.reply().text(), "together");
    }
}

#[test]
fn start_under_a_limit_that_is_far_too_low_is_refused_whatever_is_inherited() {
    for count in 0..=20 {
        for arguments in WAYS {
            let finished = serving(FAR_TOO_LOW, inherited(count), arguments).run();
            let wanted = assert_refused(&finished, FAR_TOO_LOW);
            assert!(wanted > FAR_TOO_LOW, "{finished:?}");
        }
    }
}

#[test]
fn lowest_limit_that_is_not_refused_serves_and_one_less_is_refused() {
    const MORE_SOCKETS: [&str; 4] = ["--bind", "unix:other.sock", "--bind", "127.0.0.1:0"];
    for (threads, workers, arguments) in [
        (1, "1", &[][..]),
        (4, "1", &[]),
        // Here the master needs most.
        (1, "12", &[]),
        (4, "1", &["--no-master"]),
        (4, "1", &["--keep-alive", "0"]),
        (4, "1", &["--preload"]),
        (4, "1", &MORE_SOCKETS),
        (
            16,
            "1",
            &["--access-log", "access.log", "--request-timeout", "30s"],
        ),
    ] {
        for count in [0, 5, 17] {
            let with = |limit| {
                serving_together(threads, limit, inherited(count), arguments).workers(workers)
            };
            let lowest = assert_refused(&with(FAR_TOO_LOW).run(), FAR_TOO_LOW);
            let refused = with(lowest - 1).run();
            assert_eq!(assert_refused(&refused, lowest - 1), lowest);
            let mut scoter = with(lowest).start();
            assert_all_threads_serve(&scoter, threads);
            if !arguments.contains(&"--no-master") {
                scoter.signal(Signal::SIGHUP);
                scoter.wait_for_log("reloaded generation=2");
                scoter.signal(Signal::SIGUSR2);
                scoter.wait_for_log("reloaded generation=3");
                assert_all_threads_serve(&scoter, threads);
            }
            let finished = scoter.stop();
            assert!(!finished.stderr.contains(TOO_MANY), "{}", finished.stderr);
        }
    }
}

#[test]
fn descriptors_inherited_at_high_numbers_leave_the_low_ones_to_the_server() {
    for arguments in WAYS {
        // Beyond the limit, and where the server would have its own: fewer and fewer of those are
        // free.
        let among_own = (385..=425).rev().step_by(5).map(|first| (512, first..512));
        for (limit, inherited) in among_own.chain([(64, 64..120), (256, 193..256)]) {
            let mut scoter = serving(limit, inherited, arguments).start();
            assert_all_threads_serve(&scoter, 4);
            let finished = scoter.stop();
            assert!(!finished.stderr.contains(TOO_MANY), "{}", finished.stderr);
        }
    }
}

#[test]
fn check_refuses_what_a_start_would() {
    for arguments in WAYS {
        let with = |limit| serving(limit, inherited(5), arguments);
        let lowest = assert_refused(&with(FAR_TOO_LOW).run(), FAR_TOO_LOW);
        let checked = with(lowest - 1).as_check().run();
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert_eq!(limit_wanted(&checked.stderr, lowest - 1), lowest);
        let checked = with(lowest).as_check().run();
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
}

#[test]
fn reload_and_upgrade_beyond_the_limit_are_refused_and_the_old_code_serves() {
    const LIMIT: usize = 80;
    for inherited in [0, 5].map(inherited) {
        for (options, message) in [
            ("workers = 1\nthreads = 40", "for 40 threads"),
            ("workers = 40", "for 40 workers"),
        ] {
            let scoter = Scoter::serving("together")
                .default_workers()
                .limit_files_inheriting(LIMIT, inherited.clone())
                .env("TOGETHER", "4")
                .with_file("scoter.toml", "workers = 1")
                .start();
            scoter.put("scoter.toml", options);
            for command in [&["reload"][..], &["reload", "--upgrade"]] {
                let refused = scoter.command(command);
                assert_eq!(refused.code, Some(1), "{refused:?}");
                assert!(limit_wanted(&refused.stderr, LIMIT) > LIMIT, "{refused:?}");
                assert!(refused.stderr.contains(message), "{refused:?}");
                assert_all_threads_serve(&scoter, 4);
                assert_eq!(scoter.worker().generation, 1);
            }
            assert!(scoter.log_lines(TOO_MANY).is_empty());
        }
    }
}

#[test]
fn workers_for_which_there_are_no_descriptors_are_reported_with_the_limit() {
    let scoter = serving(64, inherited(0), &[]).start();
    scoter.command(["scale", "100"]);
    scoter.wait_for_log("cannot start a worker: Too many open files");
    scoter
        .wait_for_log("| hint: raise the open file limit of 64 (LimitNOFILE= in the systemd unit");
    scoter.command(["scale", "1"]);
    scoter.wait_for_workers(1);
    assert_all_threads_serve(&scoter, 4);
}

/// Opens files until it may open no more, or as many as it is told.
const GREEDY: &str = "\
import os
from hello import application
opened = []
while len(opened) < int(os.environ.get('MOST', 10000)):
    opened.append(open(os.devnull))
";

#[test]
fn import_that_runs_out_of_descriptors_names_the_limit() {
    let greedy = |arguments: &[&str]| {
        Scoter::serving("greedy")
            .limit_files(128)
            .with_file("greedy.py", GREEDY)
            .args(arguments)
    };
    let assert_says = |finished: Finished| {
        assert_eq!(finished.code, Some(3), "{finished:?}");
        for words in [
            "greedy could not be imported",
            "OSError: [Errno 24] Too many open files",
            "hint: raise the open file limit of 128 (LimitNOFILE=",
        ] {
            assert!(finished.stderr.contains(words), "{words:?} in {finished:?}");
        }
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    };
    for arguments in WAYS {
        assert_says(greedy(arguments).run());
    }
    assert_says(greedy(&[]).as_check().run());
}

#[test]
fn application_that_leaves_too_few_descriptors_to_its_worker_fails_the_start() {
    for arguments in WAYS {
        for most in (60..=120).step_by(10) {
            let finished = Scoter::serving("greedy")
                .limit_files(128)
                .with_file("greedy.py", GREEDY)
                .env("MOST", most.to_string())
                .args(["--threads", "16"])
                .args(arguments)
                .run();
            assert!(!finished.stderr.contains("panicked"), "{finished:?}");
            for words in ["open file limit", "128", "LimitNOFILE="] {
                assert!(finished.stderr.contains(words), "{words:?} in {finished:?}");
            }
            let is_import = finished.stderr.contains("could not be imported");
            let code = if is_import { 3 } else { 1 };
            assert_eq!(finished.code, Some(code), "{finished:?}");
        }
    }
}
