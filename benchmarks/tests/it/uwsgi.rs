use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};

use rustix::net::{self, AddressFamily, SocketType};
use uwsgi_codec::PacketBuilder;

use crate::load;
use crate::server::{Server, read_packet};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

#[test]
fn right_replies_are_counted() {
    let packet = PacketBuilder::new()
        .vars([
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/"),
            ("QUERY_STRING", ""),
            ("REQUEST_URI", "/"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("CONTENT_LENGTH", ""),
        ])
        .unwrap()
        .to_vec()
        .unwrap();
    for (name, server) in [
        ("unix", Server::fixed(HELLO)),
        (
            "tcp",
            Server::tcp(|_, stream| {
                read_packet(stream);
                stream.write_all(HELLO.as_bytes()).unwrap();
            }),
        ),
    ] {
        let report = load(
            &server.address,
            &[
                "--clients",
                "3",
                "--requests",
                "25",
                "--warm-up",
                "5",
                "--expect-body",
                "hello\n",
                "--bare",
            ],
        )
        .unwrap();
        assert_eq!(server.connections(), 30, "{name}");
        assert_eq!((report.clients, report.requests), (3, 25), "{name}");
        assert_eq!(report.bytes_received, 25 * HELLO.len() as u64, "{name}");
        assert_eq!(report.bytes_sent, 25 * packet.len() as u64, "{name}");
        assert_eq!(report.retries, 0, "{name}");
        let latency = &report.latency["/"];
        assert_eq!(latency.requests, 25, "{name}");
        assert!(latency.p50 > 0.0 && latency.p50 <= latency.p99_9, "{name}");
        assert!(latency.p99_9 <= latency.max, "{name}");
    }
}

#[test]
fn wrong_reply_ends_the_run() {
    let cases: &[(&str, &str, &[&str], &str)] = &[
        (
            "another byte",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhellO\n",
            &["--expect-body", "hello\n"],
            r#"expected "o\n" at byte 4 of the body, got "O\n""#,
        ),
        (
            "another byte in a repetition",
            "HTTP/1.1 200 OK\r\n\r\nabcabcabxab",
            &["--expect-body", "abc", "--expect-size", "11"],
            r#"expected "cab" at byte 8 of the body, got "xab""#,
        ),
        (
            "cut body",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhell",
            &[],
            "expected 6 bytes of body, got 4 and the end of the connection",
        ),
        (
            "cut body without a length",
            "HTTP/1.1 200 OK\r\n\r\nhell",
            &["--expect-body", "hello\n"],
            "expected 6 bytes of body, got 4",
        ),
        (
            "cut head",
            "HTTP/1.1 200 OK\r\nContent-Le",
            &[],
            r#"expected a head, got "HTTP/1.1 200 OK\r\nContent-Le" and the end of the connection"#,
        ),
        (
            "nothing",
            "",
            &[],
            r#"expected a head, got "" and the end of the connection"#,
        ),
        (
            "more than the length",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n!",
            &[],
            r#"expected nothing after the reply, got "!""#,
        ),
        (
            "more than expected",
            "HTTP/1.1 200 OK\r\n\r\nhello\n!",
            &["--expect-body", "hello\n"],
            r#"expected 6 bytes of body, got more: "!""#,
        ),
        (
            "less than expected",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n",
            &["--expect-size", "1k"],
            "expected 1024 bytes of body, got 6",
        ),
        (
            "something where nothing is expected",
            "HTTP/1.1 200 OK\r\n\r\n!",
            &["--expect-body", ""],
            r#"expected 0 bytes of body, got more: "!""#,
        ),
        (
            "another status",
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nsigh",
            &[],
            r#"expected status 200, got 500 Internal Server Error, with "sigh""#,
        ),
        (
            "no head",
            "hello\n\n",
            &[],
            r#"expected a head, got "hello\n\n": invalid HTTP version"#,
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            &[],
            r#"expected a head, got "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab": it has two values of Content-Length"#,
        ),
        (
            "a length that is none",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
            &[],
            r#"expected a head, got "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na": its Content-Length is no number"#,
        ),
        (
            "chunks, which nginx does not decode",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n\r\n0\r\n\r\n",
            &["--expect-body", "hello\n"],
            r#"expected "hello\n" at byte 0 of the body, got "6\r\nhel""#,
        ),
    ];
    for (name, reply, arguments, expected) in cases {
        let server = Server::fixed(*reply);
        let fault = load(&server.address, arguments).unwrap_err();
        assert_eq!(fault, *expected, "{name}");
    }
}

#[test]
fn failure_names_the_request() {
    let server = Server::unix(|number, stream| {
        read_packet(stream);
        let status = if number == 7 {
            "404 Not Found"
        } else {
            "200 OK"
        };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    });
    let options = [
        "load",
        &server.address,
        "--clients",
        "1",
        "--warm-up",
        "3",
        "--path",
        "/x?y",
    ];
    let options = clap::Parser::parse_from(options);
    let failure = benchmarks::run(&options).unwrap_err();
    let expected = "request 7 (GET /x?y): expected status 200, got 404 Not Found, with \"\"";
    assert_eq!(
        failure.to_string(),
        format!("{}: {expected}", server.address)
    );
}

#[test]
fn reply_may_come_in_any_pieces() {
    let replies = [
        HELLO,
        "HTTP/1.1 200 OK\r\n\r\nhello\n",
        "HTTP/1.0 200 OK\r\nContent-length:6\r\nX-A: b\r\n\r\nhello\n",
    ];
    for reply in replies {
        let server = Server::unix(|_, stream| {
            read_packet(stream);
            for byte in reply.bytes() {
                stream.write_all(&[byte]).unwrap();
            }
        });
        let arguments = [
            "--clients",
            "2",
            "--requests",
            "20",
            "--expect-body",
            "hello\n",
        ];
        let report = load(&server.address, &arguments).unwrap();
        assert_eq!(report.bytes_received, 20 * reply.len() as u64, "{reply}");
    }
}

#[test]
fn reply_with_a_length_is_complete_without_a_close() {
    let server = Server::unix(|_, stream| {
        read_packet(stream);
        stream.write_all(HELLO.as_bytes()).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the client closes");
    });
    load(&server.address, &["--clients", "1", "--requests", "3"]).unwrap();
    assert_eq!(server.connections(), 3);
}

#[test]
fn also_has_its_share_evenly() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&paths);
    let server = Server::unix(move |_, stream| {
        seen.lock().unwrap().push(read_packet(stream));
        stream.write_all(HELLO.as_bytes()).unwrap();
    });
    let arguments = [
        "--clients",
        "1",
        "--requests",
        "500",
        "--also",
        "/slow?a=b=0.01",
    ];
    let report = load(&server.address, &arguments).unwrap();
    assert_eq!(report.latency["/"].requests, 495);
    assert_eq!(report.latency["/slow?a=b"].requests, 5);
    let paths = paths.lock().unwrap();
    let slow: Vec<_> = (1..)
        .zip(paths.iter())
        .filter(|(_, path)| *path != "/")
        .collect();
    let expected = "/slow?a=b".to_owned();
    assert_eq!(
        slow,
        [100, 200, 300, 400, 500].map(|number| (number, &expected))
    );
}

#[test]
fn header_values_are_counted() {
    let server = Server::unix(|number, stream| {
        read_packet(stream);
        let worker = if number % 5 == 0 { "b" } else { "a" };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nx-worker: {worker}\r\nContent-Length: 0\r\n\r\n"
        );
    });
    let arguments = [
        "--requests",
        "50",
        "--warm-up",
        "20",
        "--count-header",
        "X-Worker",
        "--count-header",
        "X-None",
    ];
    let report = load(&server.address, &arguments).unwrap();
    let counts: Vec<_> = report.headers["X-Worker"].iter().collect();
    assert_eq!(counts, [(&"a".to_owned(), &40), (&"b".to_owned(), &10)]);
    assert!(report.headers["X-None"].is_empty());
}

#[test]
fn request_body_is_sent_whole() {
    let server = Server::unix(|_, stream| {
        read_packet(stream);
        let mut body = vec![0; 3 << 20];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(body, b"0123456789abcdef".repeat((3 << 20) / 16));
        stream.write_all(HELLO.as_bytes()).unwrap();
    });
    let arguments = [
        "--method",
        "POST",
        "--body",
        "3m",
        "--clients",
        "2",
        "--requests",
        "4",
    ];
    let report = load(&server.address, &arguments).unwrap();
    assert!(report.bytes_sent > 4 * (3 << 20));
}

#[test]
fn reply_before_the_end_of_the_request_body_counts() {
    let server = Server::unix(|_, stream| {
        read_packet(stream);
        let head = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head).unwrap();
        // All there is until the client closes.
        let _ = std::io::copy(stream, &mut std::io::sink());
    });
    let arguments = [
        "--body",
        "100m",
        "--requests",
        "3",
        "--clients",
        "1",
        "--expect-status",
        "413",
    ];
    let report = load(&server.address, &arguments).unwrap();
    assert!(report.bytes_sent < 3 * (100 << 20));
}

#[test]
fn large_reply_is_compared_to_its_last_byte() {
    const SIZE: usize = 5_000_000;
    for (name, wrong) in [("right", false), ("wrong", true)] {
        let server = Server::unix(move |_, stream| {
            read_packet(stream);
            let mut body = b"1234567".repeat(1 + SIZE / 7);
            body.truncate(SIZE);
            if wrong {
                body[SIZE - 1] = b'!';
            }
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            let _ = stream.write_all(&body);
        });
        let size = SIZE.to_string();
        let arguments = [
            "--requests",
            "4",
            "--expect-body",
            "1234567",
            "--expect-size",
            &size,
        ];
        let result = load(&server.address, &arguments).map(|report| report.requests);
        let expected = match wrong {
            false => Ok(4),
            true => Err(r#"expected "5" at byte 4999999 of the body, got "!""#.to_owned()),
        };
        assert_eq!(result, expected, "{name}");
    }
}

#[test]
fn silence_ends_the_run() {
    // Nobody accepts here, and the backlog has room for one.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display());
    let arguments = ["--clients", "1", "--timeout", "0.05"];
    assert_eq!(
        load(&address, &arguments).unwrap_err(),
        "nothing has come for 0.05 s"
    );
}

#[test]
fn missing_server_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/none", directory.path().display());
    let fault = load(&address, &[]).unwrap_err();
    assert_eq!(
        fault,
        "no connection to the server: No such file or directory (os error 2)"
    );

    // Bound, so that the port is no other test's, but not listening.
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bound = SocketAddrV4::try_from(net::getsockname(&socket).unwrap()).unwrap();
    let address = bound.to_string();
    let fault = load(&address, &[]).unwrap_err();
    assert_eq!(
        fault,
        "no connection to the server: Connection refused (os error 111)"
    );
}
