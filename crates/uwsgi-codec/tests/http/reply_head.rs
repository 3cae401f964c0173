//! The heads of replies, read and written.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use uwsgi_codec::ContentLengthError;
use uwsgi_codec::http::{BodyEnd, ReplyError, ReplyHead, ReplyLimits};

/// Reads a head whole and byte at a time, which must agree; says how long it is.
pub(crate) fn parse(
    wire: &[u8],
    method: &Method,
    limits: &ReplyLimits,
) -> Result<Option<(ReplyHead, usize)>, ReplyError> {
    let text = |parsed: &Result<Option<(ReplyHead, usize)>, ReplyError>| format!("{parsed:?}");
    let whole = ReplyHead::parse(wire, method, limits);
    let mut in_bytes = Ok(None);
    for len in 0..=wire.len() {
        in_bytes = ReplyHead::parse(&wire[..len], method, limits);
        if !matches!(in_bytes, Ok(None)) {
            break;
        }
    }
    assert_eq!(text(&in_bytes), text(&whole), "{}", wire.escape_ascii());
    whole
}

fn get(wire: &[u8]) -> Result<ReplyHead, ReplyError> {
    let parsed = parse(wire, &Method::GET, &ReplyLimits::new())?;
    let (head, len) = parsed.expect("complete");
    assert_eq!(len, wire.len(), "{}", wire.escape_ascii());
    Ok(head)
}

/// Reads a head with these lines behind its status line.
fn with_lines(lines: &[u8]) -> Result<ReplyHead, ReplyError> {
    get(&[b"HTTP/1.1 200 OK\r\n", lines, b"\r\n"].concat())
}

fn headers(head: &ReplyHead) -> Vec<(&str, &[u8])> {
    let headers = head.headers().iter();
    headers
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

#[test]
fn status_line_is_read_whatever_its_version() {
    for (wire, status, reason) in [
        ("HTTP/1.1 200 OK\r\n\r\n", 200, "OK"),
        ("HTTP/1.0 404 Not Found\r\n\r\n", 404, "Not Found"),
        ("HTTP/1.1 200 \r\n\r\n", 200, ""),
        ("HTTP/1.1 200\r\n\r\n", 200, ""),
        ("HTTP/1.1 999 caf\u{e9}\t!\r\n\r\n", 999, "caf\u{e9}\t!"),
        ("HTTP/1.1 100 Continue\r\n\r\n", 100, "Continue"),
        // uWSGI repeats SERVER_PROTOCOL.
        ("HTTP/2.0 200 OK\r\n\r\n", 200, "OK"),
        ("HTTP/3 200 OK\r\n\r\n", 200, "OK"),
        // Lines of CGI.
        ("HTTP/1.1 200 OK\n\n", 200, "OK"),
    ] {
        let head = get(wire.as_bytes()).unwrap();
        assert_eq!(head.status(), status, "{wire:?}");
        assert_eq!(head.reason(), reason.as_bytes(), "{wire:?}");
    }
}

#[test]
fn status_line_that_is_none_is_refused() {
    for line in [
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1",
        "HTTP/11 200 OK",
        "HTTP/1.x 200 OK",
        "HTTP/ 200 OK",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 200 OK\r",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 \u{7f}",
    ] {
        let result = get(format!("{line}\r\n\r\n").as_bytes());
        assert_eq!(result.map(|_| ()), Err(ReplyError::Status), "{line:?}");
    }
}

#[test]
fn status_may_be_a_header_as_in_cgi() {
    for (wire, status, reason) in [
        ("Status: 404 Not Found\r\nX: y\r\n\r\n", 404, "Not Found"),
        ("X: y\nstatus: 201\n\n", 201, ""),
        ("Location: http://example.com/\r\n\r\n", 302, ""),
        ("Location: /x\r\nStatus: 301 Moved\r\n\r\n", 301, "Moved"),
        ("Content-Type: text/plain\r\n\r\n", 200, ""),
    ] {
        let head = get(wire.as_bytes()).unwrap();
        assert_eq!(head.status(), status, "{wire:?}");
        assert_eq!(head.reason(), reason.as_bytes(), "{wire:?}");
        assert!(!head.headers().contains_key("status"));
    }
    for (wire, expected) in [
        ("Status: 99\r\n\r\n", ReplyError::Status),
        ("Status: OK\r\n\r\n", ReplyError::Status),
        ("Status:\r\n\r\n", ReplyError::Status),
        ("Status: 200\r\nStatus: 200\r\n\r\n", ReplyError::Status),
        ("X: y\r\n\r\n", ReplyError::NoStatus),
        ("\r\n", ReplyError::NoStatus),
        ("\n", ReplyError::NoStatus),
        ("HTTP: x\r\n\r\n", ReplyError::NoStatus),
        ("<!DOCTYPE html>\n\n", ReplyError::Header),
        ("hello\n\n", ReplyError::Header),
        (" HTTP/1.1 200 OK\r\n\r\n", ReplyError::Header),
        ("http/1.1 200 OK\r\n\r\n", ReplyError::Header),
    ] {
        let result = get(wire.as_bytes()).map(|_| ());
        assert_eq!(result, Err(expected), "{wire:?}");
    }
    // Behind a status line it is a header like others.
    let head = with_lines(b"Status: 404\r\n").unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(headers(&head), [("status", &b"404"[..])]);
}

#[test]
fn headers_are_read_in_order_and_as_they_are() {
    let head = with_lines(
        b"Content-Type: text/plain\r\nSet-Cookie: a=1\r\nX-Empty:\r\n\
          set-cookie:b=2 \t\r\nX-Latin:\t caf\xe9  x\n",
    )
    .unwrap();
    let cookies = head.headers().get_all("set-cookie").iter();
    assert!(cookies.eq(["a=1", "b=2"]));
    assert_eq!(head.headers()["x-empty"], "");
    assert_eq!(head.headers()["x-latin"].as_bytes(), b"caf\xe9  x");
    assert_eq!(head.headers().len(), 5);
}

#[test]
fn malformed_headers_are_refused() {
    for lines in [
        &b"Content-Length : 5\r\n"[..],
        b"X Y: z\r\n",
        b": x\r\n",
        b"X\r\n",
        b"X: a\r\n b\r\n",
        b"X: a\r\n\tb\r\n",
        b" X: a\r\n",
        b"X: a\0b\r\n",
        b"X: a\rb\r\n",
        b"X: a\r\r\n",
        b"X\r: a\r\n",
        b"X: \x7f\r\n",
        b"X: \x1b[0m\r\n",
        b"X(: a\r\n",
        b"\xc3\xa9: a\r\n",
        b"\r",
    ] {
        let result = with_lines(lines).map(|_| ());
        assert_eq!(result, Err(ReplyError::Header), "{}", lines.escape_ascii());
    }
}

#[test]
fn body_ends_as_http_says() {
    let length = "Content-Length: 5\r\n";
    for (method, status, lines, expected, kept) in [
        ("GET", 200, "", BodyEnd::Close, None),
        ("GET", 200, length, BodyEnd::Length(5), Some("5")),
        (
            "GET",
            200,
            "Content-Length: 0\r\n",
            BodyEnd::Length(0),
            Some("0"),
        ),
        ("GET", 404, length, BodyEnd::Length(5), Some("5")),
        ("GET", 205, length, BodyEnd::Length(5), Some("5")),
        ("HEAD", 200, length, BodyEnd::None, Some("5")),
        ("HEAD", 200, "", BodyEnd::None, None),
        ("head", 200, "", BodyEnd::Close, None),
        ("GET", 304, length, BodyEnd::None, Some("5")),
        ("GET", 204, length, BodyEnd::None, None),
        ("GET", 103, length, BodyEnd::None, None),
        ("GET", 101, length, BodyEnd::Tunnel, None),
        ("CONNECT", 200, length, BodyEnd::Tunnel, None),
        ("CONNECT", 404, length, BodyEnd::Length(5), Some("5")),
    ] {
        let wire = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let parsed = parse(wire.as_bytes(), &method, &ReplyLimits::new());
        let (head, _) = parsed.unwrap().unwrap();
        assert_eq!(head.body_end(), expected, "{method} {wire:?}");
        let length = head.headers().get(CONTENT_LENGTH);
        let length = length.map(|length| length.to_str().unwrap());
        assert_eq!(length, kept, "{method} {wire:?}");
        assert_eq!(head.is_interim(), status == 103);
    }
}

#[test]
fn lengths_that_are_none_or_differ_are_refused() {
    let syntax = |text: &str| ContentLengthError::Syntax {
        text: text.to_owned(),
    };
    let too_large = |text: &str| ContentLengthError::TooLarge {
        text: text.to_owned(),
    };
    let conflict = ContentLengthError::Conflict {
        first: 5,
        second: 6,
    };
    for (values, expected) in [
        (&["5", "5"][..], Ok(5)),
        (&["005"], Ok(5)),
        (&["9223372036854775807"], Ok(i64::MAX as u64)),
        (&["5", "6"], Err(conflict)),
        (&["5, 5"], Err(syntax("5, 5"))),
        (&["-1"], Err(syntax("-1"))),
        (&["+5"], Err(syntax("+5"))),
        (&[""], Err(syntax(""))),
        (&["5", ""], Err(syntax(""))),
        (&["0x5"], Err(syntax("0x5"))),
        (&["5 5"], Err(syntax("5 5"))),
        (
            &["9223372036854775808"],
            Err(too_large("9223372036854775808")),
        ),
        (
            &["99999999999999999999"],
            Err(too_large("99999999999999999999")),
        ),
    ] {
        let lines: String = values
            .iter()
            .map(|v| format!("Content-Length: {v}\r\n"))
            .collect();
        // For a reply without a body, too: who passes it on may not know that.
        for status in ["200 OK", "204 No Content", "103 Early Hints"] {
            let wire = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
            let parsed = get(wire.as_bytes());
            let expected = expected.clone().map_err(ReplyError::ContentLength);
            assert_eq!(
                parsed.clone().map(|_| ()),
                expected.clone().map(|_| ()),
                "{wire}"
            );
            if status.starts_with("200")
                && let (Ok(head), Ok(length)) = (parsed, expected)
            {
                assert_eq!(head.body_end(), BodyEnd::Length(length));
                let sent = head.headers().get_all(CONTENT_LENGTH).iter();
                assert!(sent.eq([length.to_string().as_str()]), "{wire}");
            }
        }
    }
}

#[test]
fn transfer_encoding_is_refused() {
    for status in [
        "200 OK",
        "204 No Content",
        "304 Not Modified",
        "100 Continue",
    ] {
        for lines in [
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding: identity\r\nContent-Length: 5\r\n",
        ] {
            let wire = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
            let result = get(wire.as_bytes()).map(|_| ());
            assert_eq!(result, Err(ReplyError::TransferEncoding), "{wire}");
        }
    }
}

#[test]
fn headers_of_the_connection_are_left_out() {
    let head = with_lines(
        b"Connection: X-Named, content-length\r\nX-Named: a\r\nKeep-Alive: b\r\n\
          Upgrade: h2c\r\nTrailer: c\r\nProxy-Connection: d\r\nTE: e\r\nX: f\r\n\
          Content-Length: 5\r\n",
    )
    .unwrap();
    assert_eq!(headers(&head), [("x", &b"f"[..]), ("content-length", b"5")]);

    let wire = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let head = get(wire).unwrap();
    let handshake = [("connection", &b"upgrade"[..]), ("upgrade", b"websocket")];
    assert_eq!(headers(&head), handshake);
}

#[test]
fn interim_heads_come_before_the_final_one() {
    let wire = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody";
    let limits = ReplyLimits::new();
    let (head, len) = ReplyHead::parse(wire, &Method::GET, &limits)
        .unwrap()
        .unwrap();
    assert!(head.is_interim());
    let rest = &wire[len..];
    let (head, len) = ReplyHead::parse(rest, &Method::GET, &limits)
        .unwrap()
        .unwrap();
    assert!(!head.is_interim());
    assert_eq!(&rest[len..], b"body");
}

#[test]
fn head_is_written_as_it_is_read() {
    let mut map = HeaderMap::new();
    map.append("x-foo", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    map.append("set-cookie", HeaderValue::from_static("a=1"));
    map.append("set-cookie", HeaderValue::from_static("b=2"));
    map.append(
        "connection",
        HeaderValue::from_static("x-foo-not-this, close"),
    );
    map.append("content-length", HeaderValue::from_static("05"));
    let head = ReplyHead::new(StatusCode::OK, map, &Method::GET).unwrap();
    let mut out = Vec::new();
    head.encode(&mut out).unwrap();
    assert_eq!(
        out.escape_ascii().to_string(),
        "HTTP/1.1 200 OK\\r\\nx-foo: caf\\xe9\\r\\nset-cookie: a=1\\r\\nset-cookie: b=2\\r\\n\
         content-length: 5\\r\\n\\r\\n"
    );
    let read = get(&out).unwrap();
    assert_eq!(read.headers(), head.headers());
    assert_eq!(read.body_end(), BodyEnd::Length(5));
    let response = read.into_response("hello");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-foo"].as_bytes(), b"caf\xe9");
}

#[test]
fn reason_is_the_standard_one_or_what_is_given() {
    let head = |status| {
        let status = StatusCode::from_u16(status).unwrap();
        ReplyHead::new(status, HeaderMap::new(), &Method::GET).unwrap()
    };
    assert_eq!(head(404).reason(), b"Not Found");
    assert_eq!(head(599).reason(), b"");
    let mut out = Vec::new();
    head(599).encode(&mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 599 \r\n\r\n");

    assert_eq!(
        head(404).with_reason("Gone\tfor now").unwrap().reason(),
        b"Gone\tfor now"
    );
    for reason in ["x\r\nSet-Cookie: a", "x\n", "\0", "\u{7f}"] {
        let result = head(404).with_reason(reason).map(|_| ());
        assert_eq!(result, Err(ReplyError::Reason), "{reason:?}");
    }
}

#[test]
fn head_that_would_mislead_is_not_made() {
    let head = |status: u16, name: &str, values: &[&str]| {
        let name: HeaderName = name.parse().unwrap();
        let mut map = HeaderMap::new();
        for value in values {
            map.append(&name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        ReplyHead::new(status, map, &Method::GET).map(|head| head.headers().len())
    };
    let conflict = ReplyError::ContentLength(ContentLengthError::Conflict {
        first: 5,
        second: 6,
    });
    for (status, name, values, expected) in [
        (100, "x", &["y"][..], Err(ReplyError::Interim)),
        (103, "link", &["</a>"], Err(ReplyError::Interim)),
        (101, "upgrade", &["websocket"], Ok(1)),
        (
            200,
            "transfer-encoding",
            &["chunked"],
            Err(ReplyError::TransferEncoding),
        ),
        (200, "content-length", &["5", "6"], Err(conflict)),
        (200, "content-length", &["5", "5"], Ok(1)),
        (204, "content-length", &["0"], Ok(0)),
        (200, "connection", &["keep-alive"], Ok(0)),
    ] {
        assert_eq!(
            head(status, name, values),
            expected,
            "{status} {name} {values:?}"
        );
    }
}

#[test]
fn fixed_buffer_that_is_too_small_stays_as_it_was() {
    let head = ReplyHead::new(StatusCode::OK, HeaderMap::new(), &Method::GET).unwrap();
    let need = b"HTTP/1.1 200 OK\r\n\r\n".len();
    let mut buffer = [0; 32];
    let room = need - 1;
    let result = head.encode(&mut &mut buffer[..room]);
    assert_eq!(result, Err(ReplyError::NoRoom { need, room }));
    assert_eq!(buffer, [0; 32]);
    head.encode(&mut &mut buffer[..need]).unwrap();
    assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n\r\n"));
}
