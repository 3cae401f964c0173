use std::io::Write;
use std::net::TcpListener;
use std::thread;

use crate::support::{Folder, Received, run, stderr, stdout};
use crate::{HELLO, UWSGI_CURL, sent};

#[test]
fn path_is_asked_for_as_by_a_web_server() {
    let request = sent(&["/caf%C3%A9?page=2"], b"");
    assert_eq!(request.modifiers, (0, 0));
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/caf%C3%A9?page=2"),
        ("PATH_INFO", "/caf\u{e9}"),
        ("QUERY_STRING", "page=2"),
        ("CONTENT_LENGTH", ""),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "http"),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", "80"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "localhost"),
        ("HTTP_ACCEPT", "*/*"),
        (
            "HTTP_USER_AGENT",
            concat!("uwsgi-curl/", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        assert_eq!(request.var(name), Some(value), "{name}: {request:?}");
    }
    assert_eq!(request.var("HTTPS"), None);
    assert_eq!(sent(&[], b"").var("REQUEST_URI"), Some("/"));
}

#[test]
fn url_names_host_and_scheme() {
    let request = sent(&["https://example.com:8443/a"], b"");
    for (name, value) in [
        ("REQUEST_URI", "/a"),
        ("HTTP_HOST", "example.com:8443"),
        ("SERVER_NAME", "example.com"),
        ("SERVER_PORT", "8443"),
        ("REQUEST_SCHEME", "https"),
        ("HTTPS", "on"),
    ] {
        assert_eq!(request.var(name), Some(value), "{name}: {request:?}");
    }
    let request = sent(&["http://example.com"], b"");
    assert_eq!(request.var("REQUEST_URI"), Some("/"));
    assert_eq!(request.var("SERVER_PORT"), Some("80"));
}

#[test]
fn tcp_is_spoken_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = Received::read(&mut stream).unwrap();
        stream.write_all(HELLO).unwrap();
        request
    });
    let output = run(UWSGI_CURL, &[&address, "/x"]);
    assert_eq!(stdout(&output), "hello", "{}", stderr(&output));
    assert_eq!(served.join().unwrap().var("PATH_INFO"), Some("/x"));
}

#[test]
fn headers_replace_the_usual_ones() {
    let request = sent(
        &[
            "-H",
            "X-Tag: a",
            "-H",
            "x-tag: b",
            "-H",
            "Accept:",
            "-H",
            "User-Agent: me",
            "-H",
            "X-Empty;",
            "-H",
            "Host: h:81",
        ],
        b"",
    );
    for (name, value) in [
        ("HTTP_X_TAG", Some("a, b")),
        ("HTTP_ACCEPT", None),
        ("HTTP_USER_AGENT", Some("me")),
        ("HTTP_X_EMPTY", Some("")),
        ("HTTP_HOST", Some("h:81")),
        ("SERVER_NAME", Some("h")),
    ] {
        assert_eq!(request.var(name), value, "{name}: {request:?}");
    }
}

#[test]
fn data_is_posted() {
    let folder = Folder::new();
    let file = folder.file("data", "two\r\nlines\n");
    for (arguments, body) in [
        (&["-d", "a=1"][..], &b"a=1"[..]),
        (&["-d", "a=1", "--data", "b=2"], b"a=1&b=2"),
        (&["-d", &format!("@{file}")], b"twolines"),
        (&["--data-binary", &format!("@{file}")], b"two\r\nlines\n"),
        (&["-d", "@-"], b"input"),
        (&["--data-binary", "@-"], b"in\nput"),
        (&["-d", ""], b""),
    ] {
        let request = sent(arguments, b"in\nput");
        assert_eq!(request.body, body, "{arguments:?}");
        assert_eq!(request.var("REQUEST_METHOD"), Some("POST"), "{arguments:?}");
        let len = body.len().to_string();
        assert_eq!(
            request.var("CONTENT_LENGTH"),
            Some(len.as_str()),
            "{arguments:?}"
        );
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(request.var("CONTENT_TYPE"), form, "{arguments:?}");
    }
    let request = sent(
        &[
            "-X",
            "PATCH",
            "-d",
            "{}",
            "-H",
            "Content-Type: application/json",
        ],
        b"",
    );
    assert_eq!(request.var("REQUEST_METHOD"), Some("PATCH"));
    assert_eq!(request.var("CONTENT_TYPE"), Some("application/json"));
}

#[test]
fn file_is_put() {
    let folder = Folder::new();
    let content: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let file = folder.file("upload", &content);
    for (arguments, input) in [(&["-T", &file], &b""[..]), (&["-T", "-"], &content)] {
        let request = sent(arguments, input);
        assert_eq!(request.var("REQUEST_METHOD"), Some("PUT"));
        assert_eq!(request.var("CONTENT_LENGTH"), Some("1000000"));
        assert_eq!(request.var("CONTENT_TYPE"), None);
        assert!(request.body == content, "{arguments:?}");
    }
}

#[test]
fn any_variable_can_be_set_or_left_out() {
    let request = sent(
        &[
            "--var",
            "REMOTE_USER=alice=1",
            "--var",
            "REMOTE_ADDR",
            "--var",
            "PATH_INFO=/other",
            "--var",
            "SCRIPT_NAME=",
            "--var",
            "HTTP_X_FOO=1",
            "--var",
            "HTTP_X_FOO=2",
            "/path",
        ],
        b"",
    );
    for (name, value) in [
        ("REMOTE_USER", Some("alice=1")),
        ("REMOTE_ADDR", None),
        ("PATH_INFO", Some("/other")),
        ("REQUEST_URI", Some("/path")),
        ("SCRIPT_NAME", Some("")),
    ] {
        assert_eq!(request.var(name), value, "{name}: {request:?}");
    }
    let values = request.vars.iter().filter(|(name, _)| name == "HTTP_X_FOO");
    assert_eq!(
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["1", "2"]
    );
}

#[test]
fn modifiers_are_numbers_or_names() {
    assert_eq!(
        sent(&["--modifier1", "5", "--modifier2", "7"], b"").modifiers,
        (5, 7)
    );
    assert_eq!(
        sent(&["--modifier1", "wsgi_script_name"], b"").modifiers,
        (30, 0)
    );
}

#[test]
fn head_is_asked_for_and_only_the_head_written() {
    let request = sent(&["-I"], b"");
    assert_eq!(request.var("REQUEST_METHOD"), Some("HEAD"));
}

#[test]
fn options_for_single_headers_are_those_of_curl() {
    let options = ["-A", "me", "-u", "alice:se:cret", "-b", "a=1", "-b", "b=2"];
    let request = sent(&options, b"");
    for (name, value) in [
        ("HTTP_USER_AGENT", "me"),
        ("HTTP_AUTHORIZATION", "Basic YWxpY2U6c2U6Y3JldA=="),
        ("HTTP_COOKIE", "a=1; b=2"),
    ] {
        assert_eq!(request.var(name), Some(value), "{name}: {request:?}");
    }
    let replaced = ["-H", "User-Agent: you", "-H", "Cookie: c=3"];
    let request = sent(&[&options[..], &replaced].concat(), b"");
    assert_eq!(request.var("HTTP_USER_AGENT"), Some("you"));
    assert_eq!(request.var("HTTP_COOKIE"), Some("c=3"));
}

#[test]
fn data_goes_to_the_query_on_demand() {
    for (target, query) in [("/x", "a=1&b=2"), ("/x?q=0", "q=0&a=1&b=2")] {
        let request = sent(&["-G", "-d", "a=1", "-d", "b=2", target], b"");
        assert_eq!(request.var("QUERY_STRING"), Some(query));
        assert_eq!(request.var("REQUEST_METHOD"), Some("GET"));
        assert_eq!(request.var("CONTENT_TYPE"), None);
        assert_eq!(request.var("CONTENT_LENGTH"), Some(""));
    }
    assert_eq!(sent(&["-G", "/x"], b"").var("QUERY_STRING"), Some(""));
}

#[test]
fn json_is_posted_as_such() {
    let request = sent(&["--json", "{\"a\":", "--json", "1}"], b"");
    assert_eq!(request.body, b"{\"a\":1}");
    for (name, value) in [
        ("REQUEST_METHOD", "POST"),
        ("CONTENT_TYPE", "application/json"),
        ("HTTP_ACCEPT", "application/json"),
    ] {
        assert_eq!(request.var(name), Some(value), "{name}: {request:?}");
    }
}

#[test]
fn habits_from_curl_do_no_harm() {
    let request = sent(&["-N", "-k", "-s", "-s", "-m", "1", "-m", "60", "/x"], b"");
    assert_eq!(request.var("PATH_INFO"), Some("/x"));
}
