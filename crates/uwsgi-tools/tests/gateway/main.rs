//! `uwsgi-gateway`, as it is run from a shell.
#![allow(clippy::unwrap_used, reason = "tests, and what only they use")]

#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Folder, Running, run, serve, serve_bytes, stderr, stdout};

/// The command under test.
const UWSGI_GATEWAY: &str = env!("CARGO_BIN_EXE_uwsgi-gateway");

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

const GET: &[u8] = b"GET /shop/cart HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Starts the command; returns where it listens.
fn start(server: &str, arguments: &[&str]) -> (Running, String) {
    let mut command = Command::new(UWSGI_GATEWAY);
    command
        .args(["--listen", "127.0.0.1:0", server])
        .args(arguments)
        .env_remove("NO_COLOR");
    let running = Running::start(&mut command);
    let line = running.output_line("uwsgi-gateway: http://127.0.0.1:");
    let (_, rest) = line.split_once("http://").unwrap();
    let (address, named) = rest.trim_end().split_once(" for ").unwrap();
    assert_eq!(named, format!("unix:{server}"));
    (running, address.to_owned())
}

fn ask(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn send(running: &Running, signal: Signal) {
    kill_process(Pid::from_child(&running.child), signal).unwrap();
}

#[test]
fn request_is_passed_on_and_a_signal_ends_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::new();
        let server = folder.text("server");
        let received = serve_bytes(&folder.path("server"), HELLO);
        let options = ["--script-name", "/shop", "--var", "A=1", "--keep-alive"];
        let (mut running, address) = start(&server, &options);
        assert!(ask(&address, GET).ends_with("\r\n\r\nhello"));
        let received = received.recv().unwrap();
        for (name, value) in [
            ("SCRIPT_NAME", "/shop"),
            ("PATH_INFO", "/cart"),
            ("A", "1"),
            ("UWSGI_KEEP_CONN", "0"),
        ] {
            assert_eq!(received.var(name), Some(value), "{name}");
        }
        send(&running, signal);
        assert_eq!(running.wait(), Some(0));
    }
}

#[test]
fn missing_server_is_answered_and_logged_with_what_to_do() {
    let folder = Folder::new();
    let server = folder.text("nobody");
    let (running, address) = start(&server, &[]);
    assert!(ask(&address, GET).starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    let line = running.error_line("request failed");
    for part in [
        "WARN",
        "/shop/cart",
        "status=502",
        &server,
        "No such file",
        "start the server",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains('\x1b'), "colours in a pipe: {line:?}");
}

#[test]
fn chunked_body_is_refused_and_logged_with_what_to_do() {
    let folder = Folder::new();
    let (running, address) = start(&folder.text("nobody"), &[]);
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n0\r\n\r\n";
    assert!(ask(&address, request).starts_with("HTTP/1.1 411 "));
    let line = running.error_line("status=411");
    for part in ["WARN", "--buffered-body"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

/// It takes a packet for a malformed request.
#[test]
fn server_that_speaks_http_is_logged_with_what_to_do() {
    let folder = Folder::new();
    let bad_request = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let _received = serve_bytes(&folder.path("server"), bad_request);
    let (running, address) = start(&folder.text("server"), &[]);
    assert!(ask(&address, GET).starts_with("HTTP/1.1 400 Bad Request\r\n"));
    let line = running.error_line("proxy_pass");
    for part in ["WARN", "HTTP"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn bad_request_of_a_server_that_speaks_uwsgi_is_its_own() {
    let folder = Folder::new();
    let _received = serve(&folder.path("server"), |mut stream, request| {
        let status = match request.var("PATH_INFO") {
            Some("/bad") => "400 Bad Request",
            _ => "200 OK",
        };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let (mut running, address) = start(&folder.text("server"), &[]);
    for path in ["/good", "/bad"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(ask(&address, request.as_bytes()).starts_with("HTTP/1.1 "));
    }
    send(&running, Signal::TERM);
    let line = running.error_line("");
    assert!(line.contains("stopping"), "{line}");
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn sizes_have_units() {
    let folder = Folder::new();
    let options = [
        "--max-body",
        "1K",
        "--buffered-body",
        "1k",
        "--max-head",
        "8KiB",
    ];
    let (_running, address) = start(&folder.text("nobody"), &options);
    for (length, expected) in [("1024", "HTTP/1.1 502 "), ("1025", "HTTP/1.1 413 ")] {
        let body = vec![b'x'; length.parse().unwrap()];
        let mut request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .into_bytes();
        request.extend(body);
        let response = ask(&address, &request);
        assert!(response.starts_with(expected), "{length}: {response}");
    }
}

#[test]
fn second_signal_does_not_wait_for_requests() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("server")).unwrap();
    let (mut running, address) = start(&folder.text("server"), &[]);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(GET).unwrap();
    let accepted = listener.accept().unwrap();
    send(&running, Signal::TERM);
    running.error_line("stopping");
    send(&running, Signal::TERM);
    assert_eq!(running.wait(), Some(1));
    drop(accepted);
}

#[test]
fn address_in_use_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(UWSGI_GATEWAY, &["--listen", &address, "/run/app.sock"]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains(&format!("cannot listen on {address}: ")),
        "{message}"
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, expected) in [
        (&["app.sock"][..], "neither a path"),
        (&["http://127.0.0.1:3031"], "this is a URL"),
        (&["/a.sock", "--script-name", "shop"], "begins with a slash"),
        (&["/a.sock", "--var", "A"], "there is no ="),
        (
            &["/a.sock", "--timeout", "0"],
            "not a number of seconds above 0",
        ),
        (&["/a.sock", "--listen", "8084"], "expected HOST:PORT"),
        (&["/a.sock", "--listen", "s/x.sock"], "expected HOST:PORT"),
        (&["/a.sock", "--listen", "::1:80"], "expected HOST:PORT"),
        (&["/a.sock", "--listen", "a:+80"], "expected HOST:PORT"),
        (&["/a.sock", "--max-body", "10X"], "expected a size"),
        (&["/a.sock", "--max-head", "K"], "expected a size"),
        (&["/a.sock", "--max-connections", "0"], "zero"),
    ] {
        let output = run(UWSGI_GATEWAY, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}
