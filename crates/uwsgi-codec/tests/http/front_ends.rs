//! What front ends really send; `fixtures/capture_front_ends.py` says how it was captured.

use uwsgi_codec::http::{BodyLength, MapError, RequestContext, from_vars};
use uwsgi_codec::{ContentLengthError, Limits, PacketRef};

/// Reads a capture; says what is behind the packet.
fn read(wire: &[u8]) -> (Result<(http::request::Parts, BodyLength), MapError>, &[u8]) {
    let packet = PacketRef::decode(wire, &Limits::default())
        .unwrap()
        .unwrap();
    (from_vars(&packet.vars.to_owned()), &wire[packet.len()..])
}

macro_rules! capture {
    ($front_end:literal, $request:literal) => {
        include_bytes!(concat!(
            "../fixtures/front_ends/",
            $front_end,
            "/",
            $request,
            ".bin"
        ))
    };
}

fn values(parts: &http::request::Parts, name: &str) -> Vec<String> {
    let values = parts.headers.get_all(name).iter();
    values
        .map(|value| value.as_bytes().escape_ascii().to_string())
        .collect()
}

#[test]
fn unusual_headers_are_read_alike_as_far_as_they_are_sent() {
    let pairs = &["1", "2"][..];
    let cookies = &["a=1", "b=2"][..];
    for (front_end, wire, body, foo, cookie, under, dot) in [
        (
            "nginx",
            &capture!("nginx", "quirks")[..],
            BodyLength::Absent,
            pairs,
            cookies,
            &[][..],
            &[][..],
        ),
        (
            "apache",
            capture!("apache", "quirks"),
            BodyLength::Absent,
            &["1, 2"],
            &["a=1, b=2"],
            &[],
            &[],
        ),
        (
            "lighttpd",
            capture!("lighttpd", "quirks"),
            BodyLength::Known(0),
            &["1, 2"],
            &["a=1; b=2"],
            &["u"],
            &["d"],
        ),
        (
            "uwsgi_router",
            capture!("uwsgi_router", "quirks"),
            BodyLength::Absent,
            &["1, 2"],
            &["a=1, b=2"],
            &["u"],
            &[],
        ),
    ] {
        let (parts, length) = read(wire).0.unwrap();
        assert_eq!(parts.method, "GET", "{front_end}");
        assert_eq!(parts.uri, "/caf%C3%A9/a%20b?page=2&q=%20x", "{front_end}");
        assert_eq!(parts.version, http::Version::HTTP_11, "{front_end}");
        assert_eq!(length, body, "{front_end}");
        // Debian's uwsgi_params have `HTTP_HOST $host`.
        let host = match front_end {
            "nginx" => "example.com",
            _ => "example.com:8080",
        };
        assert_eq!(values(&parts, "host"), [host], "{front_end}");
        assert_eq!(values(&parts, "x-foo"), foo, "{front_end}");
        assert_eq!(values(&parts, "cookie"), cookie, "{front_end}");
        assert_eq!(values(&parts, "x-under"), under, "{front_end}");
        assert_eq!(values(&parts, "x-dot"), dot, "{front_end}");
        assert_eq!(values(&parts, "x-latin"), ["caf\\xe9"], "{front_end}");
        assert_eq!(values(&parts, "x-named"), ["n"], "{front_end}");
        for name in ["proxy", "connection", "te"] {
            assert_eq!(values(&parts, name), [""; 0], "{front_end} {name}");
        }
        let context = parts.extensions.get::<RequestContext>().unwrap();
        let client = context.connection.remote_addr.unwrap();
        assert_eq!(client.to_string(), "127.0.0.1", "{front_end}");
        assert_eq!(context.path_info, "/café/a b", "{front_end}");
    }
}

#[test]
fn path_is_the_one_that_the_front_end_has_decided_about() {
    for (wire, uri, host) in [
        (&capture!("nginx", "dots")[..], "/a/d?x", "example.com"),
        (capture!("apache", "dots"), "/a/d?x", "example.com"),
        (capture!("lighttpd", "dots"), "/a/d?x", "example.com"),
        // It leaves the encoded dots and the slashes to the server.
        (capture!("uwsgi_router", "dots"), "/a//d?x", "example.com"),
        (capture!("nginx", "encoded_slash"), "/a%2Fb", "example.com"),
        (capture!("apache", "encoded_slash"), "/a%2Fb", "example.com"),
        (
            capture!("lighttpd", "encoded_slash"),
            "/a%2Fb",
            "example.com",
        ),
        (
            capture!("uwsgi_router", "encoded_slash"),
            "/a%2Fb",
            "example.com",
        ),
        (capture!("lighttpd", "above_root"), "/x", "example.com"),
        (capture!("uwsgi_router", "above_root"), "/x", "example.com"),
        (capture!("nginx", "absolute"), "/x%20y?z", "other.example"),
        (capture!("apache", "absolute"), "/x%20y?z", "other.example"),
        (
            capture!("uwsgi_router", "absolute"),
            "/x%20y?z",
            "other.example",
        ),
        (capture!("uwsgi_router", "asterisk"), "*", "example.com"),
    ] {
        let (parts, _) = read(wire).0.unwrap();
        assert_eq!(parts.uri, uri, "{}", wire.escape_ascii());
        assert_eq!(values(&parts, "host"), [host], "{}", wire.escape_ascii());
    }
}

#[test]
fn bodies_are_as_long_as_the_front_end_says() {
    for wire in [
        &capture!("nginx", "post")[..],
        capture!("apache", "post"),
        capture!("lighttpd", "post"),
        capture!("uwsgi_router", "post"),
        capture!("nginx", "chunked"),
        capture!("lighttpd", "chunked"),
    ] {
        let (read, body) = read(wire);
        let (parts, length) = read.unwrap();
        assert_eq!(parts.method, "POST");
        assert_eq!(length, BodyLength::Known(5));
        assert_eq!(values(&parts, "content-length"), ["5"]);
        assert_eq!(values(&parts, "transfer-encoding"), [""; 0]);
        assert_eq!(body, b"hello");
    }
}

#[test]
fn what_the_uwsgi_router_does_not_refuse_is_refused_here() {
    let two_lengths = ContentLengthError::Syntax {
        text: "3, 5".to_owned(),
    };
    for (wire, expected) in [
        (
            &capture!("uwsgi_router", "chunked")[..],
            MapError::LengthRequired,
        ),
        (
            capture!("uwsgi_router", "two_lengths"),
            MapError::ContentLength(two_lengths),
        ),
        (capture!("uwsgi_router", "two_hosts"), MapError::Host),
        (capture!("uwsgi_router", "nul_byte"), MapError::PathNul),
    ] {
        assert_eq!(read(wire).0.map(|_| ()), Err(expected));
    }
}

#[test]
fn chunks_with_a_length_look_like_a_body_of_that_length() {
    // nginx sends the same variables and has removed the chunks; the uWSGI router has not.
    // A server that reads so many bytes and closes is safe.
    let (read, _) = read(capture!("uwsgi_router", "chunked_with_length"));
    assert_eq!(read.unwrap().1, BodyLength::Known(3));
}
