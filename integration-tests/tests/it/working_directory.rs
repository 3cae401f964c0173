//! Where the server is started, and what a reload finds there: links are followed again, as deployments move them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use integration_tests::{Finished, Scoter, ScoterBuilder, until};
use nix::sys::signal::Signal;

use crate::reload::{ask, version};

/// Makes release `number` in the folder, with the application and the configuration in several places.
fn put_release(folder: &Path, number: usize) {
    let release = folder.join(format!("releases/{number}"));
    for place in ["", "src", "etc"] {
        fs::create_dir_all(release.join(place)).expect("the test's own folder");
        let code = version(number);
        fs::write(release.join(place).join("changing.py"), code).expect("just made");
    }
    let configuration = format!("threads = {number}\n");
    fs::write(release.join("scoter.toml"), &configuration).expect("just made");
    let elsewhere = format!("{configuration}chdir = '../src'\n");
    fs::write(release.join("etc/scoter.toml"), elsewhere).expect("just made");
}

/// Has `current` lead to release `number`, as a deployment does.
fn link_release(folder: &Path, number: usize) {
    put_release(folder, number);
    let new = folder.join("new");
    symlink(format!("releases/{number}"), &new).expect("the test's own folder");
    fs::rename(new, folder.join("current")).expect("just made");
}

/// A server that is started in `current`, as a shell does it.
fn serving(app: &str) -> ScoterBuilder {
    let scoter = Scoter::serving(app);
    link_release(scoter.folder(), 1);
    let current = scoter.folder().join("current");
    scoter.inside("current").env("PWD", current)
}

#[track_caller]
fn assert_reloads(scoter: &Scoter, args: &[&str], number: usize) {
    let finished = scoter.command(args.to_owned());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(ask(scoter), number.to_string());
    assert_eq!(scoter.wait_for_workers(1)[0].slots, number);
}

#[track_caller]
fn assert_refused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?}: {finished:?}");
    }
}

#[test]
fn reload_and_upgrade_follow_a_link_that_was_moved() {
    let scoter = serving("changing").start();
    let folder = scoter.folder();
    assert_eq!(ask(&scoter), "1");
    link_release(folder, 2);
    assert_reloads(&scoter, &["reload"], 2);
    fs::remove_dir_all(folder.join("releases/1")).expect("nobody needs it");
    link_release(folder, 3);
    fs::remove_dir_all(folder.join("releases/2")).expect("nobody needs it");
    assert_reloads(&scoter, &["reload"], 3);
    link_release(folder, 4);
    fs::remove_dir_all(folder.join("releases/3")).expect("nobody needs it");
    assert_reloads(&scoter, &["reload", "--upgrade"], 4);
    link_release(folder, 5);
    assert_reloads(&scoter, &["reload"], 5);
    // Without the link nothing changes, and whoever dies is replaced as ever.
    fs::remove_file(folder.join("current")).expect("just made");
    let path = folder.join("current");
    let path = path.to_str().expect("UTF-8");
    let words = ["cannot enter the working directory", path];
    for args in [&["reload"][..], &["reload", "--upgrade"]] {
        assert_refused(&scoter.command(args.to_owned()), &words);
    }
    for process in [*scoter.worker(), scoter.launcher()] {
        process.signal(Signal::SIGKILL);
        process.wait_until_gone();
        until("the same code serves", || {
            let workers = scoter.workers();
            let is_there = workers.iter().any(|worker| worker.is_ready());
            (is_there && ask(&scoter) == "5").then_some(())
        });
    }
}

#[test]
fn paths_below_a_link_that_was_moved_lead_to_the_new_release() {
    for (name, app, args) in [
        ("--chdir", "changing", &["--chdir", "src"][..]),
        ("--config", "changing", &["--config", "etc/scoter.toml"]),
        ("a file", "./src/changing.py", &[]),
    ] {
        let scoter = serving(app).args(args).start();
        assert_eq!(ask(&scoter), "1", "{name}");
        link_release(scoter.folder(), 2);
        assert_reloads(&scoter, &["reload"], 2);
        fs::remove_dir_all(scoter.folder().join("releases/1")).expect("nobody needs it");
        link_release(scoter.folder(), 3);
        assert_reloads(&scoter, &["reload", "--upgrade"], 3);
    }
}

#[test]
fn worker_or_launcher_that_is_replaced_stays_in_its_directory_by_whatever_name() {
    let scoter = Scoter::serving("changing");
    put_release(scoter.folder(), 1);
    let chdir = scoter.folder().join("current/src");
    let chdir = chdir.to_str().expect("UTF-8").to_owned();
    link_release(scoter.folder(), 1);
    let linked = scoter.args(["--chdir", &chdir]).start();
    link_release(linked.folder(), 2);
    let scoter = Scoter::serving("changing");
    put_release(scoter.folder(), 1);
    let replaced = scoter.inside("releases/1").start();
    let releases = replaced.folder().join("releases");
    fs::rename(releases.join("1"), releases.join("old")).expect("just made");
    put_release(replaced.folder(), 2);
    fs::rename(releases.join("2"), releases.join("1")).expect("just made");
    for (name, scoter, found_now) in [
        ("a link that was moved", linked, "current/src/changing.py"),
        ("another directory", replaced, "releases/1/changing.py"),
    ] {
        scoter.put(found_now, "1 / 0\n");
        for is_upgraded in [false, true] {
            if is_upgraded {
                let finished = scoter.command(["reload", "--upgrade"]);
                assert_refused(&finished, &["ZeroDivisionError"]);
            }
            for process in [scoter.launcher(), *scoter.worker()] {
                process.signal(Signal::SIGKILL);
                process.wait_until_gone();
                scoter.wait_for_workers(1);
                assert_eq!(ask(&scoter), "1", "{name}, {is_upgraded}");
            }
        }
    }
}

#[test]
fn worker_or_launcher_that_is_replaced_stays_with_its_release() {
    let scoter = serving("changing").start();
    link_release(scoter.folder(), 2);
    for process in [scoter.launcher(), *scoter.worker()] {
        process.signal(Signal::SIGKILL);
        process.wait_until_gone();
        scoter.wait_for_workers(1);
        assert_eq!(ask(&scoter), "1");
    }
    // Nor does a reload that fails change that.
    scoter.put("releases/2/changing.py", "1 / 0\n");
    assert_refused(&scoter.command(["reload"]), &["ZeroDivisionError"]);
    for process in [scoter.launcher(), *scoter.worker()] {
        process.signal(Signal::SIGKILL);
        process.wait_until_gone();
        scoter.wait_for_workers(1);
        assert_eq!(ask(&scoter), "1");
    }
}

#[test]
fn directory_that_was_replaced_under_its_name_is_entered_again() {
    let scoter = Scoter::serving("changing");
    put_release(scoter.folder(), 1);
    let scoter = scoter.inside("releases/1").start();
    assert_eq!(ask(&scoter), "1");
    let releases = scoter.folder().join("releases");
    fs::rename(releases.join("1"), releases.join("old")).expect("just made");
    put_release(scoter.folder(), 2);
    fs::rename(releases.join("2"), releases.join("1")).expect("just made");
    assert_reloads(&scoter, &["reload"], 2);
}

#[test]
fn deleted_working_directory_is_named() {
    let scoter = Scoter::serving("hello");
    let gone = scoter.folder().join("gone");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\"";
    let finished = scoter.under(["sh", "-c", script]).run();
    let path = gone.file_name().and_then(|name| name.to_str());
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    for words in ["the working directory", path.expect("UTF-8"), "--chdir"] {
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    // Where it is not needed it is not missed.
    let scoter = Scoter::serving("changing");
    put_release(scoter.folder(), 1);
    let release = scoter.folder().join("releases/1");
    let chdir = release.to_str().expect("UTF-8").to_owned();
    let config = release.join("scoter.toml");
    let scoter = scoter
        .under(["sh", "-c", script])
        .args([
            "--chdir",
            &chdir,
            "--config",
            config.to_str().expect("UTF-8"),
        ])
        .start();
    assert_reloads(&scoter, &["reload"], 1);
}
