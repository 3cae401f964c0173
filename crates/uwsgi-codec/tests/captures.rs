//! Packets of a real nginx; `fixtures/capture.py` says how they were made.

use uwsgi_codec::{Header, Limits, PacketRef};

mod common;

/// Decodes a capture in every way; returns the packet and the request body.
fn decode(wire: &[u8]) -> (PacketRef<'_>, &[u8]) {
    common::decode(wire, &Limits::default())
        .expect("nginx wrote it")
        .expect("it was captured whole")
}

#[test]
fn get_has_the_params_then_the_headers() {
    let (packet, body) = decode(include_bytes!("fixtures/get.bin"));

    let header = Header {
        modifier1: 0,
        datasize: 838,
        modifier2: 0,
    };
    assert_eq!(packet.header, header);
    let expected: [(&[u8], &[u8]); 24] = [
        (b"QUERY_STRING", b"page=2&q=%20x"),
        (b"REQUEST_METHOD", b"GET"),
        (b"CONTENT_TYPE", b""),
        (b"CONTENT_LENGTH", b""),
        (b"REQUEST_URI", b"/caf%C3%A9/a%2Fb?page=2&q=%20x"),
        (b"PATH_INFO", b"/caf\xc3\xa9/a/b"),
        (b"DOCUMENT_ROOT", b"/srv/www"),
        (b"SERVER_PROTOCOL", b"HTTP/1.1"),
        (b"REQUEST_SCHEME", b"http"),
        (b"REMOTE_ADDR", b"192.0.2.1"),
        (b"REMOTE_PORT", b"52814"),
        (b"SERVER_PORT", b""),
        (b"SERVER_NAME", b"example.com"),
        (b"HTTP_HOST", b"example.com"),
        (
            b"HTTP_USER_AGENT",
            b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        ),
        (
            b"HTTP_ACCEPT",
            b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        (b"HTTP_ACCEPT_LANGUAGE", b"en-US,en;q=0.5"),
        (b"HTTP_ACCEPT_ENCODING", b"gzip, deflate, br, zstd"),
        (
            b"HTTP_REFERER",
            b"http://example.com:8080/login?next=/caf%C3%A9/",
        ),
        (
            b"HTTP_COOKIE",
            b"csrftoken=Xn9W1kYpGQ0hbXkzM1dAQe5Zt0sYVb3K; sessionid=9k2u7c0x1m5v8b3n6a4s",
        ),
        (b"HTTP_DNT", b"1"),
        (b"HTTP_UPGRADE_INSECURE_REQUESTS", b"1"),
        (b"HTTP_CONNECTION", b"keep-alive"),
        (b"HTTP_PRIORITY", b"u=0, i"),
    ];
    assert!(packet.vars.iter().eq(expected), "{:#?}", packet.vars);
    assert_eq!(body, b"");
}

#[test]
fn post_is_followed_by_its_body() {
    let (packet, body) = decode(include_bytes!("fixtures/post.bin"));

    assert_eq!(packet.vars.get("REQUEST_METHOD"), Some(&b"POST"[..]));
    assert_eq!(packet.vars.get("CONTENT_LENGTH"), Some(&b"23"[..]));
    assert_eq!(packet.vars.get("HTTP_CONTENT_LENGTH"), Some(&b"23"[..]));
    assert_eq!(body, b"user=alice&password=%3F");
}

#[test]
fn sixty_kilobytes_of_headers_arrive_whole() {
    let (packet, body) = decode(include_bytes!("fixtures/headers_60k.bin"));

    assert_eq!(packet.header.datasize, 60_454);
    for n in 0..10 {
        let value = packet.vars.get(format!("HTTP_X_LONG_{n}")).unwrap();
        assert_eq!(value, format!("{n}").repeat(6_000).as_bytes());
    }
    assert_eq!(body, b"");
}

#[test]
fn repeated_headers_are_repeated_vars() {
    // nginx since 1.23 joins them; this one sends a pair for each.
    let (packet, _) = decode(include_bytes!("fixtures/repeated_headers.bin"));

    assert!(packet.vars.get_all("HTTP_X_FOO").eq([b"1", b"2"]));
    assert!(packet.vars.get_all("HTTP_COOKIE").eq([b"a=1", b"b=2"]));
}

#[test]
fn chunked_upload_arrives_with_a_length_and_without_framing() {
    let (packet, body) = decode(include_bytes!("fixtures/chunked.bin"));

    assert_eq!(packet.vars.get("CONTENT_LENGTH"), Some(&b"5"[..]));
    assert_eq!(
        packet.vars.get("HTTP_TRANSFER_ENCODING"),
        Some(&b"chunked"[..])
    );
    assert_eq!(body, b"hello");
}

#[test]
fn overriding_param_comes_last() {
    // `include uwsgi_params;` and then `uwsgi_param REQUEST_SCHEME https;`
    let (packet, _) = decode(include_bytes!("fixtures/overridden_param.bin"));

    assert!(
        packet
            .vars
            .get_all("REQUEST_SCHEME")
            .eq([&b"http"[..], b"https"])
    );
    assert_eq!(packet.vars.get("REQUEST_SCHEME"), Some(&b"https"[..]));
}
