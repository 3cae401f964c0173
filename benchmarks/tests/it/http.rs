use std::sync::{Arc, Mutex};

use crate::load;
use crate::server::{Server, Stream, read_head};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\nhel\r\n003;x=y\r\nlo\n\r\n0\r\nX-Trailer: z\r\n\r\n";

/// Answers every request on a connection.
fn keep(stream: &mut dyn Stream, reply: &str) {
    while read_head(stream).is_some() {
        stream.write_all(reply.as_bytes()).unwrap();
    }
}

#[test]
fn connection_is_kept() {
    for reply in [HELLO, CHUNKED] {
        let server = Server::tcp(move |_, stream| keep(stream, reply));
        let arguments = [
            "--protocol",
            "http",
            "--clients",
            "1",
            "--requests",
            "20",
            "--warm-up",
            "5",
            "--expect-body",
            "hello\n",
        ];
        let report = load(&server.address, &arguments).unwrap();
        assert_eq!((server.connections(), report.retries), (1, 0), "{reply}");
        assert_eq!(report.bytes_received, 20 * reply.len() as u64, "{reply}");
    }
}

#[test]
fn closed_connection_is_made_anew() {
    let replies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n",
        "HTTP/1.1 200 OK\r\n\r\nhello\n",
    ];
    for reply in replies {
        let server = Server::tcp(move |_, stream| {
            read_head(stream);
            stream.write_all(reply.as_bytes()).unwrap();
        });
        let arguments = [
            "--protocol",
            "http",
            "--requests",
            "20",
            "--expect-body",
            "hello\n",
        ];
        let report = load(&server.address, &arguments).unwrap();
        assert_eq!((server.connections(), report.retries), (20, 0), "{reply}");
    }
}

#[test]
fn kept_connection_may_close_without_a_word() {
    let server = Server::tcp(|_, stream| {
        for _ in 0..2 {
            read_head(stream);
            stream.write_all(HELLO.as_bytes()).unwrap();
        }
    });
    let arguments = ["--protocol", "http", "--clients", "1", "--requests", "10"];
    let report = load(&server.address, &arguments).unwrap();
    assert_eq!((server.connections(), report.retries), (5, 4));
    assert_eq!(report.latency["/"].requests, 10);
}

#[test]
fn reply_may_come_in_any_pieces() {
    let continued = ["HTTP/1.1 100 Continue\r\n\r\n", HELLO].concat();
    for reply in [HELLO.to_owned(), CHUNKED.to_owned(), continued] {
        let bytes = reply.clone();
        let server = Server::tcp(move |_, stream| {
            while read_head(stream).is_some() {
                for byte in bytes.bytes() {
                    stream.write_all(&[byte]).unwrap();
                }
            }
        });
        let arguments = [
            "--protocol",
            "http",
            "--clients",
            "1",
            "--requests",
            "5",
            "--expect-body",
            "hello\n",
        ];
        load(&server.address, &arguments).unwrap_or_else(|fault| panic!("{reply}: {fault}"));
    }
}

#[test]
fn replies_without_a_body_end_with_their_head() {
    let cases: [(&str, &str, &[&str]); 2] = [
        (
            "HEAD",
            HELLO.trim_end_matches("hello\n"),
            &["--method", "HEAD"],
        ),
        (
            "204",
            "HTTP/1.1 204 No Content\r\n\r\n",
            &["--expect-status", "204"],
        ),
    ];
    for (name, reply, arguments) in cases {
        let server = Server::tcp(move |_, stream| keep(stream, reply));
        let arguments = [
            &["--protocol", "http", "--clients", "1", "--requests", "3"],
            arguments,
        ]
        .concat();
        load(&server.address, &arguments).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn wrong_chunks_end_the_run() {
    let cases = [
        (
            "no size",
            "x\r\n",
            r#"expected a chunk's size after 0 bytes of body, got "x\r\n""#,
        ),
        (
            "a chunk longer than its size",
            "1\r\nhe\r\n",
            r#"expected a line's end after 1 bytes of body, got "e\r\n""#,
        ),
        (
            "no last chunk",
            "3\r\nhel\r\n",
            "expected a last chunk, got 3 bytes of body and the end of the connection",
        ),
        (
            "another byte",
            "3\r\nhel\r\n3\r\nl0\n\r\n",
            r#"expected "o\n" at byte 4 of the body, got "0\n""#,
        ),
        (
            "too short",
            "3\r\nhel\r\n0\r\n\r\n",
            "expected 6 bytes of body, got 3",
        ),
        (
            "something after it",
            "6\r\nhello\n\r\n0\r\n\r\n!",
            r#"expected nothing after the reply, got "!""#,
        ),
    ];
    for (name, body, expected) in cases {
        let server = Server::tcp(move |_, stream| {
            read_head(stream);
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = stream.write_all([head, body].concat().as_bytes());
        });
        let arguments = [
            "--protocol",
            "http",
            "--clients",
            "1",
            "--expect-body",
            "hello\n",
        ];
        assert_eq!(
            load(&server.address, &arguments).unwrap_err(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn request_is_one_of_a_browser() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let server = Server::tcp(move |_, stream| {
        while let Some(head) = read_head(stream) {
            let mut body = [0; 20];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"0123456789abcdef0123");
            seen.lock().unwrap().push(head);
            stream.write_all(HELLO.as_bytes()).unwrap();
        }
    });
    let arguments = [
        "--protocol",
        "http",
        "--clients",
        "1",
        "--requests",
        "2",
        "--method",
        "POST",
        "--path",
        "/a?b",
        "--body",
        "20",
        "--var",
        "HTTP_HOST=h:1",
        "--var",
        "CONTENT_TYPE=text/plain",
    ];
    load(&server.address, &arguments).unwrap();
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 2);
    for line in [
        "POST /a?b HTTP/1.1\r\n",
        "\r\nhost: h:1\r\n",
        "\r\nuser-agent: Mozilla/5.0 (X11; ",
        "\r\nconnection: keep-alive\r\n",
        "\r\ncontent-length: 20\r\n",
        "\r\ncontent-type: text/plain\r\n",
    ] {
        assert!(heads[0].contains(line), "{line}");
    }
}
