//! Tools that read the statistics of uWSGI, as they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use integration_tests::{Client, Reply, Scoter, Terminal, python};

use super::{ask, serving};

/// `uwsgitop`, which reads an address.
fn uwsgitop(address: &str) -> Terminal {
    let mut command = Command::new(python().with_file_name("uwsgitop"));
    command.arg(address);
    Terminal::running(&command, 160, 40)
}

/// Has it show a server before and after two requests. It writes only what changes on the screen, so a new one
/// is started to see the whole.
#[track_caller]
fn assert_shows(scoter: &Scoter, address: &str) {
    for requests in ["req: 0", "req: 2"] {
        let mut terminal = uwsgitop(address);
        terminal.wait_for("LastSpwn");
        for text in ["uwsgi-scoter-", requests, "WID", "node: "] {
            terminal.wait_for(text);
        }
        for worker in scoter.workers() {
            terminal.wait_for(&worker.pid().to_string());
        }
        terminal.press("q");
        assert_eq!(terminal.exit_code(), Some(0));
        for _ in 0..2 {
            assert_eq!(ask(scoter, "/fine"), 200);
        }
    }
}

#[test]
fn uwsgitop_shows_workers_and_their_requests() {
    let (scoter, path) = serving("measured");
    let scoter = scoter.workers("2").start();
    assert_shows(&scoter, path.to_str().expect("UTF-8"));
}

#[test]
fn uwsgitop_reads_over_tcp_and_http() {
    for (before, option) in [("", "127.0.0.1:0"), ("http://", "http://127.0.0.1:0")] {
        let scoter = Scoter::serving("measured")
            .args(["--uwsgi-stats", option])
            .start();
        let address = format!("{before}{}", scoter.tcp_address());
        assert_shows(&scoter, &address);
    }
}

/// Sends a request and returns the reply.
#[track_caller]
fn http(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("a reply");
    Reply::parse(&reply).expect("HTTP")
}

/// uWSGI does not look at a request: its readers ask for any path.
#[test]
fn http_is_answered_at_every_path() {
    let scoter = Scoter::serving("measured")
        .args(["--uwsgi-stats", "http://127.0.0.1:0"])
        .start();
    let address = scoter.tcp_address();
    for (line, status) in [
        ("GET / HTTP/1.1", 200),
        ("GET /stats?x=1 HTTP/1.1", 200),
        ("GET /metrics HTTP/1.1", 200),
        ("HEAD / HTTP/1.1", 200),
        ("POST / HTTP/1.1", 405),
        ("POST /stop HTTP/1.1", 405),
        ("PUT /scale/7 HTTP/1.1", 405),
    ] {
        let reply = http(
            address,
            &format!("{line}\r\nHost: scoter\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(reply.status, status, "{line}");
        if status == 200 {
            // To the letter, for the exporter of timonwong.
            assert_eq!(reply.header("Content-Type"), Some("application/json"));
        }
        if line.starts_with("GET") {
            assert_eq!(reply.json()["workers"][0]["id"], 1);
        }
    }
    assert_eq!(scoter.status()["workers_wanted"], 1);
}

#[test]
fn http_is_served_on_unix_sockets() {
    let scoter = Scoter::serving("measured");
    let path = scoter.folder().join("stats.sock");
    let address = format!("http://unix:{}", path.display());
    let _scoter = scoter.args(["--uwsgi-stats", &address]).start();
    assert_eq!(Client::new(&path).get("/").json()["workers"][0]["id"], 1);
}

/// The keys that each of them reads, by its source: Telegraf's plugin `uwsgi`, the exporter of timonwong, and
/// Metricbeat's module `uwsgi`. All but Telegraf's tags are integers in a language that refuses others.
#[test]
fn keys_of_other_readers_are_there() {
    let (scoter, path) = serving("measured");
    let _scoter = scoter.start();
    let stats = super::read(&path);
    let worker = &stats["workers"][0];
    for (place, keys) in [
        (
            &stats,
            "pid uid gid listen_queue listen_queue_errors signal_queue load",
        ),
        (&stats["sockets"][0], "queue max_queue shared can_offload"),
        (
            worker,
            "id pid accepting requests delta_requests exceptions harakiri_count signals signal_queue rss vsz \
             running_time last_spawn respawn_count tx avg_rt",
        ),
        (
            &worker["apps"][0],
            "id modifier1 requests startup_time exceptions",
        ),
        (
            &worker["cores"][0],
            "id requests static_requests routed_requests offloaded_requests write_errors read_errors in_request",
        ),
    ] {
        for key in keys.split_whitespace() {
            assert!(place[key].is_u64(), "{key} in {place}");
        }
    }
    for text in [
        &stats["version"],
        &stats["cwd"],
        &stats["sockets"][0]["name"],
        &stats["sockets"][0]["proto"],
        &worker["status"],
        &worker["apps"][0]["mountpoint"],
        &worker["apps"][0]["chdir"],
    ] {
        assert!(text.is_string(), "{text} in {stats}");
    }
}
