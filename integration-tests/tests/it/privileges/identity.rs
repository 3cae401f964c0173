//! Who the processes are.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use integration_tests::{Running, get};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::stage::{Stage, control_of};

/// Whom a process acts as: real, effective, saved and file system IDs, and groups.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    uids: Vec<u32>,
    gids: Vec<u32>,
    groups: Vec<u32>,
}

impl Identity {
    fn of(process: &Running) -> Self {
        let path = format!("/proc/{}/status", process.pid());
        let status = fs::read_to_string(path).expect("the process runs");
        let numbers = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let words = line.expect("Linux").split_whitespace();
            words
                .map(|number| number.parse().expect("an ID"))
                .collect::<Vec<_>>()
        };
        Self {
            uids: numbers("Uid:"),
            gids: numbers("Gid:"),
            groups: numbers("Groups:"),
        }
    }

    /// That of somebody who has no way back.
    fn only(uid: Uid, gid: Gid, groups: &[Gid]) -> Self {
        let mut groups: Vec<_> = groups.iter().map(|group| group.as_raw()).collect();
        groups.sort_unstable();
        Self {
            uids: vec![uid.as_raw(); 4],
            gids: vec![gid.as_raw(); 4],
            groups,
        }
    }

    /// That of a user whose group is `gid`, and who is in all groups where the system's database has the name.
    fn of_user(user: &User, gid: Gid) -> Self {
        let name = CString::new(user.name.clone()).expect("a name");
        let groups = getgrouplist(&name, gid).expect("readable");
        Self::only(user.uid, gid, &groups)
    }
}

/// Answers with what the application is and may be.
const WHO_AM_I: &str = "\
import json, os

def application(environ, start_response):
    attempts = []
    for attempt in (os.setuid, os.seteuid, os.setgid, os.setegid):
        try:
            attempt(0)
            attempts.append(attempt.__name__)
        except PermissionError:
            pass
    try:
        os.setgroups([0])
        attempts.append('setgroups')
    except PermissionError:
        pass
    capabilities = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff:'))
    answer = {'uid': os.getuid(), 'attempts': attempts, 'capabilities': int(capabilities, 16)}
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(answer).encode()]
";

#[test]
fn every_process_is_the_user_and_nobody_else() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage
        .serving("who")
        .with_file("who.py", WHO_AM_I)
        .workers("2")
        .args(["--user", &stage.user.name])
        .start();
    let expected = Identity::of_user(&stage.user, stage.user.gid);
    scoter.wait_for_workers(2);
    let processes = scoter.family();
    // The master, its launcher and the workers.
    assert_eq!(processes.len(), 4, "{processes:?}");
    for process in &processes {
        assert_eq!(Identity::of(process), expected, "{}", process.name());
    }
    let answer = scoter.connect().packet(&get("/")).reply().json();
    assert_eq!(answer["uid"], stage.user.uid.as_raw());
    assert_eq!(answer["attempts"], serde_json::json!([]), "{answer}");
    assert_eq!(answer["capabilities"], 0, "{answer}");
    // Nothing to warn of.
    assert!(!scoter.stderr().contains("root"), "{}", scoter.stderr());
}

#[test]
fn later_processes_are_the_user_too() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name])
        .start();
    let expected = Identity::of_user(&stage.user, stage.user.gid);
    for (generation, signal) in [(2, Signal::SIGHUP), (3, Signal::SIGUSR2)] {
        scoter.signal(signal);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        scoter.wait_for_workers(1);
        for process in scoter.family() {
            assert_eq!(Identity::of(&process), expected, "{signal}");
        }
        let answer = stage.ask_as(&stage.user, &control_of(&scoter), "GET /ready");
        assert!(answer.stdout.starts_with("HTTP/1.1 200 "), "{answer:?}");
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    }
}

#[test]
fn group_may_be_another_one() {
    let Some(stage) = Stage::set() else { return };
    let group = Group::from_gid(stage.stranger.gid);
    let group = group.expect("readable").expect("it has a name");
    for name in [group.name.clone(), group.gid.to_string()] {
        let scoter = stage
            .serving("hello")
            .args(["--user", &stage.user.name, "--group", &name])
            .start();
        let expected = Identity::of_user(&stage.user, group.gid);
        for process in scoter.family() {
            assert_eq!(Identity::of(&process), expected, "{name}");
        }
        let socket = fs::metadata(scoter.socket()).expect("it listens");
        assert_eq!(
            (socket.uid(), socket.gid()),
            (stage.user.uid.as_raw(), group.gid.as_raw())
        );
        let line = scoter.log_lines("listening").concat();
        let access = format!("owner {}, group {}", stage.user.name, group.name);
        assert!(line.contains(&access), "{line}");
    }
}

#[test]
fn user_may_be_a_number() {
    let Some(stage) = Stage::set() else { return };
    let number = stage.user.uid.to_string();
    let scoter = stage.serving("hello").args(["--user", &number]).start();
    let expected = Identity::of_user(&stage.user, stage.user.gid);
    for process in scoter.family() {
        assert_eq!(Identity::of(&process), expected);
    }
    // Nobody knows that one.
    let finished = stage.serving("hello").args(["--user", "54321"]).run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("--group"), "{}", finished.stderr);
    let scoter = stage
        .serving("hello")
        .args(["--user", "54321", "--group", "54322"])
        .start();
    let (uid, gid) = (Uid::from_raw(54321), Gid::from_raw(54322));
    for process in scoter.family() {
        assert_eq!(Identity::of(&process), Identity::only(uid, gid, &[gid]));
    }
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn unknown_names_are_refused() {
    let Some(stage) = Stage::set() else { return };
    let user = stage.user.name.as_str();
    for (args, words) in [
        (
            &["--user", "no-such-user"][..],
            &["--user no-such-user", "no such user"][..],
        ),
        (
            &["--user", user, "--group", "no-such-group"],
            &["--group no-such-group", "no such group"],
        ),
        (
            &["--group", "no-such-group"],
            &["--group no-such-group", "no such group"],
        ),
    ] {
        let scoter = stage.serving("hello").args(args);
        let finished = scoter.spawn().wait();
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.stderr);
        for word in words {
            assert!(finished.stderr.contains(word), "{}", finished.stderr);
        }
        assert!(!scoter.folder().join("scoter.sock").exists(), "{args:?}");
    }
}

#[test]
fn root_who_stays_root_is_told_so_once() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("hello").workers("2").start();
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    let warnings = scoter.log_lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("as root"), "{warnings:?}");
    assert!(warnings[0].contains("--user"), "{warnings:?}");
    // Who says so means it.
    let scoter = stage.serving("hello").args(["--user", "root"]).start();
    assert!(scoter.log_lines("WARN").is_empty(), "{}", scoter.stderr());
}

#[test]
fn group_alone_leaves_root_and_is_told_so() {
    let Some(stage) = Stage::set() else { return };
    let gid = stage.user.gid;
    let scoter = stage
        .serving("hello")
        .args(["--group", &gid.to_string()])
        .start();
    for process in scoter.family() {
        let expected = Identity::only(Uid::from_raw(0), gid, &[gid]);
        assert_eq!(Identity::of(&process), expected);
    }
    assert_eq!(scoter.log_lines("--user").len(), 1);
}

#[test]
fn who_is_not_root_cannot_become_another() {
    let Some(stage) = Stage::set() else { return };
    let (uid, gid) = (stage.user.uid.as_raw(), stage.user.gid.as_raw());
    for args in [
        &["--user", "nobody"][..],
        &["--user", "root"],
        &["--group", "root"],
        &["--user", &stage.user.name, "--group", "root"],
    ] {
        let scoter = stage.serving("hello").args(args).as_user(uid, gid);
        let folder = scoter.folder().to_owned();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("the test's own folder");
        let finished = scoter.spawn().wait();
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.stderr);
        let words = &finished.stderr;
        assert!(words.contains("need root"), "{args:?}: {words}");
        assert!(!folder.join("scoter.sock").exists(), "{args:?}");
    }
}

#[test]
fn who_is_the_user_already_may_say_so() {
    let Some(stage) = Stage::set() else { return };
    let (uid, gid) = (stage.user.uid, stage.user.gid);
    let group = Group::from_gid(gid).expect("readable").expect("a name");
    let scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name, "--group", &group.name])
        .as_user(uid.as_raw(), gid.as_raw());
    fs::set_permissions(scoter.folder(), Permissions::from_mode(0o777))
        .expect("the test's own folder");
    let mut scoter = scoter.start();
    for process in scoter.family() {
        assert_eq!(Identity::of(&process).uids, vec![uid.as_raw(); 4]);
    }
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    assert!(scoter.log_lines("root").is_empty(), "{}", scoter.stderr());
    scoter.stop();
    assert!(!scoter.socket().exists());
}

#[test]
fn check_is_the_user_when_it_imports_the_application() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("who").with_file(
        "who.py",
        "import os\nfrom hello import application\nprint('imported by', os.geteuid())\n",
    );
    let scoter = scoter.args(["--user", &stage.user.name]);
    let finished = scoter.as_check().run();
    let expected = format!("imported by {}\n", stage.user.uid);
    assert!(finished.stdout.contains(&expected), "{finished:?}");
}
