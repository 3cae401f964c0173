//! Variables to requests.

use http::{Method, Version};
use uwsgi_codec::ContentLengthError;
use uwsgi_codec::http::{BodyLength, MapError, RequestContext, Scheme, from_vars};

use crate::vars;

type Pairs<'a> = &'a [(&'a str, &'a [u8])];

/// Reads a GET with these variables more.
fn read(pairs: Pairs<'_>) -> Result<(http::request::Parts, BodyLength), MapError> {
    let common: Pairs<'_> = &[("REQUEST_METHOD", b"GET")];
    from_vars(&vars(&[common, pairs].concat()))
}

fn read_root(pairs: Pairs<'_>) -> Result<(http::request::Parts, BodyLength), MapError> {
    read(&[&[("REQUEST_URI", &b"/"[..])], pairs].concat())
}

#[test]
fn uri_is_what_the_client_sent_if_the_front_end_sees_the_same() {
    for (uri, script_name, path_info, query, expected) in [
        ("/caf%c3%A9", "", "/café", "", "/caf%c3%A9"),
        ("/a%2Fb?q=%zz", "", "/a/b", "q=%zz", "/a%2Fb?q=%zz"),
        ("/x?", "", "/x", "", "/x?"),
        ("//x", "", "//x", "", "//x"),
        ("/shop/a", "/shop", "/a", "", "/shop/a"),
        ("/shop", "/shop", "", "", "/shop"),
        ("/a", "/", "/a", "", "/a"),
        ("/shop/a", "/shop/", "/a", "", "/shop/a"),
        ("/shop/", "/shop/", "", "", "/shop/"),
        // modifier1 30.
        ("/shop/a%20b", "/shop", "/shop/a b", "", "/shop/a%20b"),
        // The front end removed dot segments, merged slashes, or rewrote.
        ("/x/../a%2Fb", "", "/a/b", "", "/a/b"),
        ("//x", "", "/x", "", "/x"),
        ("/old?x", "", "/new é", "y=1", "/new%20%C3%A9?y=1"),
        ("/x?a", "", "/x", "b", "/x?b"),
        ("/x?a", "", "/x", "", "/x"),
        // It did not, and they are in the application's way.
        ("/a/./b", "", "/a/./b", "", "/a/b"),
        ("/a/%2e%2e/b", "", "/a/../b", "", "/b"),
        // No URI has such bytes.
        ("/caf\u{e9}#x", "", "/caf\u{e9}#x", "", "/caf%C3%A9%23x"),
        ("/a b?c d", "", "/a b", "c d", "/a%20b?c%20d"),
        ("", "/shop", "/a?b", "c", "/shop/a%3Fb?c"),
        ("", "", "", "", "/"),
        // Apache, and the uWSGI router.
        ("http://example.com/x?y", "", "/x", "y", "/x?y"),
        (
            "http://example.com/x%20y?z",
            "",
            "http://example.com/x y",
            "z",
            "/x%20y?z",
        ),
    ] {
        let (parts, _) = read(&[
            ("REQUEST_URI", uri.as_bytes()),
            ("SCRIPT_NAME", script_name.as_bytes()),
            ("PATH_INFO", path_info.as_bytes()),
            ("QUERY_STRING", query.as_bytes()),
        ])
        .unwrap();
        assert_eq!(parts.uri, expected, "{uri} {path_info}");
    }
}

#[test]
fn get_needs_a_method_and_a_path_only() {
    let pairs = [("REQUEST_METHOD", &b"GET"[..]), ("PATH_INFO", b"/a b")];
    let (parts, body) = from_vars(&vars(&pairs)).unwrap();
    assert_eq!(
        (parts.method, parts.uri),
        (Method::GET, "/a%20b".parse().unwrap())
    );
    assert_eq!(body, BodyLength::Absent);
    for missing in 0..pairs.len() {
        let other = vars(&[pairs[1 - missing]]);
        let key = pairs[missing].0;
        let error = from_vars(&other).unwrap_err().kind();
        assert_eq!(error, "missing_var", "{key}");
    }
}

#[test]
fn uri_alone_tells_the_path() {
    for (uri, script_name, path_info, expected) in [
        ("/a%20b?c", "", "/a b", "/a%20b?c"),
        ("/a/../b", "", "/b", "/b"),
        ("/shop/a", "/shop", "/a", "/shop/a"),
        ("http://example.com/x", "", "/x", "/x"),
        ("http://example.com", "", "/", "/"),
    ] {
        let (parts, _) = read(&[
            ("REQUEST_URI", uri.as_bytes()),
            ("SCRIPT_NAME", script_name.as_bytes()),
        ])
        .unwrap();
        assert_eq!(parts.uri, expected, "{uri}");
        let context = parts.extensions.get::<RequestContext>().unwrap();
        assert_eq!(context.path_info, path_info, "{uri}");
        assert_eq!(context.script_name, script_name, "{uri}");
    }
}

#[test]
fn path_that_http_has_no_form_for_is_refused() {
    let target = MapError::Target;
    let missing = MapError::MissingVar { key: "REQUEST_URI" };
    for (uri, path_info, expected) in [
        (None, None, missing.clone()),
        (Some(""), None, missing),
        (Some("x"), Some("x"), target.clone()),
        (Some("x"), None, target.clone()),
        (None, Some("x"), target.clone()),
        (Some("ftp://example.com/"), Some("/"), target.clone()),
        (Some("http://example.com?x"), Some("/"), target.clone()),
        (Some("*"), Some(""), target),
        (Some("http://a b/"), Some("/"), MapError::Host),
        (Some("http:///x"), Some("/x"), MapError::Host),
        (Some("/%00"), Some("/\0"), MapError::PathNul),
        (Some("/%00"), None, MapError::PathNul),
        (Some("/%zz"), None, MapError::PathEncoding { offset: 1 }),
        (None, Some("/../x"), MapError::PathAboveRoot),
    ] {
        let uri = uri.map(|uri| ("REQUEST_URI", uri.as_bytes()));
        let path_info = path_info.map(|path| ("PATH_INFO", path.as_bytes()));
        let pairs: Vec<_> = uri.into_iter().chain(path_info).collect();
        assert_eq!(read(&pairs).map(|_| ()), Err(expected), "{pairs:?}");
    }
}

#[test]
fn asterisk_stays_for_options() {
    for path_info in ["", "*"] {
        let (parts, _) = from_vars(&vars(&[
            ("REQUEST_METHOD", b"OPTIONS"),
            ("REQUEST_URI", b"*"),
            ("PATH_INFO", path_info.as_bytes()),
        ]))
        .unwrap();
        assert_eq!(parts.uri, "*");
    }
}

#[test]
fn method_and_version_are_read_or_refused() {
    let version = |text: &str| {
        let read = read_root(&[("SERVER_PROTOCOL", text.as_bytes())]);
        read.map(|(parts, _)| parts.version)
    };
    let bad = |key: &str| MapError::Var { key: key.into() };
    for (text, expected) in [
        ("HTTP/1.1", Ok(Version::HTTP_11)),
        ("HTTP/2.0", Ok(Version::HTTP_2)),
        ("HTTP/3", Ok(Version::HTTP_3)),
        ("", Ok(Version::HTTP_10)),
        ("http/1.1", Err(bad("SERVER_PROTOCOL"))),
        ("INCLUDED", Err(bad("SERVER_PROTOCOL"))),
    ] {
        assert_eq!(version(text), expected, "{text}");
    }
    let missing = MapError::MissingVar {
        key: "REQUEST_METHOD",
    };
    for (method, expected) in [
        (None, Err(missing)),
        (Some(""), Err(bad("REQUEST_METHOD"))),
        (Some("GE T"), Err(bad("REQUEST_METHOD"))),
        (Some("CONNECT"), Err(MapError::Connect)),
        (Some("PROPFIND"), Ok("PROPFIND".to_owned())),
        (Some("get"), Ok("get".to_owned())),
    ] {
        let method = method.map(|method| ("REQUEST_METHOD", method.as_bytes()));
        let uri = ("REQUEST_URI", &b"/"[..]);
        let pairs: Vec<_> = method.into_iter().chain([uri]).collect();
        let read = from_vars(&vars(&pairs)).map(|(parts, _)| parts.method.to_string());
        assert_eq!(read, expected, "{method:?}");
    }
}

#[test]
fn variables_with_the_prefix_are_headers() {
    let (parts, _) = read_root(&[
        ("HTTP_X_FOO", b"1"),
        ("HTTP_COOKIE", b"a=1"),
        ("HTTP_X_FOO", b"2, 3"),
        ("HTTP_X_LATIN", b"caf\xe9"),
        ("HTTP_DATE", b"Mon, 30 Nov 2026 12:00:00 GMT"),
        ("HTTP__", b"odd"),
        ("CONTENT_TYPE", b"text/plain"),
        ("HTTP_CONTENT_TYPE", b"text/html"),
        // None of these is one.
        ("HTTP_", b"-"),
        ("HTTP_x_lower", b"-"),
        ("HTTP_X.DOT", b"-"),
        ("HTTP_X-HYPHEN", b"-"),
        ("HTTPS", b"-"),
        ("REMOTE_USER", b"alice"),
        // Nor are these passed on.
        ("HTTP_PROXY", b"http://192.0.2.66"),
        ("HTTP_CONNECTION", b"close, X-Foo"),
        ("HTTP_TE", b"trailers"),
        ("HTTP_KEEP_ALIVE", b"timeout=5"),
        ("HTTP_UPGRADE", b"websocket"),
    ])
    .unwrap();
    let mut headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            ("-", &b"odd"[..]),
            ("content-type", b"text/plain"),
            ("cookie", b"a=1"),
            ("date", b"Mon, 30 Nov 2026 12:00:00 GMT"),
            ("x-foo", b"1"),
            ("x-foo", b"2, 3"),
            ("x-latin", b"caf\xe9"),
        ]
    );
    let context = parts.extensions.get::<RequestContext>().unwrap();
    assert_eq!(context.vars.get("REMOTE_USER"), Some(&b"alice"[..]));
    assert_eq!(context.vars.get("HTTP_X.DOT"), Some(&b"-"[..]));
}

#[test]
fn header_values_that_http_forbids_are_refused() {
    for value in ["a\r\nb", "a\nb", "\r", "a\0", "\u{7f}", "\u{1b}"] {
        for key in ["HTTP_X_FOO", "CONTENT_TYPE"] {
            let read = read_root(&[(key, value.as_bytes())]);
            let expected = Err(MapError::Var { key: key.into() });
            assert_eq!(read.map(|_| ()), expected, "{key} {value:?}");
        }
    }
}

#[test]
fn host_is_one_host() {
    let host = |hosts: &[&str]| {
        let pairs: Vec<_> = hosts
            .iter()
            .map(|host| ("HTTP_HOST", host.as_bytes()))
            .collect();
        read_root(&pairs).map(|(parts, _)| {
            let values = parts.headers.get_all("host").iter();
            values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(host(&["a:80", "a:80"]), Ok(vec!["a:80".to_owned()]));
    assert_eq!(host(&["a, b"]), Err(MapError::Host));
    let repeated = MapError::RepeatedHeader {
        name: http::header::HOST,
    };
    assert_eq!(host(&["a", "b"]), Err(repeated));

    let absolute = ("REQUEST_URI", &b"http://right.example/"[..]);
    let (parts, _) = read(&[("HTTP_HOST", b"wrong.example"), absolute]).unwrap();
    assert_eq!(parts.headers["host"], "right.example");
}

#[test]
fn body_is_as_long_as_the_last_length() {
    let conflict = MapError::ContentLength(ContentLengthError::Conflict {
        first: 5,
        second: 6,
    });
    let encoding = "HTTP_TRANSFER_ENCODING";
    for (pairs, expected) in [
        (&[][..], Ok(BodyLength::Absent)),
        (&[("CONTENT_LENGTH", "")], Ok(BodyLength::Absent)),
        (&[("CONTENT_LENGTH", "0")], Ok(BodyLength::Known(0))),
        (&[("CONTENT_LENGTH", "05")], Ok(BodyLength::Known(5))),
        (
            &[("CONTENT_LENGTH", "5"), ("CONTENT_LENGTH", "")],
            Ok(BodyLength::Absent),
        ),
        (
            &[("CONTENT_LENGTH", "5"), ("CONTENT_LENGTH", "6")],
            Err(conflict),
        ),
        (&[("HTTP_CONTENT_LENGTH", "5")], Ok(BodyLength::Absent)),
        (
            &[("CONTENT_LENGTH", "5"), (encoding, "chunked")],
            Ok(BodyLength::Known(5)),
        ),
        (
            &[("CONTENT_LENGTH", ""), (encoding, "chunked")],
            Err(MapError::LengthRequired),
        ),
    ] {
        let with_bytes: Vec<_> = pairs.iter().map(|(k, v)| (*k, v.as_bytes())).collect();
        let read = read_root(&with_bytes).map(|(parts, body)| {
            let length = parts.headers.get("content-length");
            let expected = match body {
                BodyLength::Known(length) => Some(length.to_string()),
                _ => None,
            };
            assert_eq!(
                length.map(|value| value.to_str().unwrap()),
                expected.as_deref()
            );
            assert!(!parts.headers.contains_key("transfer-encoding"));
            body
        });
        assert_eq!(read, expected, "{pairs:?}");
    }
}

#[test]
fn connection_is_read_as_far_as_it_is_known() {
    let (parts, _) = read_root(&[
        ("REMOTE_ADDR", b"2001:db8::1"),
        ("REMOTE_PORT", b"52814"),
        ("SERVER_NAME", b"example.com"),
        ("SERVER_PORT", b"443"),
        ("HTTPS", b"on"),
    ])
    .unwrap();
    let connection = &parts.extensions.get::<RequestContext>().unwrap().connection;
    assert_eq!(connection.remote_addr, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(connection.remote_port, Some(52814));
    assert_eq!(connection.server_name.as_deref(), Some("example.com"));
    assert_eq!(connection.server_port, Some(443));
    assert_eq!(connection.scheme, Scheme::Https);

    // nginx, for a client on a Unix socket.
    let (parts, _) = read_root(&[
        ("REMOTE_ADDR", b"unix:"),
        ("REMOTE_PORT", b""),
        ("SERVER_NAME", b""),
        ("SERVER_PORT", b""),
    ])
    .unwrap();
    let connection = &parts.extensions.get::<RequestContext>().unwrap().connection;
    assert_eq!(*connection, uwsgi_codec::http::ConnectionInfo::new());
}

#[test]
fn scheme_is_decided_in_the_order_of_uwsgi() {
    for (uwsgi_scheme, https, request_scheme, expected) in [
        ("", "", "", Scheme::Http),
        ("", "on", "", Scheme::Https),
        ("", "1", "http", Scheme::Https),
        ("", "TRUE", "", Scheme::Https),
        ("", "off", "https", Scheme::Https),
        ("", "", "HTTPS", Scheme::Https),
        ("http", "on", "https", Scheme::Http),
        ("https", "off", "http", Scheme::Https),
        ("gopher", "", "", Scheme::Http),
    ] {
        let (parts, _) = read_root(&[
            ("UWSGI_SCHEME", uwsgi_scheme.as_bytes()),
            ("HTTPS", https.as_bytes()),
            ("REQUEST_SCHEME", request_scheme.as_bytes()),
        ])
        .unwrap();
        let context = parts.extensions.get::<RequestContext>().unwrap();
        let case = (uwsgi_scheme, https, request_scheme);
        assert_eq!(context.connection.scheme, expected, "{case:?}");
    }
}
