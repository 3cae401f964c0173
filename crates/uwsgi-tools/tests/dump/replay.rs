use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use uwsgi_codec::modifier;

use crate::UWSGI_DUMP;
use crate::support::{Folder, request, run, run_with_input, serve, serve_bytes, stderr, stdout};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn requests_are_sent_as_they_were_captured() {
    let folder = Folder::new();
    let socket = folder.path("server");
    let received = serve_bytes(&socket, HELLO);
    let mut capture = request("POST", "/a", &[b'x'; 300_000]);
    let second = capture.len();
    capture.extend(request("GET", "/b", b""));
    let file = folder.file("capture", capture);
    let output = run(
        UWSGI_DUMP,
        &["replay", &file, "--to", &folder.text("server")],
    );
    let text = stdout(&output);
    assert!(text.contains("capture, byte 0: wsgi POST /a\n"), "{text}");
    assert!(
        text.contains(&format!("capture, byte {second}: wsgi GET /b\n")),
        "{text}"
    );
    assert!(
        text.contains("/server: 200, 5 bytes, first byte after "),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let first = received.recv().unwrap();
    assert_eq!(first.var("REQUEST_URI"), Some("/a"));
    assert_eq!(first.body, [b'x'; 300_000]);
    assert_eq!(received.recv().unwrap().var("REQUEST_URI"), Some("/b"));
}

#[test]
fn standard_input_is_sent() {
    let folder = Folder::new();
    let received = serve_bytes(&folder.path("server"), HELLO);
    let capture = request("POST", "/a", b"hello");
    let arguments = ["replay", "-", "--to", &folder.text("server")];
    let output = run_with_input(UWSGI_DUMP, &arguments, &capture);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(received.recv().unwrap().body, b"hello");
}

/// What a web server gets on a kept connection ends where its head says, not with the connection.
#[test]
fn reply_on_a_kept_connection_is_complete_without_its_end() {
    let folder = Folder::new();
    let (keep, kept) = std::sync::mpsc::channel();
    let _received = serve(&folder.path("server"), move |mut stream, _| {
        stream.write_all(HELLO).unwrap();
        keep.send(stream).unwrap();
    });
    let file = folder.file("capture", request("GET", "/", b""));
    let output = run(
        UWSGI_DUMP,
        &["replay", &file, "--to", &folder.text("server")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    drop(kept);
}

#[test]
fn differences_are_named() {
    for (name, other, expected, code) in [
        ("the same", &b"HTTP/1.1 200 OK\r\nB: 2\r\nA: 1\r\nA: 2\r\nDate: now\r\nX-Request-ID: 2\r\n\r\nhello"[..], vec![": same\n"], 0),
        ("order of names", b"HTTP/1.1 200 Fine\r\nA: 2\r\nb: 2\r\nA: 1\r\n\r\nhello", vec![": same\n"], 0),
        ("status", b"HTTP/1.1 404 Not Found\r\nA: 1\r\nA: 2\r\nB: 2\r\n\r\nhello", vec![": different\n", "    status: 200 and 404\n"], 1),
        ("header", b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 3\r\nC: 4\r\n\r\nhello", vec!["    header a: \"1\", \"2\" and \"1\"\n", "    header b: \"2\" and \"3\"\n", "    header c: none and \"4\"\n"], 1),
        ("body", b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nB: 2\r\n\r\nhelp", vec!["    body: different from byte 3, 5 and 4 bytes\n"], 1),
        ("longer body", b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nB: 2\r\n\r\nhello!", vec!["    body: different from byte 5, 5 and 6 bytes\n"], 1),
        ("cut", b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nB: 2\r\nContent-Length: 9\r\n\r\nhello", vec!["    end: complete and the connection ended within the body, of 9 bytes\n"], 2),
        ("no reply", b"", vec!["error: the connection ended without a reply\n"], 2),
    ] {
        let folder = Folder::new();
        let one = b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nB: 2\r\nX-Request-ID: 1\r\n\r\nhello";
        let _one = serve_bytes(&folder.path("one"), one);
        let _other = serve_bytes(&folder.path("other"), other);
        let capture = request("GET", "/x", b"");
        let file = folder.file("a.request", capture);
        folder.file("a.reply", other);
        let to = folder.text("one");
        for with in [&folder.text("other"), "saved"] {
            if (name, with) == ("no reply", "saved") {
                continue;
            }
            let output = run(UWSGI_DUMP, &["replay", &file, "--to", &to, "--compare", with]);
            let text = stdout(&output);
            for expected in &expected {
                assert!(text.contains(expected), "{name}, {with}: {text}");
            }
            assert_eq!(output.status.code(), Some(code), "{name}, {with}: {text}");
        }
    }
}

#[test]
fn ignored_headers_are_not_compared() {
    let folder = Folder::new();
    let _one = serve_bytes(
        &folder.path("one"),
        b"HTTP/1.1 204 X\r\nServer: a\r\nETag: 1\r\n\r\n",
    );
    let _two = serve_bytes(
        &folder.path("two"),
        b"HTTP/1.1 204 X\r\nServer: b\r\nETag: 2\r\n\r\n",
    );
    let file = folder.file("capture", request("GET", "/", b""));
    let (one, two) = (folder.text("one"), folder.text("two"));
    let compare = ["replay", &file, "--to", &one, "--compare", &two];
    let output = run(
        UWSGI_DUMP,
        &[&compare[..], &["--ignore", "server"]].concat(),
    );
    let text = stdout(&output);
    assert!(
        text.contains("header etag") && !text.contains("header server"),
        "{text}"
    );
    let output = run(
        UWSGI_DUMP,
        &[&compare[..], &["--ignore", "Server", "--ignore", "ETag"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn differences_are_json_on_demand() {
    let folder = Folder::new();
    let _one = serve_bytes(&folder.path("one"), b"HTTP/1.1 200 OK\r\nA: 1\r\n\r\nhello");
    let _two = serve_bytes(&folder.path("two"), b"HTTP/1.1 500 Oh\r\n\r\nhelp");
    let file = folder.file("capture", request("GET", "/x", b""));
    let (one, two) = (folder.text("one"), folder.text("two"));
    let output = run(
        UWSGI_DUMP,
        &["replay", &file, "--to", &one, "--compare", &two, "--json"],
    );
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["event"], "replay");
    assert_eq!(
        (&line["method"], &line["target"]),
        (&"GET".into(), &"/x".into())
    );
    assert_eq!(line["answers"][0]["status"], 200);
    assert_eq!(line["answers"][1]["body_bytes"], 4);
    assert!(line["answers"][0]["total_seconds"].is_f64());
    assert_eq!(
        line["differences"],
        serde_json::json!([
            {"what": "status", "values": [200, 500]},
            {"what": "header", "name": "a", "values": [["1"], []]},
            {"what": "body", "offset": 3, "bytes": [5, 4]},
        ])
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn packet_is_answered_by_a_packet() {
    let folder = Folder::new();
    let _server = serve_bytes(&folder.path("server"), &[modifier::PING, 0, 0, 1]);
    let file = folder.file("capture", [modifier::PING, 0, 0, 0]);
    let output = run(
        UWSGI_DUMP,
        &["replay", &file, "--to", &folder.text("server"), "--json"],
    );
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pong = serde_json::json!({"modifier1": 100, "modifier2": 1, "block": ""});
    assert_eq!(line["answers"][0]["packet"], pong);
    assert_eq!(output.status.code(), Some(0));
}

/// A server may answer before it has read everything, and then closes.
#[test]
fn early_reply_counts() {
    let folder = Folder::new();
    let listener = std::os::unix::net::UnixListener::bind(folder.path("server")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        // Kept open, and never read.
        std::thread::park();
    });
    let file = folder.file("capture", request("POST", "/", &vec![b'x'; 10_000_000]));
    let output = run(
        UWSGI_DUMP,
        &["replay", &file, "--to", &folder.text("server")],
    );
    assert!(
        stdout(&output).contains(": 413, 0 bytes, "),
        "{}",
        stdout(&output)
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn trouble_has_its_own_exit_code() {
    let folder = Folder::new();
    let file = folder.file("capture", request("GET", "/", b""));
    let malformed = folder.file("malformed", "GET / HTTP/1.1\r\n\r\n");
    let silent = std::os::unix::net::UnixListener::bind(folder.path("silent")).unwrap();
    for (name, file, to, more, expected) in [
        (
            "nobody listens",
            &file,
            "missing",
            &[][..],
            "error: cannot connect: No such file",
        ),
        (
            "late",
            &file,
            "silent",
            &["--timeout", "0.05"],
            "error: no complete reply within 50ms",
        ),
        (
            "malformed",
            &malformed,
            "silent",
            &[],
            "is not sent: at byte 0: plain HTTP request",
        ),
    ] {
        let to = folder.text(to);
        let arguments = [&["replay", file.as_str(), "--to", &to], more].concat();
        let output = run(UWSGI_DUMP, &arguments);
        let text = stdout(&output);
        assert!(text.contains(expected), "{name}: {text}");
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
    drop(silent);
    let nowhere = PathBuf::from(&file);
    let output = run(UWSGI_DUMP, &["replay", nowhere.to_str().unwrap()]);
    assert!(
        stderr(&output).contains("--to <ADDRESS>"),
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(2));
}
