//! A file in place of standard error.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use integration_tests::{Scoter, ScoterBuilder, get, until, with};
use nix::sys::signal::Signal;

/// Writes to standard error in every way there is, and fails.
const TALKING: &str = "\
import ctypes, os, sys
from probe import plain
def application(environ, start_response):
    word = environ['QUERY_STRING']
    print('printed', word, file=sys.stderr, flush=True)
    os.write(2, f'written {word}\\n'.encode())
    environ['wsgi.errors'].write(f'told {word}\\n')
    if environ['PATH_INFO'] == '/crash':
        ctypes.string_at(0)
    if environ['PATH_INFO'] == '/raise':
        raise LookupError(word)
    return plain(start_response, word)
";

fn serving(args: &[&str]) -> ScoterBuilder {
    Scoter::serving("talking")
        .with_file("talking.py", TALKING)
        .args(args)
}

fn ask(scoter: &Scoter, path: &str, word: &str) {
    let packet = with(get(path), [("QUERY_STRING", word)]);
    scoter.connect().packet(&packet).ending();
}

fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[track_caller]
fn wait_for(path: &Path, text: &str) {
    until(&format!("{text:?} is in {}", path.display()), || {
        read(path).contains(text).then_some(())
    });
}

fn log_of(scoter: &Scoter) -> PathBuf {
    scoter.folder().join("error.log")
}

#[test]
fn everything_written_to_standard_error_is_in_the_file() {
    for master in [&[][..], &["--preload"], &["--no-master"]] {
        let mut scoter = serving(master).args(["--error-log", "error.log"]).start();
        let log = log_of(&scoter);
        ask(&scoter, "/raise", "first");
        for expected in [
            "scoter starts",
            " ready",
            "printed first\n",
            "written first\n",
            "| told first\n",
            "the application raised an exception",
            "| LookupError: first",
        ] {
            wait_for(&log, expected);
        }
        let mode = fs::metadata(&log)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
        let stderr = scoter.stop().stderr;
        assert!(read(&log).contains(" stopped\n"), "{}", read(&log));
        // Whoever starts it sees the start, and where to look from then on.
        assert!(stderr.contains("messages go to the error log from now on"));
        for elsewhere in ["first", "stopped"] {
            assert!(!stderr.contains(elsewhere), "{master:?}: {stderr}");
        }
    }
}

#[test]
fn stacks_of_a_crash_are_in_the_file() {
    for master in ["--no-master=false", "--no-master"] {
        let mut scoter = serving(&["--error-log", "error.log", master]).start();
        ask(&scoter, "/crash", "it");
        wait_for(&log_of(&scoter), "talking.py\", line 9");
        if master == "--no-master" {
            scoter.wait();
        }
    }
}

#[test]
fn renamed_file_is_left_to_all_processes_at_usr1() {
    for args in [&[][..], &["--preload"], &["--no-master"]] {
        let mut scoter = serving(args)
            .args(["--error-log", "error.log", "--access-log", "stderr"])
            .args(["--access-log-format", "at $query_string"])
            .start();
        let log = log_of(&scoter);
        let folder = scoter.folder().to_owned();
        for rotation in ["one", "two"] {
            let word = format!("before-{rotation}");
            ask(&scoter, "/raise", &word);
            wait_for(&log, &format!("LookupError: {word}"));
            wait_for(&log, &format!("at {word}\n"));
            fs::rename(&log, folder.join(rotation)).expect("it is there");
            scoter.signal(Signal::SIGUSR1);
            until("the file is there again", || log.exists().then_some(()));
            let word = format!("after-{rotation}");
            until("the worker writes to the new file", || {
                ask(&scoter, "/raise", &word);
                let text = read(&log);
                let all = ["printed", "written", "| told", "at"];
                let all = all.map(|how| format!("{how} {word}\n"));
                all.iter().all(|line| text.contains(line)).then_some(())
            });
        }
        if !args.contains(&"--no-master") {
            // A worker that is forked now has the new file, too.
            let old = scoter.status()["workers"][0]["pid"].clone();
            ask(&scoter, "/crash", "crash");
            until("there is another worker", || {
                let new = &scoter.status()["workers"][0]["pid"];
                (new.is_u64() && *new != old).then_some(())
            });
            ask(&scoter, "/raise", "replaced");
            for line in [
                "printed replaced\n",
                "written replaced\n",
                "| told replaced\n",
            ] {
                wait_for(&log, line);
            }
        }
        scoter.stop();
        assert!(read(&log).contains(" stopped\n"), "{args:?}");
        assert!(!read(folder.join("two")).contains("replaced"));
    }
}

#[test]
fn reload_and_upgrade_keep_the_file() {
    let mut scoter = serving(&["--error-log", "error.log"]).start();
    let log = log_of(&scoter);
    for (command, word) in [
        (&["reload"][..], "reloaded"),
        (&["reload", "--upgrade"], "upgraded"),
    ] {
        let done = scoter.command(command.iter().copied());
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        ask(&scoter, "/raise", word);
        for line in [
            &*format!("printed {word}\n"),
            &format!("| LookupError: {word}"),
        ] {
            wait_for(&log, line);
        }
    }
    scoter.stop();
    assert!(read(&log).contains(" stopped\n"));
}

#[test]
fn file_that_cannot_be_reopened_stays_in_use_and_both_logs_say_so() {
    for master in ["--no-master=false", "--no-master"] {
        let scoter = serving(&["--error-log", "logs/error.log", master]);
        fs::create_dir(scoter.folder().join("logs")).expect("the test's own folder");
        let mut scoter = scoter.start();
        let moved = scoter.folder().join("moved");
        fs::rename(scoter.folder().join("logs"), &moved).expect("it is there");
        scoter.signal(Signal::SIGUSR1);
        let said = "cannot reopen the error log: the old file stays in use";
        wait_for(&moved.join("error.log"), said);
        scoter.wait_for_log(said);
        ask(&scoter, "/raise", "afterwards");
        wait_for(&moved.join("error.log"), "LookupError: afterwards");
        scoter.stop();
    }
}

#[test]
fn start_that_fails_is_seen_where_it_was_started() {
    for master in ["--no-master=false", "--no-master"] {
        let scoter = serving(&["--error-log", "error.log", master]);
        let folder = scoter.folder().to_owned();
        let scoter = scoter.with_file("talking.py", "import missing_module\n");
        let finished = scoter.spawn().wait();
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        let expected = "No module named 'missing_module'";
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
        assert!(read(folder.join("error.log")).contains(expected));
    }
}

#[test]
fn file_that_cannot_be_opened_is_named_before_anything_is_bound() {
    for (path, expected) in [
        ("no/error.log", "does not exist"),
        ("folder", "Is a directory"),
    ] {
        for is_check in [false, true] {
            let scoter = serving(&["--error-log", path]);
            fs::create_dir(scoter.folder().join("folder")).expect("the test's own folder");
            let socket = scoter.folder().join("scoter.sock");
            let scoter = if is_check { scoter.as_check() } else { scoter };
            let finished = scoter.run();
            assert_eq!(finished.code, Some(2), "{}", finished.stderr);
            for part in ["--error-log", expected] {
                assert!(
                    finished.stderr.contains(part),
                    "{part}: {}",
                    finished.stderr
                );
            }
            assert!(!socket.exists());
        }
    }
}

#[test]
fn check_leaves_the_file_alone() {
    let scoter = serving(&["--error-log", "error.log"]).as_check();
    let log = scoter.folder().join("error.log");
    let finished = scoter.spawn().wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(!log.exists());
}

#[test]
fn full_disk_under_the_error_log_stops_nothing() {
    let mut scoter = serving(&["--error-log", "/dev/full"]).start();
    for _ in 0..20 {
        let packet = with(get("/"), [("QUERY_STRING", "x")]);
        // Its own print() fails, as with any full disk: that is the application's to handle.
        let status = scoter.connect().packet(&packet).reply().status;
        assert_eq!(status, 500);
    }
    scoter.stop();
}
