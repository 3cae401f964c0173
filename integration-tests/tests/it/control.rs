//! The control socket: where it is, whose it is, and what it answers.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use integration_tests::{Client, DEADLINE, Finished, Peer, Scoter, empty, get, until};
use nix::sys::signal::Signal;

#[track_caller]
fn assert_refused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} in {finished:?}");
    }
}

/// Sends a request and returns the status code, and the body.
#[track_caller]
fn ask(scoter: &Scoter, method: &str, path: &str) -> (u16, String) {
    let request = hyper::Request::builder().method(method).uri(path);
    let reply = scoter
        .control()
        .send(request.body(empty()).expect("well-formed"));
    (reply.status, reply.text())
}

#[test]
fn status_for_machines_has_what_is_documented() {
    let scoter = Scoter::serving("streaming")
        .workers("2")
        .args(["--threads", "3"])
        .start();
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    let finished = scoter.command(["status", "--json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let status: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pid"], scoter.pid().as_raw());
    assert_eq!(status["generation"], 2);
    assert_eq!(status["phase"], "running");
    assert_eq!(status["ready"], true);
    assert_eq!(status["workers_wanted"], 2);
    assert_eq!(status["workers_range"], serde_json::Value::Null);
    assert_eq!(status["last_reload"]["ok"], true);
    assert_eq!(status["last_reload"]["generation"], 2);
    assert_eq!(status["last_reload"]["error"], serde_json::Value::Null);
    let address = format!("unix:{}", scoter.socket().display());
    assert_eq!(status["listeners"][0]["address"], address.as_str());
    for moment in [&status["started_at"], &status["last_reload"]["at"]] {
        let moment = moment.as_str().expect("RFC 3339");
        assert_eq!(moment.len(), "2026-11-22T10:00:00.000Z".len(), "{moment}");
        assert!(moment.ends_with('Z'), "{moment}");
    }
    assert!(status["uptime_ms"].is_u64());
    let workers = status["workers"].as_array().expect("a list");
    assert_eq!(workers.len(), 3, "two and one that finishes: {status}");
    let retiring: Vec<_> = workers
        .iter()
        .filter(|worker| worker["phase"] == "retiring")
        .collect();
    assert_eq!(retiring.len(), 1, "{status}");
    assert_eq!(retiring[0]["generation"], 1);
    let running: Vec<_> = retiring[0]["slots"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|slot| slot["phase"] == "running")
        .collect();
    assert_eq!(running.len(), 1, "{status}");
    assert_eq!(running[0]["method"], "GET");
    assert_eq!(running[0]["uri"], "/waits");
    assert!(running[0]["age_ms"].is_u64(), "{status}");
    for worker in workers {
        for number in [
            "id",
            "pid",
            "generation",
            "age_ms",
            "requests",
            "failed",
            "timeouts",
            "peers_gone",
            "refused",
        ] {
            assert!(worker[number].is_u64(), "{number} of {worker}");
        }
        for number in ["requests_per_second", "busy_ratio"] {
            assert!(worker[number].is_f64(), "{number} of {worker}");
        }
        assert_eq!(worker["slots"].as_array().map(Vec::len), Some(3));
    }
    for number in [
        "requests",
        "failed",
        "refused",
        "timeouts",
        "peers_gone",
        "crashed",
        "replaced",
    ] {
        assert!(status["totals"][number].is_u64(), "{number} of {status}");
    }
    gate.open();
    assert_eq!(peer.reply().text(), "waited at a");
}

#[test]
fn counts_go_on_when_a_worker_is_replaced() {
    let scoter = Scoter::serving("failures").start();
    for path in ["/fine", "/fine", "/before_start"] {
        scoter.connect().packet(&get(path)).ending();
    }
    let count = |name: &str| scoter.status()["totals"][name].clone();
    until("all are counted", || {
        (count("requests") == 3 && count("failed") == 1).then_some(())
    });
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    scoter.wait_for_workers(1);
    scoter.connect().packet(&get("/fine")).reply();
    until("the new one counts on", || {
        (count("requests") == 4).then_some(())
    });
    assert_eq!((count("failed"), count("crashed")), (1.into(), 0.into()));
}

#[test]
fn control_socket_may_be_elsewhere_or_nowhere() {
    let scoter = Scoter::serving("hello");
    let path = scoter.folder().join("elsewhere.control");
    let mut scoter = scoter
        .args(["--control".into(), path.clone()])
        .bind("127.0.0.1:0")
        .start();
    assert_eq!(Client::new(&path).get("/ready").status, 200);
    scoter.stop();
    assert!(!path.exists());

    for scoter in [
        Scoter::serving("hello").args(["--control", "off"]),
        Scoter::serving("hello").bind("127.0.0.1:0"),
    ] {
        let scoter = scoter.start();
        let entries = fs::read_dir(scoter.folder()).expect("the test's own folder");
        let controls: Vec<_> = entries
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.to_string_lossy().ends_with(".control"))
            .collect();
        assert_eq!(controls, Vec::<PathBuf>::new());
    }
}

#[test]
fn path_that_would_be_too_long_is_done_without() {
    for relative in [false, true] {
        let scoter = Scoter::serving("hello");
        let room = 107 - "/s.sock".len() - scoter.folder().as_os_str().len() - 1;
        let folder = scoter.folder().join("x".repeat(room));
        fs::create_dir(&folder).expect("the test's own folder");
        let socket = folder.join("s.sock");
        assert_eq!(socket.as_os_str().len(), 107);
        let scoter = match relative {
            true => {
                let in_folder = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(Into::into);
                scoter
                    .bind("unix:s.sock")
                    .under(in_folder.into_iter().chain([folder.into_os_string()]))
            }
            false => scoter.bind(format!("unix:{}", socket.display())),
        };
        let scoter = scoter.start();
        let mut peer = Peer::connect(&socket);
        assert_eq!(peer.packet(&get("/")).reply().status, 200);
        let line = scoter.wait_for_log("no control socket");
        assert!(line.contains("--control"), "{line}");
    }
}

#[test]
fn socket_is_private() {
    let scoter = Scoter::serving("hello")
        .args(["--socket-mode", "666", "--umask", "0"])
        .start();
    let found = fs::metadata(scoter.control().socket()).expect("it listens");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
}

#[test]
fn live_socket_is_not_stolen() {
    let first = Scoter::serving("hello").start();
    let control = first.control().socket().to_owned();
    let second = Scoter::serving("hello").args(["--control".into(), control.clone()]);
    let socket = second.folder().join("scoter.sock");
    let finished = second.spawn().wait();
    let path = control.to_str().expect("UTF-8");
    assert_refused(
        &finished,
        &[
            "control socket",
            path,
            "a running server answers there",
            "hint",
        ],
    );
    assert!(!socket.exists());
    assert_eq!(first.status()["pid"], first.pid().as_raw());
}

#[test]
fn stale_socket_is_replaced_and_another_file_is_not() {
    let scoter = Scoter::serving("hello");
    let control = scoter.folder().join("scoter.sock.control");
    drop(UnixListener::bind(&control).expect("a path of its own"));
    let scoter = scoter.start();
    assert_eq!(scoter.status()["ready"], true);

    let scoter = Scoter::serving("hello");
    let control = scoter.folder().join("scoter.sock.control");
    fs::write(&control, "precious").expect("the test's own folder");
    let finished = scoter.spawn().wait();
    assert_refused(&finished, &["the file exists and is not a socket"]);
    assert_eq!(fs::read(&control).expect("still there"), b"precious");
    assert!(!scoter.folder().join("scoter.sock").exists());
}

#[test]
fn file_goes_with_the_server() {
    let mut scoter = Scoter::serving("hello").start();
    let control = scoter.control().socket().to_owned();
    assert!(control.exists());
    scoter.stop();
    assert!(!control.exists());

    let mut scoter = Scoter::serving("hello").workers("2").start();
    let control = scoter.control().socket().to_owned();
    scoter.signal(Signal::SIGKILL);
    scoter.wait();
    scoter.wait_until_all_are_gone();
    assert!(!control.exists());
    assert!(!scoter.socket().exists());
}

#[test]
fn file_of_a_successor_is_left_alone() {
    let mut scoter = Scoter::serving("hello").start();
    let control = scoter.control().socket().to_owned();
    fs::remove_file(&control).expect("the test's own folder");
    let _successor = UnixListener::bind(&control).expect("just removed");
    scoter.stop();
    assert!(UnixStream::connect(&control).is_ok());
}

#[test]
fn requests_by_hand_are_answered() {
    let scoter = Scoter::serving("hello").start();
    for (method, path, code, word) in [
        ("GET", "/ready", 200, "ready\n"),
        ("HEAD", "/ready", 200, ""),
        ("GET", "/health", 200, "healthy\n"),
        ("GET", "/status", 200, "\"workers\""),
        ("GET", "/", 200, "<!doctype html>"),
        ("HEAD", "/", 200, ""),
        ("GET", "//", 404, "no such path: //"),
        ("GET", "/status/", 404, "GET  /status"),
        ("GET", "/reload", 405, "POST"),
        ("POST", "/status", 405, "GET"),
        ("PUT", "/scale/0", 400, "from 1"),
        ("PUT", "/scale/two", 400, "from 1"),
        ("PUT", "/scale/99999999999", 400, "from 1"),
        ("PUT", "/scale/", 400, "from 1"),
        ("PUT", "/scale/4294967295", 400, ""),
        ("PUT", "/scale/1025", 400, ""),
        ("POST", "/reload?upgrade=maybe", 400, "upgrade=maybe"),
        ("PUT", "/scale/2", 200, "\"workers\":2"),
        ("POST", "/reload", 200, "\"generation\":2"),
    ] {
        let (status, text) = ask(&scoter, method, path);
        assert_eq!(status, code, "{method} {path}: {text}");
        assert!(text.contains(word), "{method} {path}: {text}");
    }
    assert_eq!(scoter.status()["workers_wanted"], 2);
    let request = hyper::Request::post("/health").body(empty());
    let reply = scoter.control().send(request.expect("well-formed"));
    assert_eq!(reply.header("Allow"), Some("GET"));
}

#[test]
fn whatever_is_sent_the_server_serves_on() {
    let scoter = Scoter::serving("hello").start();
    let connect = || {
        let stream = UnixStream::connect(scoter.control().socket()).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream
    };
    // Nothing, half of something, and something else.
    let silent: Vec<_> = (0..20).map(|_| connect()).collect();
    let mut half = connect();
    half.write_all(b"GET /status HTTP/1.1\r\nHost:")
        .expect("it reads");
    let long = [b"GET /status HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 100_000]].concat();
    for bytes in [
        b"\0\x10\0\0\x0e\0REQUEST_METHOD\x03\0GET".to_vec(),
        b"hello\r\n\r\n".to_vec(),
        long,
    ] {
        let mut stream = connect();
        // It may say no before it has read everything.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(scoter.status()["ready"], true);
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    drop((silent, half));
}
