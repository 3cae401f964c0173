//! The limit of open files: raised for the server, derived from, and given back to children.

use std::time::{Duration, Instant};

use integration_tests::{Peer, Scoter, get, post};
use nix::sys::signal::Signal;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const TOO_LOW: &str = "the open file limit is too low for ";

/// Lets this process open `number` files.
fn allow_files(number: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < number) {
        let limit = Rlimit {
            current: Some(number),
            ..limit
        };
        setrlimit(Resource::Nofile, limit).expect("the hard limit allows it");
    }
}

fn slow_uploads(scoter: &Scoter, number: usize) -> Vec<Peer> {
    let packet = post("/everything", 2).to_vec().expect("fits");
    let begin = |_| {
        let mut peer = scoter.connect();
        peer.send(&packet);
        peer
    };
    (0..number).map(begin).collect()
}

#[track_caller]
fn assert_complete_requests_are_prompt(scoter: &Scoter) {
    let start = Instant::now();
    let request = [&post("/everything", 2).to_vec().expect("fits")[..], b"ok"].concat();
    for _ in 0..20 {
        assert_eq!(scoter.connect().send(&request).reply().text(), "ok");
    }
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[track_caller]
fn assert_limits(scoter: &Scoter, own: &str, child: &str) {
    for (path, expected) in [("/own", own), ("/child", child)] {
        let packet = get(path).to_vec().expect("fits");
        assert_eq!(scoter.connect().send(&packet).reply().text(), expected);
    }
}

#[test]
fn as_many_slow_uploads_as_may_wait_starve_nobody_at_a_low_soft_limit() {
    allow_files(4_096);
    let scoter = Scoter::serving("bodies")
        .limit_files_softly(1_024)
        .args(["--max-pending", "1024"])
        .start();
    let mut uploads = slow_uploads(&scoter, 1_024);
    assert_complete_requests_are_prompt(&scoter);
    for upload in &mut uploads {
        assert_eq!(upload.send("ok").reply().text(), "ok");
    }
    assert!(scoter.log_lines(TOO_LOW).is_empty());
}

#[test]
fn low_hard_limit_is_said_once_and_bounds_what_waits() {
    let scoter = Scoter::serving("bodies")
        .limit_files(256)
        .workers("2")
        .start();
    let said = scoter.wait_for_log_lines(1, TOO_LOW);
    for figure in [
        "limit=256",
        "places=25",
        "max_pending=1024",
        "kept=25",
        "keep_alive=512",
        "for --max-pending and --keep-alive",
        "LimitNOFILE=",
    ] {
        assert!(said[0].contains(figure), "{said:?}");
    }
    let mut uploads = slow_uploads(&scoter, 200);
    assert_complete_requests_are_prompt(&scoter);
    let mut served = 0;
    for upload in &mut uploads {
        drop(upload.try_send(b"ok"));
        let reply = upload.reply();
        match reply.status {
            200 => served += 1,
            status => assert_eq!(status, 503),
        }
    }
    // Of one worker at least.
    assert!((25..200).contains(&served), "{served}");
    assert_complete_requests_are_prompt(&scoter);
    assert!(scoter.log_lines("Too many open files").is_empty());
    assert_eq!(scoter.log_lines(TOO_LOW).len(), 1);
}

#[test]
fn kept_connections_that_do_not_fit_are_said_and_take_no_place_if_there_are_none() {
    for (keep_alive, max_pending, said) in [
        ("512", "25", Some("for --keep-alive,")),
        ("0", "1024", Some("for --max-pending,")),
        ("0", "31", None),
    ] {
        let scoter = Scoter::serving("bodies")
            .limit_files(256)
            .args(["--keep-alive", keep_alive, "--max-pending", max_pending])
            .start();
        let lines = scoter.log_lines(TOO_LOW);
        assert_eq!(lines.len(), usize::from(said.is_some()), "{lines:?}");
        if let Some(said) = said {
            assert!(lines[0].contains(said), "{lines:?}");
        }
    }
}

#[test]
fn reload_with_more_places_raises_the_limit_or_says_that_it_cannot() {
    let scoter = Scoter::serving("file_limit")
        .limit_files(6_000)
        .with_file("scoter.toml", "max-pending = 100\n")
        .args(["--config", "scoter.toml"])
        .start();
    assert_limits(&scoter, "6000", "6000");
    assert!(scoter.log_lines(TOO_LOW).is_empty());
    scoter.put("scoter.toml", "max-pending = 5000\n");
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    assert_eq!(scoter.log_lines(TOO_LOW).len(), 1);
}

#[test]
fn children_of_the_application_have_the_limit_of_before() {
    for arguments in [
        &["--max-pending", "1000"][..],
        &["--max-pending", "1000", "--preload"],
    ] {
        let scoter = Scoter::serving("file_limit")
            .limit_files_softly(512)
            .args(arguments)
            .start();
        assert_limits(&scoter, "8872", "512");
        scoter.signal(Signal::SIGUSR2);
        scoter.wait_for_log("reloaded generation=2");
        assert_limits(&scoter, "8872", "512");
    }
    let scoter = Scoter::serving("file_limit")
        .limit_files_softly(512)
        .args(["--no-master", "--max-pending", "1000"])
        .start();
    assert_limits(&scoter, "8872", "512");
}

#[test]
fn worker_without_descriptors_for_its_threads_fails_the_start() {
    let finished = Scoter::serving("bodies")
        .limit_files(64)
        .args(["--threads", "32"])
        .run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for words in ["the open file limit is 64", "for 32 threads", "--threads"] {
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
}

#[test]
fn start_that_the_limit_of_memory_prevents_names_the_limit() {
    // No stack of a thread of Python, which is as large as the limit of stacks, fits into the
    // address space. That leaves all of it to the import of the application.
    let script = "ulimit -s 16777216 && ulimit -v 8388608 && exec \"$0\" \"$@\"";
    for arguments in [&[][..], &["--no-master"], &["--preload"]] {
        let finished = Scoter::serving("hello")
            .under(["sh", "-c", script])
            .args(arguments)
            .run();
        assert_eq!(finished.code, Some(1), "{arguments:?}: {finished:?}");
        let (_, error) = finished.stderr.split_once("ERROR").expect("an error");
        for words in [
            "can't start new thread",
            "\n| hint: raise the address space limit of 8388608 KiB",
            "ulimit -v",
        ] {
            assert!(error.contains(words), "{words:?} in {error}");
        }
    }
}
