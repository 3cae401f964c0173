//! Files that the user opens, and such as are out of reach.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use integration_tests::{Scoter, apps_folder, get, until};
use nix::sys::signal::Signal;
use nix::unistd::chown;

use super::stage::{Stage, sockets_in};

#[test]
fn files_are_opened_as_the_user() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("hello");
    let logs = scoter.folder().join("logs");
    fs::create_dir(&logs).expect("the test's own folder");
    let (uid, gid) = (stage.user.uid, stage.user.gid);
    chown(&logs, Some(uid), Some(gid)).expect("root");
    let (log, pid_file) = (logs.join("access.log"), logs.join("scoter.pid"));
    let error_log = logs.join("error.log");
    let mut scoter = scoter
        .args(["--user", &stage.user.name])
        .args(["--access-log".into(), log.clone()])
        .args(["--pid-file".into(), pid_file.clone()])
        .args(["--error-log".into(), error_log.clone()])
        .start();
    scoter.connect().packet(&get("/")).reply();
    let is_theirs = |path: &Path| {
        let found = fs::metadata(path).expect("it runs");
        assert_eq!((found.uid(), found.gid()), (uid.as_raw(), gid.as_raw()));
    };
    for path in [&log, &pid_file, &error_log] {
        is_theirs(path);
    }
    for path in [&log, &error_log] {
        fs::rename(path, path.with_extension("old")).expect("it is there");
    }
    scoter.signal(Signal::SIGUSR1);
    until("both are there again", || {
        (log.exists() && error_log.exists()).then_some(())
    });
    for path in [&log, &error_log] {
        is_theirs(path);
    }
    scoter.stop();
    assert!(!pid_file.exists());

    // Where only root can write, that is too late.
    let scoter = stage.serving("hello").args(["--user", &stage.user.name]);
    let pid_file = scoter.folder().join("scoter.pid");
    let process = scoter.args(["--pid-file".into(), pid_file.clone()]);
    let finished = process.spawn().wait();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let path = pid_file.to_str().expect("UTF-8");
    assert!(finished.stderr.contains(path), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("Permission denied"),
        "{}",
        finished.stderr
    );
}

/// Makes a folder that nobody but root may enter.
fn private_folder(parent: &Path) -> PathBuf {
    let folder = parent.join("private");
    fs::create_dir(&folder).expect("the test's own folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("just made");
    folder
}

#[test]
fn python_that_the_user_cannot_reach_is_named_before_anything_is_bound() {
    let Some(stage) = Stage::set() else { return };
    let home = tempfile::TempDir::with_prefix("scoter-").expect("as for the server");
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).expect("ours");
    let private = private_folder(home.path());
    let python = private.join("deeper");
    fs::create_dir(&python).expect("just made");
    let python = python.join("python3");
    let direct = stage.package.through_link(&python);
    let link = home.path().join("python3");
    let linked = direct.through_link(&link);
    let cases = [(&direct, &python, None), (&linked, &link, Some(&python))].into_iter();
    let commands = [&[][..], &["--no-master"], &["check"]];
    for ((package, python, target), words) in
        cases.flat_map(|case| commands.map(|words| (case, words)))
    {
        let scoter = Scoter::told_nothing()
            .from_package(package)
            .args(words)
            .args(["--user", &stage.user.name, "--bind", "unix:scoter.sock"])
            .args(["--pythonpath".as_ref(), apps_folder().as_os_str()])
            .args(["hello"]);
        let finished = scoter.spawn().wait();
        assert_eq!(finished.code, Some(2), "{words:?}: {}", finished.stderr);
        let user = format!("user {} cannot run {}", stage.user.name, python.display());
        let folder = format!("may not enter {} ", private.display());
        let target = target.map_or_else(String::new, |target| {
            format!("it is a link to {}", target.display())
        });
        let hint = "from the system's Python".to_owned();
        for expected in [user, folder, target, hint] {
            assert!(finished.stderr.contains(&expected), "{}", finished.stderr);
        }
        assert!(sockets_in(scoter.folder()).is_empty(), "{words:?}");
    }
}

#[test]
fn paths_that_the_user_cannot_reach_are_named_before_anything_is_bound() {
    let Some(stage) = Stage::set() else { return };
    for (option, name, code) in [
        ("--chdir", "deeper", 2),
        ("", "deeper/hello.py", 3),
        ("--access-log", "access.log", 2),
        ("--error-log", "error.log", 2),
        ("--pid-file", "scoter.pid", 2),
    ] {
        for check in [false, true] {
            let mut scoter = match check {
                false => Scoter::told_nothing(),
                true => Scoter::told_nothing().args(["check"]),
            };
            let private = private_folder(scoter.folder());
            fs::create_dir(private.join("deeper")).expect("just made");
            let path = private.join(name);
            fs::copy(
                apps_folder().join("hello.py"),
                private.join("deeper/hello.py"),
            )
            .expect("just made");
            fs::set_permissions(scoter.folder(), Permissions::from_mode(0o755)).expect("ours");
            scoter = match option {
                "" => scoter.args([path.as_os_str()]),
                option => scoter.args([option.as_ref(), path.as_os_str(), "hello".as_ref()]),
            };
            let scoter = scoter
                .from_package(&stage.package)
                .args(["--user", &stage.user.name, "--bind", "unix:scoter.sock"])
                .args(["--pythonpath".as_ref(), apps_folder().as_os_str()]);
            let finished = scoter.spawn().wait();
            let case = format!("{option} {check}: {}", finished.stderr);
            assert_eq!(finished.code, Some(code), "{case}");
            let user = format!("user {} cannot ", stage.user.name);
            assert!(finished.stderr.contains(&user), "{case}");
            assert!(
                finished.stderr.contains(path.to_str().expect("UTF-8")),
                "{case}"
            );
            let folder = format!("may not enter {} ", private.display());
            assert!(finished.stderr.contains(&folder), "{case}");
            assert!(sockets_in(scoter.folder()).is_empty(), "{case}");
        }
    }
}

#[test]
fn paths_that_the_server_can_do_without_are_warned_of() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("hello");
    let private = private_folder(scoter.folder());
    let file = private.join("scoter.toml");
    fs::write(&file, "threads = 2\n").expect("just made");
    let scoter = scoter
        .args(["--user", &stage.user.name])
        .args(["--config".as_ref(), file.as_os_str()])
        .args(["--pythonpath".as_ref(), private.join("lib").as_os_str()])
        .start();
    let warnings = scoter.log_lines("out of reach");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, what) in warnings.iter().zip(["--pythonpath", "configuration"]) {
        assert!(warning.contains(what), "{warning}");
        assert!(
            warning.contains(private.to_str().expect("UTF-8")),
            "{warning}"
        );
    }
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}
