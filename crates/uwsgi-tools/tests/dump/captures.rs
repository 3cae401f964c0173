use std::process::{Command, Stdio};

use serde_json::{Value, json};
use uwsgi_codec::{PacketBuilder, RawPacket, modifier};

use crate::UWSGI_DUMP;
use crate::support::{Folder, request, run, run_with_input, stderr, stdout};

#[test]
fn requests_and_bodies_are_found_one_after_another() {
    let mut capture = request("POST", "/a", b"hello");
    let second = capture.len();
    capture.extend(request("GET", "/b", b""));
    let output = run_with_input(UWSGI_DUMP, &["-"], &capture);
    assert_eq!(
        stdout(&output),
        format!(
            "\
standard input, byte 0: wsgi POST /a, 3 vars in 58 bytes
    REQUEST_METHOD = POST
    REQUEST_URI = /a
    CONTENT_LENGTH = 5
    body of 5 bytes
standard input, byte {second}: wsgi GET /b, 2 vars in 38 bytes
    REQUEST_METHOD = GET
    REQUEST_URI = /b
"
        )
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn bodies_are_shown_on_demand() {
    let capture = request("POST", "/a", b"two\nlines\x1b");
    let output = run_with_input(UWSGI_DUMP, &["-", "--bodies"], &capture);
    let text = stdout(&output);
    assert!(
        text.contains("body of 10 bytes: two\\nlines\\x1b\n"),
        "{text}"
    );
    let output = run_with_input(UWSGI_DUMP, &["-", "--bodies", "--json"], &capture);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["body"], "two\nlines\x1b");
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let capture = PacketBuilder::new()
        .var("HTTP_X", b"\x1b]0;title\x07 caf\xc3\xa9 \xff")
        .unwrap()
        .to_vec()
        .unwrap();
    let output = run_with_input(UWSGI_DUMP, &["-"], &capture);
    let text = stdout(&output);
    assert!(
        text.contains("    HTTP_X = \\x1b]0;title\\x07 caf\u{e9} \\xff\n"),
        "{text}"
    );
}

#[test]
fn json_loses_no_byte() {
    let capture = PacketBuilder::new()
        .vars([(&b"K\xfe"[..], &b"\xff\x00"[..]), (b"K", b"caf\xc3\xa9\0")])
        .unwrap()
        .to_vec()
        .unwrap();
    let output = run_with_input(UWSGI_DUMP, &["-", "--json"], &capture);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        line,
        json!({
            "event": "request", "file": "standard input", "offset": 0,
            "modifier1": 0, "modifier2": 0, "modifier": "wsgi", "datasize": 19,
            "vars": [[{"base64": "S/4="}, {"base64": "/wA="}], ["K", "caf\u{e9}\0"]],
            "body_bytes": 0,
        })
    );
}

#[test]
fn packets_without_vars_are_shown_as_what_they_are() {
    let mut capture = Vec::new();
    for packet in [
        RawPacket::new(modifier::PING, 0, ""),
        RawPacket::from_items(modifier::RPC, 1, ["add", "2"]),
        RawPacket::new(modifier::CACHE, 0, "greeting"),
        RawPacket::new(1, 2, "??"),
    ] {
        packet.unwrap().encode(&mut capture).unwrap();
    }
    let output = run_with_input(UWSGI_DUMP, &["-"], &capture);
    assert_eq!(
        stdout(&output),
        "\
standard input, byte 0: ping (100, 0), 0 bytes
standard input, byte 4: rpc (173, 1), 2 items in 8 bytes
    add
    2
standard input, byte 16: cache (111, 0), 8 bytes
    greeting
standard input, byte 28: unknown (1, 2), 2 bytes
    ??
"
    );
    let output = run_with_input(UWSGI_DUMP, &["-", "--json"], &capture);
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["items"], json!(["add", "2"]));
    assert_eq!(lines[2]["block"], "greeting");
    assert_eq!(lines[3]["modifier"], Value::Null);
}

/// uWSGI's cache: the value follows the packet.
#[test]
fn value_behind_a_cache_packet_is_its_body() {
    let mut capture = PacketBuilder::new()
        .modifier1(modifier::CACHE)
        .modifier2(17)
        .vars([("cmd", "set"), ("key", "k"), ("size", "3")])
        .unwrap()
        .to_vec()
        .unwrap();
    capture.extend(b"val");
    capture.extend([modifier::PING, 0, 0, 0]);
    let output = run_with_input(UWSGI_DUMP, &["-"], &capture);
    let text = stdout(&output);
    assert!(text.contains("    body of 3 bytes\n"), "{text}");
    assert!(text.contains(": ping (100, 0)"), "{text}");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let whole = request("GET", "/", b"");
    let len = whole.len();
    let mut with_body = request("POST", "/", b"hello");
    with_body.truncate(with_body.len() - 2);
    let body_at = with_body.len() - 3;
    let mut second_is_malformed = whole.clone();
    second_is_malformed.extend(b"\0\x08\0\0\x03\0abc\xff\xff\x01");
    let mut unclear = PacketBuilder::new();
    unclear.var("CONTENT_LENGTH", "5x").unwrap();
    for (name, capture, expected) in [
        (
            "within a header",
            whole[..3].to_vec(),
            "at byte 0: the stream ends within a packet: 3 of 4 bytes; there: 00 25 00 \"\\x00%\\x00\"".to_owned(),
        ),
        (
            "within a block",
            whole[..10].to_vec(),
            format!("at byte 0: the stream ends within a packet: 10 of {len} bytes; there: "),
        ),
        (
            "within a body",
            with_body,
            format!("at byte {body_at}: the stream ends within a body: 3 of 5 bytes\n"),
        ),
        (
            "a value past the end",
            second_is_malformed,
            format!(
                "at byte {}: value of 65535 bytes at offset 5, 1 left in the block; there: ff ff 01 ",
                len + 9
            ),
        ),
        (
            "a length that is none",
            unclear.to_vec().unwrap(),
            "at byte 0: content length \"5x\" is not a number; there: ".to_owned(),
        ),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            "at byte 0: plain HTTP request: ".to_owned(),
        ),
        (
            "TLS, whose header is that of a packet with code",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".to_vec(),
            "at byte 0: TLS handshake: ".to_owned(),
        ),
    ] {
        let folder = Folder::new();
        let file = folder.file("capture", capture);
        let output = run(UWSGI_DUMP, &[&file]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let text = stderr(&output);
        let expected = format!("uwsgi-dump: {file}: {expected}");
        assert!(text.starts_with(&expected), "{name}: {text}");

        let output = run(UWSGI_DUMP, &[&file, "--json"]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let lines = stdout(&output);
        let line: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(line["event"], "error", "{name}");
    }
}

#[test]
fn packet_with_code_is_no_tls_handshake() {
    let capture = RawPacket::new(modifier::EVAL, 0, vec![b'x'; 259]).unwrap();
    let mut bytes = Vec::new();
    capture.encode(&mut bytes).unwrap();
    let output = run_with_input(UWSGI_DUMP, &["-"], &bytes);
    let text = stdout(&output);
    assert!(
        text.starts_with("standard input, byte 0: eval (22, 0), 259 bytes\n"),
        "{text}"
    );
}

#[test]
fn other_files_are_read_if_one_is_malformed() {
    let folder = Folder::new();
    let bad = folder.file("bad", "SSH-2.0-x");
    let good = folder.file("good", request("GET", "/", b""));
    let output = run(UWSGI_DUMP, &[&bad, &good]);
    assert!(stdout(&output).contains("good, byte 0: wsgi GET /, "));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn directory_is_read_in_the_order_of_names_and_with_replies() {
    let folder = Folder::new();
    let directory = folder.path("saved");
    std::fs::create_dir(&directory).unwrap();
    let mut two = request("GET", "/2", b"");
    two.extend(request("HEAD", "/3", b""));
    folder.file("saved/2.request", two);
    folder.file(
        "saved/2.reply",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
    );
    folder.file("saved/1.request", request("GET", "/1", b""));
    folder.file("saved/other", "not a capture");
    let output = run(UWSGI_DUMP, &[directory.to_str().unwrap(), "--bodies"]);
    let text = stdout(&output).replace(directory.to_str().unwrap(), "saved");
    assert_eq!(
        text,
        "\
saved/1.request, byte 0: wsgi GET /1, 2 vars in 38 bytes
    REQUEST_METHOD = GET
    REQUEST_URI = /1
saved/2.request, byte 0: wsgi GET /2, 2 vars in 38 bytes
    REQUEST_METHOD = GET
    REQUEST_URI = /2
saved/2.reply, byte 0: reply 200, 2 bytes
    HTTP/1.1 200 OK
    Content-Length: 2
    body of 2 bytes: hi
saved/2.request, byte 42: wsgi HEAD /3, 2 vars in 39 bytes
    REQUEST_METHOD = HEAD
    REQUEST_URI = /3
saved/2.reply, byte 40: reply 204, 0 bytes
    HTTP/1.1 204 No Content
    Content-Length: 9
"
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn directory_without_captures_is_an_error() {
    let folder = Folder::new();
    let output = run(UWSGI_DUMP, &[&folder.text(".")]);
    assert!(stderr(&output).contains("no file *.request in this directory"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn cookies_and_credentials_are_redacted_on_demand() {
    let capture = PacketBuilder::new()
        .vars([
            ("HTTP_COOKIE", "session=1234"),
            ("HTTP_AUTHORIZATION", "Basic eA=="),
            ("HTTP_PROXY_AUTHORIZATION", "Basic eQ=="),
            ("HTTP_ACCEPT", "*/*"),
        ])
        .unwrap()
        .to_vec()
        .unwrap();
    let folder = Folder::new();
    let file = folder.file("a.request", capture);
    folder.file(
        "a.reply",
        "HTTP/1.1 204 No Content\r\nset-cookie: session=5678\r\n\r\n",
    );
    let shown = stdout(&run(UWSGI_DUMP, &[&file]));
    assert!(
        shown.contains("session=1234") && shown.contains("session=5678"),
        "{shown}"
    );
    for format in [&[][..], &["--json"]] {
        let arguments = [&[&file, "--redact"], format].concat();
        let text = stdout(&run(UWSGI_DUMP, &arguments));
        for secret in ["1234", "5678", "eA==", "eQ=="] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("*/*"), "{text}");
    }
    let text = stdout(&run(UWSGI_DUMP, &[&file, "--redact"]));
    assert!(
        text.contains("    HTTP_COOKIE = (12 bytes redacted)\n"),
        "{text}"
    );
    assert!(
        text.contains("    set-cookie: (12 bytes redacted)\n"),
        "{text}"
    );
}

#[test]
fn reader_that_leaves_is_no_error() {
    let folder = Folder::new();
    let capture = request("GET", "/", b"").repeat(10_000);
    let file = folder.file("capture", capture);
    let mut child = Command::new(UWSGI_DUMP)
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn usage_is_explained() {
    let output = run(UWSGI_DUMP, &[]);
    assert!(stderr(&output).contains("Usage: "), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
    let output = run(UWSGI_DUMP, &["no-such-file"]);
    assert_eq!(
        stderr(&output),
        "uwsgi-dump: no-such-file: No such file or directory (os error 2)\n"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn body_cut_short_is_not_claimed_whole() {
    let mut capture = request("POST", "/a", b"hello");
    capture.truncate(capture.len() - 2);
    for (arguments, line) in [
        (&["-"][..], "\n    3 of 5 bytes of body\n"),
        (&["-", "--bodies"], "\n    3 of 5 bytes of body: hel\n"),
    ] {
        let output = run_with_input(UWSGI_DUMP, arguments, &capture);
        assert!(stdout(&output).ends_with(line), "{}", stdout(&output));
        assert_eq!(output.status.code(), Some(2));
    }
    let output = run_with_input(UWSGI_DUMP, &["-", "--json"], &capture);
    let line: Value = serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
    assert_eq!(line["body_bytes"], 5);
    assert_eq!(line["received_body_bytes"], 3);
}

#[test]
fn saved_replies_are_compared_by_their_name() {
    let folder = Folder::new();
    let directory = folder.text("");
    for other in [directory.as_str(), "d"] {
        let arguments = ["replay", "-", "--to", "h:1", "--compare", other];
        let output = run_with_input(UWSGI_DUMP, &arguments, b"");
        let text = stderr(&output);
        assert!(
            text.contains("for the saved replies: --compare saved"),
            "{text}"
        );
        assert_eq!(output.status.code(), Some(2));
    }
    let output = run(UWSGI_DUMP, &["replay", "-", "--to", "http://h:1/"]);
    assert!(
        stderr(&output).contains("this is a URL"),
        "{}",
        stderr(&output)
    );
}
