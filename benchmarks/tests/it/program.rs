use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::server::Server;

fn load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn wrong_reply_is_exit_status_1() {
    let server = Server::fixed("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let output = load(&[&server.address, "--clients", "1", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "load: {}: request 1 (GET /): expected status 200, got 503 Busy, with \"\"\n",
            server.address
        ),
    );
}

#[test]
fn bad_argument_is_exit_status_2() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "required arguments"),
        (&["unix:"], "a path is missing after unix:"),
        (&["nowhere"], "neither unix:/path nor HOST:PORT"),
        (&["unix:/s", "--clients", "0"], "0 is not in"),
        (&["unix:/s", "--requests", "0"], "0 is not in"),
        (&["unix:/s", "--body", "1g"], "not a number of bytes"),
        (&["unix:/s", "--also", "/x"], "not of the form PATH=SHARE"),
        (
            &["unix:/s", "--also", "/x=2"],
            "the share is not between 0 and 1",
        ),
        (
            &["unix:/s", "--also", "/=0.5"],
            "--also and --path both ask for `/`",
        ),
        (&["unix:/s", "--path", "x"], "`x` is no path"),
        (&["unix:/s", "--var", "x"], "not of the form NAME=VALUE"),
        (
            &["unix:/s", "--protocol", "http", "--var", "A=b"],
            "--var A is no header",
        ),
        (
            &["unix:/s", "--expect-body", "", "--expect-size", "1"],
            "an empty --expect-body",
        ),
        (&["unix:/s", "--timeout", "0"], "not a number of seconds"),
    ];
    for (arguments, expected) in cases {
        let output = load(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn floor_says_hello() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    // One that a server before it has left there.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let address = format!("unix:{}", socket.display());
    let floor = Floor::start(&[&address]);

    let output = load(&[
        &address,
        "--requests",
        "500",
        "--expect-body",
        "Hello, world\n",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["protocol"], "uwsgi");
    assert_eq!(report["clients"], 8);
    assert_eq!(report["requests"], 500);
    assert_eq!(report["latency"]["/"]["requests"], 500);
    for field in ["seconds", "requests_per_second", "load_cpu_us_per_request"] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{field}");
    }
    for field in ["mean", "p50", "p90", "p99", "p99_9", "max"] {
        assert!(
            report["latency"]["/"][field].as_f64().unwrap() > 0.0,
            "{field}"
        );
    }
    let counts = report["latency"]["/"]["counts"].as_array().unwrap();
    let counted: u64 = counts.iter().map(|entry| entry[1].as_u64().unwrap()).sum();
    assert_eq!(counted, 500);
    drop(floor);
}

#[test]
fn floor_gives_another_reply() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/socket", directory.path().display());
    let reply = directory.path().join("reply");
    std::fs::write(&reply, "HTTP/1.1 404 None\r\n\r\nnothing").unwrap();
    let _floor = Floor::start(&[&address, "--reply", reply.to_str().unwrap()]);
    let arguments = [
        "--requests",
        "20",
        "--expect-status",
        "404",
        "--expect-body",
        "nothing",
    ];
    let output = load(&[&[address.as_str()], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        output.stdout.starts_with(b"20 requests, 8 at a time, in "),
        "{output:?}"
    );
}

#[test]
fn floor_does_not_interrupt_who_wakes_it() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/socket", directory.path().display());
    let floor = Floor::start(&[&address]);
    // proc_pid_stat(5): the name, in parentheses, is the second field, the policy the 41st.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", floor.0.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let policy = fields.split_whitespace().nth(38).unwrap();
    assert_eq!(policy, nix::libc::SCHED_BATCH.to_string());
}

struct Floor(std::process::Child);

impl Floor {
    /// Starts one and waits until it is ready.
    fn start(arguments: &[&str]) -> Self {
        let mut floor = Command::new(env!("CARGO_BIN_EXE_floor"))
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(floor.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Self(floor)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
