//! From root to somebody who may do less, for good. All of it takes root: without, it is skipped and says so.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{
    Finished, Package, Process, Running, Scoter, ScoterBuilder, apps_folder, get, skip, until,
};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, Uid, User, chown, getgrouplist};

/// Somebody to give privileges up to, who may have a server's code read: the user, another user, and a Python that
/// both can run.
struct Stage {
    user: User,
    stranger: User,
    package: Package,
}

impl Stage {
    /// Looks for them. None, and a word to whoever runs the tests, where there is no such stage.
    fn set() -> Option<Self> {
        if !Uid::effective().is_root() {
            skip("only root can become somebody else");
            return None;
        }
        let find = |name| User::from_name(name).ok().flatten();
        let (Some(user), Some(stranger)) = (find("www-data"), find("nobody")) else {
            skip("there is no user www-data, or no user nobody");
            return None;
        };
        let Some(package) = Package::within_reach_of(user.uid.as_raw(), user.gid.as_raw()) else {
            skip("neither the Python of the tests nor the system's can run scoter as www-data");
            return None;
        };
        Some(Self {
            user,
            stranger,
            package,
        })
    }

    /// A server of root's, in a folder of root's that others can look into.
    fn serving(&self, app: &str) -> ScoterBuilder {
        let scoter = Scoter::serving(app).from_package(&self.package);
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test's own folder");
        };
        set_mode(scoter.folder(), 0o755);
        set_mode(&scoter.folder().join("events"), 0o666);
        scoter
    }

    /// Runs a Python script as another user, in a folder of its own. It ends with what is returned.
    fn run_as(&self, user: &User, script: &str, args: &[&Path]) -> (tempfile::TempDir, Process) {
        let folder = tempfile::TempDir::with_prefix("scoter-").expect("as for the server");
        let mut command = Command::new("/usr/bin/env");
        command
            .args(["python3", "-c", script])
            .args(args)
            // The usual one may be out of their reach.
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw());
        let process = Process::spawn("script", &mut command, folder.path(), "install Python");
        (folder, process)
    }

    /// Asks a control socket as another user, with `python`'s help. Returns what came.
    fn ask_as(&self, user: &User, socket: &Path, line: &str) -> Finished {
        let script = "\
import socket, sys
with socket.socket(socket.AF_UNIX) as stream:
    stream.connect(sys.argv[1])
    stream.sendall(f'{sys.argv[2]} HTTP/1.1\\r\\nHost: scoter\\r\\n\\r\\n'.encode())
    while piece := stream.recv(65536):
        sys.stdout.write(piece.decode())
";
        let (_folder, mut process) = self.run_as(user, script, &[socket, Path::new(line)]);
        process.wait()
    }
}

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

fn control_of(scoter: &Scoter) -> PathBuf {
    scoter.control().socket().to_owned()
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
    assert!(processes.len() >= 4, "{processes:?}");
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

/// Answers with what the environment says about the user.
const WHOSE_HOME: &str = "\
import os
def application(environ, start_response):
    start_response('200 OK', [])
    names = 'HOME', 'USER', 'LOGNAME'
    home = os.path.expanduser('~')
    return [' '.join([*(os.environ[name] for name in names), home]).encode()]
";

#[test]
fn home_and_name_in_the_environment_are_those_of_the_user() {
    let Some(stage) = Stage::set() else { return };
    let (name, home) = (&stage.user.name, stage.user.dir.display());
    let expected = format!("{home} {name} {name} {home}");
    for master in [&[][..], &["--no-master"][..]] {
        let mut scoter = stage
            .serving("whose")
            .with_file("whose.py", WHOSE_HOME)
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LOGNAME", "root")
            .args(["--user", name])
            .args(master)
            .start();
        let ask = |scoter: &Scoter| scoter.connect().packet(&get("/")).reply().text();
        assert_eq!(ask(&scoter), expected, "{master:?}");
        if master.is_empty() {
            for (generation, signal) in [(2, Signal::SIGHUP), (3, Signal::SIGUSR2)] {
                scoter.signal(signal);
                scoter.wait_for_log(&format!("reloaded generation={generation}"));
                scoter.wait_for_workers(1);
                assert_eq!(ask(&scoter), expected, "{signal}");
            }
        }
        scoter.stop();
    }
}

#[test]
fn environment_stays_where_nobody_becomes_another() {
    let scoter = Scoter::serving("whose")
        .with_file("whose.py", WHOSE_HOME)
        .env("HOME", "/somewhere")
        .env("USER", "somebody")
        .env("LOGNAME", "somebody")
        .start();
    let answer = scoter.connect().packet(&get("/")).reply().text();
    assert_eq!(answer, "/somewhere somebody somebody /somewhere");
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
fn sockets_are_bound_where_only_root_can() {
    let Some(stage) = Stage::set() else { return };
    let mut scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name])
        .start();
    let folder = fs::metadata(scoter.folder()).expect("the test's own folder");
    assert_eq!((folder.uid(), folder.mode() & 0o777), (0, 0o755));
    let owner = |path: &Path| {
        let found = fs::metadata(path).expect("it listens");
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    let (uid, gid) = (stage.user.uid.as_raw(), stage.user.gid.as_raw());
    assert_eq!(owner(scoter.socket()), (uid, gid, 0o660));
    let control = owner(&control_of(&scoter));
    assert_eq!((control.0, control.2), (uid, 0o600));
    scoter.stop();
    // The user cannot remove them there: the next start finds them stale, and starts.
    let again = Scoter::serving("hello").bind(format!("unix:{}", scoter.socket().display()));
    again.start().stop();
}

#[test]
fn socket_owner_goes_before_user() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name])
        .args(["--socket-owner", &stage.stranger.name])
        .start();
    let socket = fs::metadata(scoter.socket()).expect("it listens");
    assert_eq!(socket.uid(), stage.stranger.uid.as_raw());
    let control = fs::metadata(control_of(&scoter)).expect("it listens");
    assert_eq!(control.uid(), stage.user.uid.as_raw());
}

#[test]
fn files_are_opened_as_the_user() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("hello");
    let logs = scoter.folder().join("logs");
    fs::create_dir(&logs).expect("the test's own folder");
    let (uid, gid) = (stage.user.uid, stage.user.gid);
    chown(&logs, Some(uid), Some(gid)).expect("root");
    let (log, pid_file) = (logs.join("access.log"), logs.join("scoter.pid"));
    let mut scoter = scoter
        .args(["--user", &stage.user.name])
        .args(["--access-log".into(), log.clone()])
        .args(["--pid-file".into(), pid_file.clone()])
        .start();
    scoter.connect().packet(&get("/")).reply();
    for path in [&log, &pid_file] {
        let found = fs::metadata(path).expect("it runs");
        assert_eq!((found.uid(), found.gid()), (uid.as_raw(), gid.as_raw()));
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
fn umask_is_that_of_the_application() {
    let writer = "\
import os
from probe import plain

def application(environ, start_response):
    with open('made', 'w'):
        os.mkdir('folder')
    return plain(start_response, 'made')
";
    for (umask, file, folder) in [
        ("027", 0o640, 0o750),
        ("0", 0o666, 0o777),
        ("0077", 0o600, 0o700),
    ] {
        let scoter = Scoter::serving("writer")
            .with_file("writer.py", writer)
            .args(["--umask", umask])
            .start();
        assert_eq!(scoter.connect().packet(&get("/")).reply().text(), "made");
        let mode = |name: &str| {
            let found = fs::metadata(scoter.folder().join(name)).expect("just made");
            found.mode() & 0o777
        };
        assert_eq!((mode("made"), mode("folder")), (file, folder), "{umask}");
        // What it is explicit about stays.
        assert_eq!(
            (mode("scoter.sock"), mode("scoter.sock.control")),
            (0o660, 0o600)
        );
    }
}

#[test]
fn control_socket_is_for_the_user_and_root() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name])
        .start();
    let control = control_of(&scoter);
    assert_eq!(scoter.status()["ready"], true);
    let answer = stage.ask_as(&stage.user, &control, "GET /ready");
    assert!(answer.stdout.starts_with("HTTP/1.1 200 "), "{answer:?}");
    let answer = stage.ask_as(&stage.stranger, &control, "GET /ready");
    assert_ne!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stderr.contains("PermissionError"), "{answer:?}");

    // Nor if the file lets them: who asks is looked at.
    fs::set_permissions(&control, Permissions::from_mode(0o666)).expect("root");
    for line in ["GET /status", "POST /stop", "PUT /scale/3", "POST /reload"] {
        let answer = stage.ask_as(&stage.stranger, &control, line);
        assert!(answer.stdout.starts_with("HTTP/1.1 403 "), "{answer:?}");
    }
    let refusals = scoter.log_lines("refused to a user");
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let uid = format!("uid={}", stage.stranger.uid);
    assert!(refusals[0].contains(&uid), "{refusals:?}");
    assert_eq!(scoter.status()["workers_wanted"], 1);
    // Another one is another line.
    let answer = stage.ask_as(&stage.user, &control, "PUT /scale/2");
    assert!(answer.stdout.starts_with("HTTP/1.1 200 "), "{answer:?}");
    assert_eq!(scoter.log_lines("refused to a user").len(), 1);
}

#[test]
fn user_can_reload_and_stop_with_the_command() {
    let Some(stage) = Stage::set() else { return };
    let (uid, gid) = (stage.user.uid.as_raw(), stage.user.gid.as_raw());
    let mut scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name])
        .start();
    let control = control_of(&scoter);
    let command = |words: &[&str]| {
        let command = Scoter::told_nothing().from_package(&stage.package);
        let folder = command.folder().to_owned();
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("the test's own folder");
        command
            .args(words)
            .args(["--control".into(), control.clone()])
            .as_user(uid, gid)
            .run()
    };
    for (words, said) in [
        (&["reload"][..], "generation 2"),
        (&["status", "--ready"], ""),
        (&["stop"], "stopped"),
    ] {
        let finished = command(words);
        assert_eq!(finished.code, Some(0), "{words:?}: {finished:?}");
        assert!(finished.stdout.contains(said), "{words:?}: {finished:?}");
    }
    assert_eq!(scoter.wait().code, Some(0));
}

/// Puts a link to `victim` in the place of every socket that appears in a folder, for ever.
const EXCHANGE_SOCKETS: &str = "\
import os, stat, sys
victim, folder = sys.argv[1:]
os.chdir(folder)
print('ready', flush=True)
while True:
    if not os.path.islink('link'):
        os.symlink(victim, 'link')
    for name in ('scoter.sock', 'scoter.sock.control'):
        try:
            if stat.S_ISSOCK(os.lstat(name).st_mode):
                os.rename('link', name)
                break
        except FileNotFoundError:
            pass
";

#[test]
fn link_in_the_place_of_a_new_socket_is_never_followed() {
    let Some(stage) = Stage::set() else { return };
    let user = &stage.user;
    for owning in ["--user", "--socket-owner"] {
        // It ends as soon as its sockets are bound: many starts in a short time.
        let scoter = stage
            .serving("hello")
            .bind("unix:run/scoter.sock")
            .args([owning, &user.name, "--socket-mode", "666"])
            .args(["--pid-file", "/nonexistent/pid"]);
        let run = scoter.folder().join("run");
        fs::create_dir(&run).expect("the test's own folder");
        chown(&run, Some(user.uid), Some(user.gid)).expect("root");
        let victim = scoter.folder().join("victim");
        fs::write(&victim, "secret").expect("the test's own folder");
        fs::set_permissions(&victim, Permissions::from_mode(0o600)).expect("ours");
        let (_home, attacker) = stage.run_as(user, EXCHANGE_SOCKETS, &[&victim, &run]);
        until("the attacker is there", || {
            attacker.stdout().contains("ready").then_some(())
        });
        for start in 0..40 {
            let finished = scoter.spawn().wait();
            assert_eq!(finished.code, Some(2), "{}", finished.stderr);
            let found = fs::metadata(&victim).expect("nobody may remove it");
            assert_eq!(
                (found.uid(), found.gid(), found.mode() & 0o777),
                (0, 0, 0o600),
                "{owning}, start {start}: {}",
                finished.stderr
            );
            for name in ["scoter.sock", "scoter.sock.control"] {
                // The next start refuses to replace a link.
                let _ = fs::remove_file(run.join(name));
            }
        }
    }
}

#[test]
fn lock_on_the_folder_by_another_user_keeps_no_server_from_starting() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("hello");
    let (folder, socket) = (
        scoter.folder().to_owned(),
        scoter.folder().join("scoter.sock"),
    );
    let script = "\
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_SH)
print('locked', flush=True)
time.sleep(600)
";
    let (_home, locker) = stage.run_as(&stage.stranger, script, &[&folder]);
    until("the folder is locked", || {
        locker.stdout().contains("locked").then_some(())
    });
    // A stale one has to be replaced.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("the path is free"));
    let mut scoter = scoter.args(["--user", &stage.user.name]).start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    scoter.stop();
}

/// Makes a folder that nobody but root may enter.
fn private_folder(parent: &Path) -> PathBuf {
    let folder = parent.join("private");
    fs::create_dir(&folder).expect("the test's own folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("just made");
    folder
}

fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the test's own folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.retain(|path| path.to_string_lossy().contains("sock"));
    paths
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
    let package = stage.package.through_link(&python);
    for words in [&[][..], &["--no-master"], &["check"]] {
        let scoter = Scoter::told_nothing()
            .from_package(&package)
            .args(words)
            .args(["--user", &stage.user.name, "--bind", "unix:scoter.sock"])
            .args(["--pythonpath".as_ref(), apps_folder().as_os_str()])
            .args(["hello"]);
        let finished = scoter.spawn().wait();
        assert_eq!(finished.code, Some(2), "{words:?}: {}", finished.stderr);
        let user = format!("user {} cannot run {}", stage.user.name, python.display());
        let folder = format!("may not enter {} ", private.display());
        for expected in [user, folder] {
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

#[test]
fn sockets_that_stay_are_warned_of_once_and_at_the_start() {
    let Some(stage) = Stage::set() else { return };
    let user = &stage.user;
    // A folder of root's, one of the user's, and one where everybody may do what they like with their own.
    for (owner, mode, warnings) in [(0, 0o755, 1), (user.uid.as_raw(), 0o755, 0), (0, 0o1777, 0)] {
        let scoter = stage.serving("hello").bind("unix:run/scoter.sock");
        let run = scoter.folder().join("run");
        fs::create_dir(&run).expect("the test's own folder");
        fs::set_permissions(&run, Permissions::from_mode(mode)).expect("just made");
        chown(&run, Some(Uid::from_raw(owner)), None).expect("root");
        let mut scoter = scoter.args(["--user", &user.name]).start();
        let said = scoter.log_lines("WARN");
        assert_eq!(said.len(), warnings, "{mode:o}: {said:?}");
        for warning in &said {
            assert!(warning.contains(run.to_str().expect("UTF-8")), "{warning}");
            assert!(warning.contains(&user.name), "{warning}");
        }
        scoter.stop();
        assert_eq!(scoter.log_lines("WARN"), said, "{mode:o}");
        assert_eq!(sockets_in(&run).len(), 2 * warnings, "{mode:o}");
    }
}

#[test]
fn silent_connections_of_the_user_do_not_keep_root_from_the_control_socket() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage
        .serving("hello")
        .args(["--user", &stage.user.name])
        .start();
    // Each that is closed is replaced at once.
    let script = "\
import select, socket, sys
def connect():
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(sys.argv[1])
    return stream
streams = [connect() for _ in range(200)]
print('silent', flush=True)
while True:
    for closed in select.select(streams, [], [])[0]:
        streams.remove(closed)
        closed.close()
        streams.append(connect())
";
    let (_home, silent) = stage.run_as(&stage.user, script, &[&control_of(&scoter)]);
    until("the user is connected", || {
        silent.stdout().contains("silent").then_some(())
    });
    for _ in 0..5 {
        let finished = scoter.command(["status", "--ready"]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}
