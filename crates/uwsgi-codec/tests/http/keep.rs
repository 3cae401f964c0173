//! Asking to keep the connection, and agreeing.

use http::{HeaderMap, Method, StatusCode};
use uwsgi_codec::PacketBuilder;
use uwsgi_codec::http::{
    BodyLength, ReplyError, ReplyHead, ReplyLimits, ask_to_keep, asks_to_keep,
};

use crate::{all, vars};

#[test]
fn client_asks_with_what_it_sends() {
    let known = BodyLength::Known;
    for (method, body, expected) in [
        (Method::GET, BodyLength::Absent, &["0"][..]),
        (Method::POST, known(0), &["0"]),
        (Method::POST, known(5), &["5"]),
        (Method::HEAD, BodyLength::Absent, &["HEAD"]),
        (Method::HEAD, known(0), &["HEAD"]),
        (Method::HEAD, known(5), &[]),
        (Method::POST, BodyLength::Unknown, &[]),
    ] {
        let mut packet = PacketBuilder::new();
        let asked = ask_to_keep(&method, body, &mut packet).unwrap();
        let vars = packet.build().unwrap().vars;
        assert_eq!(all(&vars, "UWSGI_KEEP_CONN"), expected, "{method} {body:?}");
        assert_eq!(asked, !expected.is_empty());
    }
}

#[test]
fn server_is_asked_if_the_request_does_not_contradict_it() {
    let (method, length, keep) = ("REQUEST_METHOD", "CONTENT_LENGTH", "UWSGI_KEEP_CONN");
    for (pairs, expected) in [
        (&[(method, "GET"), (keep, "0")][..], true),
        (&[(method, "GET"), (length, ""), (keep, "0")], true),
        (&[(method, "POST"), (length, "5"), (keep, "5")], true),
        (&[(method, "POST"), (length, "5"), (keep, "005")], true),
        (
            &[(method, "POST"), (length, "5"), (length, "5"), (keep, "5")],
            true,
        ),
        (&[(method, "HEAD"), (keep, "HEAD")], true),
        (&[(method, "HEAD"), (length, "0"), (keep, "HEAD")], true),
        (&[(method, "GET")], false),
        (&[(method, "GET"), (keep, "")], false),
        (&[(method, "GET"), (keep, "1")], false),
        (&[(method, "GET"), (keep, "+0")], false),
        (&[(method, "GET"), (keep, "00000000000000000000")], false),
        (&[(method, "GET"), (keep, "0"), (keep, "1")], false),
        (&[(method, "GET"), (keep, "HEAD")], false),
        (&[(method, "HEAD"), (keep, "0")], false),
        (&[(method, "HEAD"), (length, "5"), (keep, "HEAD")], false),
        (&[(method, "HEAD"), (method, "GET"), (keep, "0")], false),
        (&[(method, "POST"), (length, "5"), (keep, "0")], false),
        (
            &[(method, "POST"), (length, "5"), (length, ""), (keep, "0")],
            false,
        ),
        (
            &[(method, "POST"), (length, ""), (length, "5"), (keep, "5")],
            false,
        ),
        (&[(method, "POST"), (length, "x"), (keep, "0")], false),
        (&[(keep, "0")], false),
    ] {
        let with_bytes: Vec<_> = pairs.iter().map(|(k, v)| (*k, v.as_bytes())).collect();
        let vars = vars(&with_bytes);
        assert_eq!(asks_to_keep(vars.as_ref()), expected, "{pairs:?}");
    }
}

#[test]
fn server_has_agreed_if_it_says_so_and_the_end_is_known() {
    let get = &Method::GET;
    for (method, wire, expected) in [
        (
            get,
            "200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n",
            true,
        ),
        (
            get,
            "200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n",
            true,
        ),
        (get, "204 No Content\r\nConnection: keep-alive\r\n", true),
        (get, "304 Not Modified\r\nConnection: keep-alive\r\n", true),
        (&Method::HEAD, "200 OK\r\nConnection: keep-alive\r\n", true),
        (get, "200 OK\r\nContent-Length: 5\r\n", false),
        (get, "200 OK\r\nConnection: keep-alive\r\n", false),
        (
            get,
            "200 OK\r\nContent-Length: 5\r\nConnection: close\r\n",
            false,
        ),
        (
            get,
            "200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, x\r\n",
            false,
        ),
        (
            get,
            "200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nConnection: keep-alive\r\n",
            false,
        ),
        (
            get,
            "200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\nConnection: keep-alive\r\n",
            false,
        ),
        (get, "100 Continue\r\nConnection: keep-alive\r\n", false),
        (get, "101 Switching\r\nConnection: keep-alive\r\n", false),
        (
            &Method::CONNECT,
            "200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n",
            false,
        ),
    ] {
        let wire = format!("HTTP/1.1 {wire}\r\n");
        let (head, _) = ReplyHead::parse(wire.as_bytes(), method, &ReplyLimits::new())
            .unwrap()
            .unwrap();
        assert_eq!(head.keeps_connection(), expected, "{method} {wire}");
        if head.status() != StatusCode::SWITCHING_PROTOCOLS {
            assert!(!head.headers().contains_key("connection"), "{wire}");
        }
    }
}

#[test]
fn server_agrees_only_if_the_end_is_known() {
    let mut headers = HeaderMap::new();
    headers.insert("connection", "keep-alive".parse().unwrap());
    let head = ReplyHead::new(StatusCode::OK, headers.clone(), &Method::GET).unwrap();
    // What an application says of the connection is not what the server does.
    assert!(!head.keeps_connection());
    let mut out = b"before".to_vec();
    assert_eq!(head.encode_keeping(&mut out), Err(ReplyError::UnknownEnd));
    assert_eq!(out, b"before");

    headers.insert("content-length", 5.into());
    let head = ReplyHead::new(StatusCode::OK, headers, &Method::GET).unwrap();
    out.clear();
    head.encode_keeping(&mut out).unwrap();
    assert_eq!(
        out.escape_ascii().to_string(),
        "HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\nConnection: keep-alive\\r\\n\\r\\n"
    );
    out.clear();
    head.encode(&mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
}
