//! `--pid-file`: whom to send signals to, for as long as there is anybody.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use integration_tests::{Scoter, ScoterBuilder, get};
use nix::sys::signal::Signal;

fn with_pid_file(app: &str) -> (ScoterBuilder, PathBuf) {
    let scoter = Scoter::serving(app);
    let path = scoter.folder().join("scoter.pid");
    (scoter.args(["--pid-file".into(), path.clone()]), path)
}

#[track_caller]
fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it is there while the server is")
}

#[test]
fn file_has_the_masters_process_id() {
    let (scoter, path) = with_pid_file("hello");
    let mut scoter = scoter.workers("2").start();
    assert_eq!(read(&path), format!("{}\n", scoter.pid()));
    let mode = fs::metadata(&path).expect("just read").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    scoter.stop();
    assert!(!path.exists());
}

#[test]
fn file_is_there_before_the_server_is_ready() {
    let (scoter, path) = with_pid_file("slow_to_load");
    let scoter = scoter.with_file(
        "slow_to_load.py",
        "from probe import event, wait_at\nevent('loading')\nwait_at('load')\n",
    );
    let _gate = integration_tests::Gate::at(scoter.folder(), "load");
    let events = scoter.folder().join("events");
    let mut process = scoter.spawn();
    integration_tests::until("the application is being loaded", || {
        (fs::read_to_string(&events).ok()? == "loading\n").then_some(())
    });
    assert_eq!(read(&path), format!("{}\n", process.pid()));
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code, Some(0));
    assert!(!path.exists());
}

#[test]
fn reload_and_upgrade_keep_it() {
    let (scoter, path) = with_pid_file("hello");
    let mut scoter = scoter.start();
    let expected = format!("{}\n", scoter.pid());
    for (generation, signal) in [(2, Signal::SIGHUP), (3, Signal::SIGUSR2)] {
        scoter.signal(signal);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        assert_eq!(read(&path), expected, "{signal}");
    }
    scoter.stop();
    assert!(!path.exists());
}

#[test]
fn file_of_a_killed_server_is_replaced() {
    let (scoter, path) = with_pid_file("hello");
    fs::write(&path, "4194304000\n").expect("the test's own folder");
    let scoter = scoter.start();
    assert!(!scoter.stderr().contains("--pid-file"));
    assert_eq!(read(&path), format!("{}\n", scoter.pid()));
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn file_of_another_server_stays() {
    let (scoter, path) = with_pid_file("hello");
    let mut scoter = scoter.start();
    fs::write(&path, "1\n").expect("the test's own folder");
    scoter.stop();
    assert_eq!(read(&path), "1\n");
}

#[test]
fn failed_start_leaves_none() {
    let (scoter, path) = with_pid_file("broken");
    let scoter = scoter.with_file("broken.py", "1 / 0\n");
    assert_eq!(scoter.spawn().wait().code, Some(3));
    assert!(!path.exists());

    // Nor does it take that of the server that is in the way.
    let (first, path) = with_pid_file("hello");
    let first = first.start();
    let second = Scoter::serving("hello")
        .bind(format!("unix:{}", first.socket().display()))
        .args(["--pid-file".into(), path.clone()]);
    assert_eq!(second.run().code, Some(2));
    assert_eq!(read(&path), format!("{}\n", first.pid()));
}

#[test]
fn file_that_cannot_be_written_is_explained() {
    let finished = Scoter::serving("hello")
        .args(["--pid-file", "/nonexistent/scoter.pid"])
        .run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("/nonexistent/scoter.pid"),
        "{}",
        finished.stderr
    );
}

#[test]
fn relative_path_is_the_same_wherever_the_application_goes() {
    let scoter = Scoter::serving("hello");
    let elsewhere = scoter.folder().join("elsewhere");
    fs::create_dir(&elsewhere).expect("the test's own folder");
    let path = scoter.folder().join("scoter.pid");
    let mut scoter = scoter
        .args([
            "--pid-file".into(),
            "scoter.pid".into(),
            "--chdir".into(),
            elsewhere,
        ])
        .start();
    assert_eq!(read(&path), format!("{}\n", scoter.pid()));
    scoter.stop();
    assert!(!path.exists());
}

#[test]
fn upgrade_is_refused_where_the_file_could_not_be_written() {
    let (scoter, path) = with_pid_file("hello");
    let mut scoter = scoter.start();
    fs::remove_file(&path).expect("it was there");
    fs::create_dir(&path).expect("the test's own folder");
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let name = path.to_str().expect("UTF-8");
    assert!(finished.stderr.contains(name), "{finished:?}");
    assert!(
        finished.stderr.contains("not a regular file"),
        "{finished:?}"
    );
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    fs::remove_dir(&path).expect("it is empty");
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(read(&path), format!("{}\n", scoter.pid()));
    scoter.stop();
    assert!(!path.exists());
}

#[test]
fn upgrade_keeps_the_file_itself() {
    let (scoter, path) = with_pid_file("hello");
    let scoter = scoter.start();
    let before = fs::metadata(&path).expect("it is there").ino();
    let finished = scoter.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(fs::metadata(&path).expect("it is there").ino(), before);
}

#[test]
fn file_of_a_server_that_runs_is_replaced_with_a_warning() {
    const WARNING: &str = "--pid-file named another running process";
    let (first, path) = with_pid_file("hello");
    let mut first = first.start();
    let mut second = Scoter::serving("hello")
        .args(["--pid-file".into(), path.clone()])
        .start();
    let line = second.wait_for_log(WARNING);
    for part in [
        "WARN",
        &format!("path={}", path.display()),
        &format!("pid={}", first.pid()),
        "name=\"scoter-master\"",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(read(&path), format!("{}\n", second.pid()));
    // It is the second one's now.
    let log = first.stop().stderr;
    assert!(!log.contains(WARNING), "{log}");
    assert_eq!(read(&path), format!("{}\n", second.pid()));
    let finished = second.command(["reload", "--upgrade"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let log = second.stop().stderr;
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    assert!(!path.exists());
}
