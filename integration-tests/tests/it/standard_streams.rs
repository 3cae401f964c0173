//! Standard output and error that nobody reads any more: a terminal that was closed, a pipe whose reader has ended.

use std::fs;
use std::time::Duration;

use integration_tests::{Peer, Running, Scoter, elapse, get, until, with};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Starts a server whose standard streams are a terminal or a pipe, shows what comes out of them, and closes its
/// end when it is sent USR1. It ends with the server, and with its exit code.
const READER: &str = "\
import os, pty, signal, sys
kind, *command = sys.argv[1:]
if kind == 'terminal':
    server, reader = pty.fork()
else:
    reader, writer = os.pipe()
    server = os.fork()
    if server == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
    else:
        os.close(writer)
if server == 0:
    os.execvp(command[0], command)
signal.signal(signal.SIGUSR1, lambda *_: os.close(reader))
try:
    while text := os.read(reader, 4096):
        os.write(2, text)
except OSError:
    os.write(2, b'streams closed\\n')
sys.exit(os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]))
";

/// The server itself: the test has started the reader.
fn server(scoter: &Scoter) -> Running {
    let parent = format!("PPid:\t{}", scoter.pid());
    let is_child = |process: &Running| {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid()));
        status.is_ok_and(|status| status.lines().any(|line| line == parent))
    };
    let mut family = scoter.family().into_iter();
    family.find(is_child).expect("the reader has one child")
}

/// The processor time of a process so far, in clock ticks.
fn ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("proc(5)");
    let fields = fields.split_whitespace().skip(11).take(2);
    fields
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum()
}

#[test]
fn server_whose_output_nobody_reads_any_more_serves_reloads_and_stops() {
    for kind in ["terminal", "pipe"] {
        for master in [&[][..], &["--no-master"][..]] {
            let what = format!("{kind} {master:?}");
            let mut scoter = Scoter::serving("hello")
                .args(["--access-log", "on"])
                .args(master)
                .under(["python3", "-c", READER, kind])
                .start();
            let server = server(&scoter);
            let ask = || Peer::connect(scoter.socket()).packet(&get("/")).reply();
            assert_eq!(ask().status, 200, "{what}");
            scoter.signal(Signal::SIGUSR1);
            scoter.wait_for_log("streams closed");
            let has_master = master.is_empty();
            // A terminal that closes sends HUP by itself: signal(7), tty_vhangup() of the kernel.
            if has_master {
                if kind == "pipe" {
                    server.signal(Signal::SIGHUP);
                }
                until("it has reloaded", || {
                    (scoter.status()["generation"] == 2).then_some(())
                });
            }
            for _ in 0..50 {
                assert_eq!(ask().status, 200, "{what}");
            }
            // Nobody tries again and again.
            let before = ticks(server.pid());
            elapse(Duration::from_secs(1));
            let spent = ticks(server.pid()) - before;
            assert!(spent < 50, "{what}: {spent} ticks of 100");
            server.signal(Signal::SIGTERM);
            let finished = scoter.wait();
            assert_eq!(finished.code, Some(0), "{what}: {}", finished.stderr);
            assert!(!scoter.socket().exists(), "{what}");
            scoter.wait_until_all_are_gone();
        }
    }
}

/// Does with its standard streams what HOW says, when WHEN says, and prints then.
const REDIRECTING: &str = "\
import os
from probe import plain
def redirect():
    if os.environ['HOW'] == 'close':
        os.close(1)
        os.close(2)
    else:
        file = os.open('printed', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
if os.environ['WHEN'] == 'import':
    redirect()
def application(environ, start_response):
    if environ['PATH_INFO'] == '/redirect':
        redirect()
    elif environ['PATH_INFO'] == '/print':
        os.write(1, b'to standard output\\n')
        os.write(2, b'to standard error\\n')
    elif environ['PATH_INFO'] == '/raise':
        environ['wsgi.errors'].write('to wsgi.errors\\n')
        raise LookupError('of a redirected worker')
    return plain(start_response, environ['PATH_INFO'])
";

#[test]
fn what_an_application_does_with_standard_streams_moves_its_own_output_only() {
    for (when, master) in [
        ("import", "--preload"),
        ("import", "--preload=false"),
        ("request", "--preload=false"),
        ("import", "--no-master"),
        ("request", "--no-master"),
    ] {
        for how in ["close", "exchange"] {
            let what = format!("{how} {when} {master}");
            let mut scoter = Scoter::serving("redirecting")
                .with_file("redirecting.py", REDIRECTING)
                .env("HOW", how)
                .env("WHEN", when)
                .args(["--access-log", "on", master])
                .start();
            let ask = |path| scoter.connect().packet(&get(path)).reply().status;
            if when == "request" {
                assert_eq!(ask("/redirect"), 200, "{what}");
            }
            if how == "exchange" {
                assert_eq!(ask("/print"), 200, "{what}");
                let printed = fs::read_to_string(scoter.folder().join("printed"));
                let expected = "to standard output\nto standard error\n";
                assert_eq!(printed.expect("it has been opened"), expected, "{what}");
            }
            let packet = with(get("/raise"), [("REQUEST_URI", "/raise?it")]);
            assert_eq!(scoter.connect().packet(&packet).reply().status, 500);
            scoter.wait_for_log("of a redirected worker");
            scoter.wait_for_log("to wsgi.errors");
            let finished = scoter.stop();
            assert!(finished.stdout.contains("/raise?it"), "{what}");
            if how == "exchange" {
                let printed = fs::read_to_string(scoter.folder().join("printed"));
                assert_eq!(printed.expect("read before").lines().count(), 2, "{what}");
            }
        }
    }
}

#[test]
fn messages_are_coloured_on_terminals_that_have_colours_for_those_who_want_them() {
    for (no_color, term, expected) in [
        ("", "xterm-256color", true),
        ("1", "xterm-256color", false),
        ("", "dumb", false),
    ] {
        let mut scoter = Scoter::serving("hello")
            .env("NO_COLOR", no_color)
            .env("TERM", term)
            .under(["python3", "-c", READER, "terminal"])
            .start();
        server(&scoter).signal(Signal::SIGTERM);
        let finished = scoter.wait();
        let is_coloured = finished.stderr.contains("\x1b[");
        assert_eq!(
            is_coloured, expected,
            "{no_color} {term}: {:?}",
            finished.stderr
        );
    }
    // Neither a file nor a pipe is a terminal.
    let mut scoter = Scoter::serving("hello")
        .env("NO_COLOR", "")
        .env("TERM", "xterm-256color")
        .args(["--error-log", "error.log"])
        .start();
    let log = scoter.folder().join("error.log");
    let finished = scoter.stop();
    assert!(!finished.stderr.contains('\x1b'), "{}", finished.stderr);
    let log = fs::read_to_string(log).expect("it has run");
    assert!(!log.contains('\x1b'), "{log}");
}
