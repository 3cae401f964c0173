//! Sockets that root binds and the user owns.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use integration_tests::{Scoter, get, until};
use nix::unistd::{Uid, chown};

use super::stage::{Stage, control_of, sockets_in};

#[test]
fn sockets_are_bound_where_only_root_can() {
    let Some(stage) = Stage::set() else { return };
    let scoter = stage.serving("hello").args(["--user", &stage.user.name]);
    let metrics = scoter.folder().join("metrics.sock");
    let address = format!("unix:{}", metrics.display());
    let mut scoter = scoter.args(["--metrics", &address]).start();
    let folder = fs::metadata(scoter.folder()).expect("the test's own folder");
    assert_eq!((folder.uid(), folder.mode() & 0o777), (0, 0o755));
    let owner = |path: &Path| {
        let found = fs::metadata(path).expect("it listens");
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    let (uid, gid) = (stage.user.uid.as_raw(), stage.user.gid.as_raw());
    assert_eq!(owner(scoter.socket()), (uid, gid, 0o660));
    assert_eq!(owner(&metrics), (uid, gid, 0o660));
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
    let refusals = scoter.log_lines("refused a user");
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let uid = format!("uid={}", stage.stranger.uid);
    assert!(refusals[0].contains(&uid), "{refusals:?}");
    assert_eq!(scoter.status()["workers_wanted"], 1);
    // Another one is another line.
    let answer = stage.ask_as(&stage.user, &control, "PUT /scale/2");
    assert!(answer.stdout.starts_with("HTTP/1.1 200 "), "{answer:?}");
    assert_eq!(scoter.log_lines("refused a user").len(), 1);
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
