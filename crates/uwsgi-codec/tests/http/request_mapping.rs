//! Requests to variables: everything but the path and the body.

use http::request::Parts;
use http::{Request, Version};
use uwsgi_codec::http::{
    BodyLength, ConnectionInfo, MapError, Repeated, RequestMapping, Scheme, UnsafeNames,
    remove_hop_by_hop,
};
use uwsgi_codec::{EncodeError, PacketBuilder};

use crate::{all, get, map, map_by, request};

#[test]
fn get_becomes_what_nginx_sends() {
    let parts = request(
        "GET",
        "/caf%C3%A9?page=2&q=%20x",
        &[("Host", b"example.com:8080"), ("User-Agent", b"test")],
    );
    let connection = ConnectionInfo::new()
        .with_remote("192.0.2.1:52814".parse().unwrap())
        .with_server_name("example.com")
        .with_server_port(443)
        .with_scheme(Scheme::Https);
    let mapping = RequestMapping::new().with_document_root("/srv/www");
    let mut packet = PacketBuilder::new();
    mapping
        .to_vars(&parts, &connection, BodyLength::Absent, &mut packet)
        .unwrap();
    let packet = packet.build().unwrap();

    let expected: [(&[u8], &[u8]); 15] = [
        (b"QUERY_STRING", b"page=2&q=%20x"),
        (b"REQUEST_METHOD", b"GET"),
        (b"CONTENT_LENGTH", b""),
        (b"REQUEST_URI", b"/caf%C3%A9?page=2&q=%20x"),
        (b"PATH_INFO", "/café".as_bytes()),
        (b"DOCUMENT_ROOT", b"/srv/www"),
        (b"SERVER_PROTOCOL", b"HTTP/1.1"),
        (b"REQUEST_SCHEME", b"https"),
        (b"HTTPS", b"on"),
        (b"REMOTE_ADDR", b"192.0.2.1"),
        (b"REMOTE_PORT", b"52814"),
        (b"SERVER_PORT", b"443"),
        (b"SERVER_NAME", b"example.com"),
        (b"HTTP_HOST", b"example.com:8080"),
        (b"HTTP_USER_AGENT", b"test"),
    ];
    assert!(packet.vars.iter().eq(expected), "{:#?}", packet.vars);
}

#[test]
fn version_is_spelled_as_nginx_spells_it() {
    for (version, expected) in [
        (Version::HTTP_09, "HTTP/0.9"),
        (Version::HTTP_10, "HTTP/1.0"),
        (Version::HTTP_11, "HTTP/1.1"),
        (Version::HTTP_2, "HTTP/2.0"),
        (Version::HTTP_3, "HTTP/3.0"),
    ] {
        let mut parts = get(&[]);
        parts.version = version;
        assert_eq!(all(&map(&parts).unwrap(), "SERVER_PROTOCOL"), [expected]);
    }
}

#[test]
fn server_is_named_by_the_connection_or_else_by_the_client() {
    let named = ConnectionInfo::new()
        .with_server_name("site")
        .with_server_port(8000);
    let unnamed = ConnectionInfo::new();
    let secure = ConnectionInfo::new().with_scheme(Scheme::Https);
    for (connection, host, name, port) in [
        (&named, "example.com:81", "site", "8000"),
        (&unnamed, "example.com:81", "example.com", "81"),
        (&unnamed, "example.com", "example.com", "80"),
        (&unnamed, "example.com:", "example.com", "80"),
        (&unnamed, "[::1]:81", "[::1]", "81"),
        (&unnamed, "my_host", "my_host", "80"),
        (&unnamed, "", "localhost", "80"),
        (&secure, "example.com", "example.com", "443"),
    ] {
        let mut packet = PacketBuilder::new();
        RequestMapping::new()
            .to_vars(
                &get(&[("Host", host.as_bytes())]),
                connection,
                BodyLength::Absent,
                &mut packet,
            )
            .unwrap();
        let vars = packet.build().unwrap().vars;
        assert_eq!(all(&vars, "SERVER_NAME"), [name], "{host}");
        assert_eq!(all(&vars, "SERVER_PORT"), [port], "{host}");
        assert_eq!(all(&vars, "HTTP_HOST"), [host], "{host}");
    }
}

#[test]
fn client_on_a_unix_socket_has_an_empty_address() {
    let vars = map(&get(&[])).unwrap();
    assert_eq!(all(&vars, "REMOTE_ADDR"), [""]);
    assert_eq!(all(&vars, "REMOTE_PORT"), [""; 0]);
    assert_eq!(all(&vars, "HTTPS"), [""; 0]);
}

#[test]
fn host_that_is_none_is_refused() {
    for host in [
        &b"a b"[..],
        b"user@example.com",
        b"example.com/x",
        b"example.com?x",
        b"example.com:x",
        b"example.com:+80",
        b"example.com:65536",
        b":80",
        b"a, b",
        b"[::1",
        b"::1",
        b"ex\xc3\xa4mple.com",
    ] {
        let result = map(&get(&[("Host", host)])).map(|vars| all(&vars, "HTTP_HOST"));
        assert_eq!(result, Err(MapError::Host), "{}", host.escape_ascii());
    }
}

#[test]
fn authority_of_the_target_is_the_host() {
    let host = |version, uri: &str, hosts: &[&str]| {
        let mut builder = Request::get(uri).version(version);
        for host in hosts {
            builder = builder.header("Host", *host);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        map(&parts).map(|vars| all(&vars, "HTTP_HOST").concat())
    };
    let repeated = Err(MapError::RepeatedHeader {
        name: http::header::HOST,
    });
    let uri = "http://example.com:81/";
    for (version, uri, hosts, expected) in [
        (Version::HTTP_2, uri, &[][..], Ok("example.com:81")),
        (
            Version::HTTP_2,
            uri,
            &["example.com:81"],
            Ok("example.com:81"),
        ),
        (
            Version::HTTP_2,
            uri,
            &["EXAMPLE.com:81"],
            Ok("example.com:81"),
        ),
        (
            Version::HTTP_2,
            uri,
            &["example.com"],
            Err(MapError::HostConflict),
        ),
        (
            Version::HTTP_3,
            uri,
            &["other"],
            Err(MapError::HostConflict),
        ),
        (Version::HTTP_11, uri, &["other"], Ok("example.com:81")),
        (Version::HTTP_11, uri, &["a", "b"], repeated.clone()),
        (Version::HTTP_11, "/", &["a", "a"], repeated),
        (
            Version::HTTP_11,
            "http://me@example.com/",
            &[],
            Err(MapError::Host),
        ),
        (Version::HTTP_10, "/", &[], Ok("")),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(
            host(version, uri, hosts),
            expected,
            "{version:?} {uri} {hosts:?}"
        );
    }
}

#[test]
fn repeated_headers_are_joined_or_sent_as_pairs() {
    let parts = get(&[
        ("X-Foo", b"1"),
        ("Cookie", b"a=1"),
        ("X-Foo", b""),
        ("Cookie", b"b=2"),
        ("X-Foo", b"caf\xe9"),
    ]);
    let by = |repeated| {
        let mapping = RequestMapping::new().with_repeated(repeated);
        let vars = map_by(&mapping, &parts, BodyLength::Absent).unwrap();
        [all(&vars, "HTTP_X_FOO"), all(&vars, "HTTP_COOKIE")]
    };
    assert_eq!(
        by(Repeated::Join),
        [vec!["1, , caf\\xe9"], vec!["a=1; b=2"]]
    );
    assert_eq!(
        by(Repeated::Pairs),
        [vec!["1", "", "caf\\xe9"], vec!["a=1; b=2"]]
    );
}

#[test]
fn header_without_a_meaning_as_a_list_is_refused_twice() {
    for name in [
        "authorization",
        "content-range",
        "content-type",
        "expect",
        "host",
        "if-modified-since",
        "if-range",
        "if-unmodified-since",
    ] {
        let parts = get(&[(name, b"a"), (name, b"a")]);
        let expected = MapError::RepeatedHeader {
            name: name.parse().unwrap(),
        };
        assert_eq!(map(&parts).map(|_| ()), Err(expected), "{name}");
    }
}

#[test]
fn headers_of_the_connection_are_left_out() {
    let parts = get(&[
        ("Connection", b"close, X-Named ,x-other"),
        ("Connection", b"TE,,Host, content-type"),
        ("X-Named", b"1"),
        ("X-Other", b"2"),
        ("X-Kept", b"3"),
        ("Keep-Alive", b"timeout=5"),
        ("Proxy-Connection", b"keep-alive"),
        ("TE", b"trailers"),
        ("Trailer", b"X-Sum"),
        ("Upgrade", b"websocket"),
        ("Host", b"example.com"),
        ("Content-Type", b"text/plain"),
    ]);
    let kept = |parts: &Parts| {
        let vars = map(parts).unwrap();
        let names = vars.iter().map(|(key, _)| key.escape_ascii().to_string());
        let names = names.filter(|key| key.starts_with("HTTP_") || key == "CONTENT_TYPE");
        names.collect::<Vec<_>>()
    };
    let expected = ["CONTENT_TYPE", "HTTP_HOST", "HTTP_X_KEPT"];
    assert_eq!(kept(&parts), expected);

    let mut removed = parts;
    remove_hop_by_hop(&mut removed.headers);
    assert_eq!(removed.headers.len(), 3, "{:?}", removed.headers);
    // What a front end adds after that, a client cannot take away.
    removed.headers.insert("x-named", "mine".parse().unwrap());
    assert!(kept(&removed).contains(&"HTTP_X_NAMED".to_owned()));
}

#[test]
fn proxy_never_becomes_http_proxy() {
    let parts = get(&[
        ("Proxy", b"http://192.0.2.66"),
        ("Proxy-Authorization", b"Basic eDp5"),
    ]);
    let vars = map(&parts).unwrap();
    assert!(
        !vars.iter().any(|(key, _)| key.starts_with(b"HTTP_PROXY")),
        "{vars:?}"
    );
}

#[test]
fn names_that_could_be_taken_for_others_are_dropped_or_refused() {
    for name in [
        "X_Forwarded_For",
        "X.Foo",
        "X!Foo",
        "_",
        "~",
        "Content_Length",
    ] {
        let parts = get(&[(name, b"1"), ("X-Forwarded-For", b"2")]);
        let vars = map(&parts).unwrap();
        let headers: Vec<_> = vars
            .iter()
            .filter(|(key, _)| key.starts_with(b"HTTP_"))
            .collect();
        assert_eq!(
            headers,
            [(&b"HTTP_X_FORWARDED_FOR"[..], &b"2"[..])],
            "{name}"
        );

        let mapping = RequestMapping::new().with_unsafe_names(UnsafeNames::Refuse);
        let expected = MapError::HeaderName {
            name: name.parse().unwrap(),
        };
        let refused = map_by(&mapping, &parts, BodyLength::Absent);
        assert_eq!(refused.map(|_| ()), Err(expected), "{name}");
    }
}

#[test]
fn content_type_has_no_prefix_and_is_absent_if_empty() {
    for (value, expected) in [(&b"text/plain"[..], &["text/plain"][..]), (b"", &[])] {
        let vars = map(&get(&[("Content-Type", value)])).unwrap();
        assert_eq!(all(&vars, "CONTENT_TYPE"), expected);
        assert_eq!(all(&vars, "HTTP_CONTENT_TYPE"), [""; 0]);
    }
}

#[test]
fn request_too_large_for_a_packet_is_431() {
    let long = [b'x'; 65_000];
    let error = map(&get(&[("X-Long", &long), ("X-Longer", &long)])).unwrap_err();
    assert!(
        matches!(error, MapError::Encode(EncodeError::BlockTooLarge { .. })),
        "{error}"
    );
    assert_eq!(error.http_status(), 431);
}
