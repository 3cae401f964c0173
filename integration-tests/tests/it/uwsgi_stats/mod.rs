//! uWSGI's statistics, and the tools that read them.

mod readers;
mod socket;

use std::fmt::Debug;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use integration_tests::{Scoter, ScoterBuilder, request, until, with};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A server whose statistics can be read at a Unix socket, which is also returned.
fn serving(app: &str) -> (ScoterBuilder, PathBuf) {
    let scoter = Scoter::serving(app);
    let path = scoter.folder().join("stats.sock");
    let address = format!("unix:{}", path.display());
    (scoter.args(["--uwsgi-stats", &address]), path)
}

/// What a client gets that sends nothing.
#[track_caller]
fn read(path: &Path) -> Value {
    parse(UnixStream::connect(path).expect("somebody listens"))
}

/// The same over TCP.
#[track_caller]
fn read_tcp(address: SocketAddr) -> Value {
    parse(TcpStream::connect(address).expect("somebody listens"))
}

#[track_caller]
fn parse(mut stream: impl Read) -> Value {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("UTF-8");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Waits until figures are as expected: a request is counted when its response has left.
#[track_caller]
fn wait_for<T: PartialEq + Debug>(expected: &T, read: impl Fn() -> T) {
    until(&format!("{expected:?}"), || {
        (read() == *expected).then_some(())
    });
}

/// The sum of a number over all workers.
#[track_caller]
fn sum(stats: &Value, key: &str) -> u64 {
    let workers = stats["workers"].as_array().expect("a list");
    let numbers = workers.iter().map(|worker| worker[key].as_u64());
    numbers.map(|number| number.expect(key)).sum()
}

fn ask(scoter: &Scoter, path: &str) -> u16 {
    let packet = request("GET", path);
    scoter.connect().packet(&packet).reply().status
}

/// Fails unless `ours` has the keys of `theirs`, in their order, with values of the same types. All elements of a
/// list are like the first of theirs.
#[track_caller]
fn assert_same_shape(place: &str, ours: &Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = |object: &serde_json::Map<String, Value>| -> Vec<_> {
                object.keys().cloned().collect()
            };
            // What is in them is about one request.
            let theirs_is_left_out = place.ends_with("req_info");
            if theirs_is_left_out {
                return assert!(ours.is_empty(), "{place}");
            }
            assert_eq!(keys(ours), keys(theirs), "{place}");
            for (key, theirs) in theirs {
                assert_same_shape(&format!("{place}.{key}"), &ours[key], theirs);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for (index, ours) in ours.iter().enumerate() {
                let theirs = theirs.first().expect("ours has elements, theirs too");
                assert_same_shape(&format!("{place}[{index}]"), ours, theirs);
            }
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            assert!(ours.is_u64() && theirs.is_u64(), "{place}: {ours}");
        }
        (Value::String(_), Value::String(_)) => {}
        _ => panic!("{place}: {ours} is not like {theirs}"),
    }
}

#[test]
fn shape_is_that_of_uwsgi_and_requests_are_not_in_it() {
    let theirs: Value = serde_json::from_str(include_str!("uwsgi-2.0.31.json")).expect("JSON");
    let (scoter, path) = serving("measured");
    let scoter = scoter.workers("2..3").args(["--threads", "2"]).start();
    let gate = scoter.gate("secret");
    let mut peer = scoter.connect();
    let packet = with(
        request("GET", "/waits"),
        [
            ("QUERY_STRING", "secret"),
            ("HTTP_COOKIE", "secret"),
            ("HTTP_AUTHORIZATION", "secret"),
        ],
    );
    peer.packet(&packet);
    scoter.wait_for_event("begun secret");
    let ours = read(&path);
    assert_same_shape("", &ours, &theirs);
    assert!(!ours.to_string().contains("secret"), "{ours}");
    let workers = ours["workers"].as_array().expect("a list");
    let statuses = workers.iter().map(|worker| &worker["status"]);
    let mut statuses: Vec<_> = statuses.map(|status| status.as_str()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [Some("busy"), Some("cheap"), Some("idle")]);
    let cores = workers
        .iter()
        .flat_map(|it| it["cores"].as_array().expect("a list"));
    let busy = cores.map(|core| core["in_request"].as_u64().expect("a number"));
    assert_eq!(busy.sum::<u64>(), 1);
    gate.open();
    assert_eq!(peer.reply().status, 200);
}

#[test]
fn figures_are_those_of_the_server() {
    let (scoter, path) = serving("measured");
    let scoter = scoter
        .args([
            "--threads",
            "3",
            "--request-timeout",
            "1s",
            "--backlog",
            "100",
        ])
        .start();
    for (path, status) in [("/fine", 200), ("/fine", 200), ("/raises", 500)] {
        assert_eq!(ask(&scoter, path), status, "{path}");
    }
    for (path, status) in [("/unavailable", 503), ("/slow", 200), ("/sleeps", 504)] {
        assert_eq!(ask(&scoter, path), status, "{path}");
    }
    let figures = || {
        let stats = read(&path);
        ["requests", "exceptions", "harakiri_count"].map(|key| sum(&stats, key))
    };
    wait_for(&[6, 1, 1], figures);
    let stats = read(&path);
    let status = scoter.status();
    let worker = &stats["workers"][0];
    for (ours, theirs) in [
        (&stats["pid"], &status["pid"]),
        (&worker["pid"], &status["workers"][0]["pid"]),
        (&worker["delta_requests"], &json!(6)),
        (&worker["respawn_count"], &json!(1)),
        (&worker["accepting"], &json!(1)),
        (&worker["apps"][0]["requests"], &json!(6)),
        (&worker["apps"][0]["exceptions"], &json!(1)),
        (&stats["uid"], &json!(nix::unistd::getuid().as_raw())),
        (&stats["gid"], &json!(nix::unistd::getgid().as_raw())),
        (
            &stats["cwd"],
            &json!(scoter.folder().canonicalize().expect("there")),
        ),
        (&stats["sockets"][0]["name"], &json!(scoter.socket())),
        (&stats["sockets"][0]["max_queue"], &json!(101)),
    ] {
        assert_eq!(ours, theirs, "{stats}");
    }
    let number = |key: &str| worker[key].as_u64().expect("a number");
    // Of "/fine" at least; of what scoter answers itself as well.
    assert!(number("tx") >= 24, "{worker}");
    // In microseconds: /slow takes 50 ms, /sleeps a second.
    let times = number("running_time");
    assert!((1_050_000..60_000_000).contains(&times), "{worker}");
    assert!(number("avg_rt") > 0, "{worker}");
    assert!(
        (1 << 20..number("vsz")).contains(&number("rss")),
        "{worker}"
    );
    let cores = worker["cores"].as_array().expect("a list");
    let requests = cores.iter().map(|core| core["requests"].as_u64());
    assert_eq!(requests.sum::<Option<u64>>(), Some(6), "{worker}");
}

#[test]
fn counts_outlive_workers_reloads_and_upgrades() {
    let (scoter, path) = serving("measured");
    let scoter = scoter.start();
    assert_eq!(ask(&scoter, "/fine"), 200);
    assert_eq!(ask(&scoter, "/raises"), 500);
    let figures = || {
        let stats = read(&path);
        ["requests", "exceptions", "tx"].map(|key| sum(&stats, key))
    };
    let [_, _, tx] = until("two requests", || {
        let figures = figures();
        (figures[..2] == [2, 1]).then_some(figures)
    });
    let spawned = |count: u64| {
        let stats = read(&path);
        assert_eq!(sum(&stats, "respawn_count"), count, "{stats}");
        let present = stats["workers"].as_array().expect("a list").iter();
        let present = present.filter(|worker| worker["status"] != "cheap");
        assert_eq!(present.count(), 1, "{stats}");
    };
    spawned(1);
    let worker = scoter.worker();
    worker.signal(Signal::SIGKILL);
    scoter.wait_for_workers_that("a successor", |workers| {
        workers.len() == 1 && workers[0].pid() != worker.pid()
    });
    assert_eq!(figures(), [2, 1, tx]);
    spawned(2);
    for (command, count) in [(&["reload"][..], 3), (&["reload", "--upgrade"], 4)] {
        assert_eq!(scoter.command(command.iter().copied()).code, Some(0));
        scoter.wait_for_workers(1);
        assert_eq!(figures(), [2, 1, tx]);
        spawned(count);
    }
    assert_eq!(sum(&read(&path), "delta_requests"), 0);
}
