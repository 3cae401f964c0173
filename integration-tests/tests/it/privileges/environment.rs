//! What the application finds: its home, its name, its umask.

use std::fs;
use std::os::unix::fs::MetadataExt;

use integration_tests::{Scoter, get};
use nix::sys::signal::Signal;

use super::stage::Stage;

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
