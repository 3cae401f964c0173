use std::os::unix::net::UnixListener;

use crate::support::{Folder, run, stderr, stdout};
use crate::{UWSGI_CURL, curl};

#[test]
fn faults_of_the_server_have_the_codes_of_curl() {
    for (name, answer, code, message) in [
        (
            "no reply",
            &b""[..],
            52,
            "the server closed the connection without a reply",
        ),
        (
            "cut short",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            18,
            "reply cut short: 5 of 9 bytes have come",
        ),
        (
            "a head cut short",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            56,
            "the server closed the connection after 27 bytes of a head",
        ),
        (
            "not HTTP",
            b"SSH-2.0-x\r\n\r\n",
            8,
            "the reply is not valid: ",
        ),
        (
            "a tunnel",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            8,
            "the server answered 101 Switching Protocols and wants a tunnel",
        ),
    ] {
        let output = curl(answer, &[]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{name}: {}",
            stderr(&output)
        );
        let text = stderr(&output);
        assert!(
            text.starts_with(&format!("uwsgi-curl: ({code}) {message}")),
            "{name}: {text}"
        );
    }
}

#[test]
fn what_has_come_of_a_cut_reply_is_written() {
    let output = curl(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", &[]);
    assert_eq!(stdout(&output), "hello");
}

#[test]
fn status_is_a_failure_on_demand() {
    let reply = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
    let output = curl(reply, &[]);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(0), "nope")
    );
    let output = curl(reply, &["--fail"]);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(22), "")
    );
    assert_eq!(
        stderr(&output),
        "uwsgi-curl: (22) the server answered 404\n"
    );
    let output = curl(b"HTTP/1.1 399 X\r\n\r\n", &["-f"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn silence_is_kept_unless_errors_are_asked_for() {
    assert_eq!(stderr(&curl(b"", &["-s"])), "");
    assert!(stderr(&curl(b"", &["-s", "-S"])).contains("(52)"));
    assert!(stderr(&curl(b"", &["-S"])).contains("(52)"));
}

#[test]
fn server_that_does_not_listen_is_named() {
    let folder = Folder::new();
    let server = folder.text("server");
    let output = run(UWSGI_CURL, &[&server]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        stderr(&output),
        format!(
            "uwsgi-curl: (7) no connection to unix:{server}: No such file or directory (os error 2)\n"
        )
    );
}

#[test]
fn server_that_does_not_answer_is_not_waited_for() {
    let folder = Folder::new();
    let _silent = UnixListener::bind(folder.path("server")).unwrap();
    for more in [&["/"][..], &["--ping"], &["-d", "@-"]] {
        let server = folder.text("server");
        let output = run(
            UWSGI_CURL,
            &[&[server.as_str(), "-m", "0.05"], more].concat(),
        );
        assert_eq!(output.status.code(), Some(28), "{more:?}");
        let text = stderr(&output);
        assert_eq!(
            text,
            "uwsgi-curl: (28) not done after 50ms, with 0 bytes received\n"
        );
    }
}

#[test]
fn full_backlog_is_waited_for_until_the_timeout() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("server")).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(folder.path("server")).unwrap();
    let output = run(
        UWSGI_CURL,
        &[&folder.text("server"), "--connect-timeout", "0.05"],
    );
    assert_eq!(output.status.code(), Some(28), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("connecting to the server took longer than 50ms"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn mistakes_in_the_request_are_found_before_anything_is_sent() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("server")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let long = format!("X: {}", "x".repeat(65_536));
    for (arguments, code, message) in [
        (
            &["example.com/a"][..],
            3,
            "(3) \"example.com/a\" is not /PATH or http(s)://HOST/PATH",
        ),
        (&["ftp://example.com/a"], 3, "the scheme is another one"),
        (&["/a b"], 3, "is not /PATH"),
        (&["/%zz"], 3, "(3) "),
        (&["/../x"], 3, "(3) "),
        (&["-H", "X"], 2, "neither \"NAME: VALUE\""),
        (
            &["-H", "X_Foo: 1"],
            2,
            "X_Foo would be the variable of another header: use --var HTTP_X_FOO=VALUE",
        ),
        (
            &["-H", "Connection: close"],
            2,
            "Connection is not part of a uwsgi request: use --var HTTP_CONNECTION=VALUE",
        ),
        (&["-H", "te;"], 2, "te is not part of a uwsgi request"),
        (
            &["-H", "Proxy: x"],
            2,
            "Proxy is not part of a uwsgi request",
        ),
        (&["-L"], 2, "uwsgi-curl follows no redirects"),
        (&["-u", "alice"], 2, "not USER:PASSWORD"),
        (&["-b", "cookies.txt"], 2, "not NAME=VALUE"),
        (
            &["-G", "-d", "a b"],
            3,
            "(3) the data is no query, encode it",
        ),
        (
            &["-G", "-d", "a#b"],
            3,
            "(3) the data is no query, encode it",
        ),
        (&["-H", "a b: 1"], 2, "is no name of a header"),
        (&["-H", &long], 2, "do not fit in a packet"),
        (&["--var", "=x"], 2, "a variable has a name"),
        (
            &["--modifier1", "nothing"],
            2,
            "neither a number up to 255 nor the name of a modifier",
        ),
        (&["-m", "0"], 2, "not a number of seconds above 0"),
        (
            &["-T", "/no/such/file"],
            26,
            "(26) /no/such/file: No such file",
        ),
        (
            &["-d", "@/no/such/file"],
            26,
            "(26) /no/such/file: No such file",
        ),
        (&["-d", "x", "-T", "y"], 2, "cannot be used with"),
        (&["--ping", "-d", "x"], 2, "cannot be used with"),
    ] {
        let server = folder.text("server");
        let output = run(UWSGI_CURL, &[&[server.as_str()], arguments].concat());
        let text = stderr(&output);
        assert!(text.contains(message), "{message}: {text}");
        assert_eq!(output.status.code(), Some(code), "{message}: {text}");
    }
    assert!(listener.accept().is_err(), "nothing has connected");
    let output = run(UWSGI_CURL, &["server"]);
    assert!(
        stderr(&output).contains("neither a path"),
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(2));
    let output = run(UWSGI_CURL, &["http://127.0.0.1:1/who"]);
    assert!(
        stderr(&output).contains("this is a URL, not an ADDRESS: a path with a slash, unix:PATH or HOST:PORT; a URL comes after it"),
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(2));
}

/// As nginx, Node and gunicorn answer what is no HTTP.
#[test]
fn server_that_speaks_http_is_suspected() {
    let http: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nbad";
    let hint =
        "uwsgi-curl: an HTTP server answers a uwsgi packet like this: if it is one, use curl\n";
    let output = curl(http, &[]);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(0), "bad")
    );
    assert_eq!(stderr(&output), hint);
    let output = curl(http, &["-f"]);
    assert_eq!(output.status.code(), Some(22));
    assert_eq!(
        stderr(&output),
        format!("{hint}uwsgi-curl: (22) the server answered 400\n")
    );
    for (answer, arguments) in [
        (http, &["-s"][..]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nConnection: close", &[]),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &[]),
    ] {
        assert_eq!(stderr(&curl(answer, arguments)), "", "{answer:?}");
    }
    assert_eq!(stderr(&curl(http, &["-sS"])), hint);
}

#[test]
fn file_that_cannot_be_written_is_named() {
    let output = curl(b"HTTP/1.1 200 OK\r\n\r\nhello", &["-o", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(23));
    let text = stderr(&output);
    assert!(
        text.contains("(23) cannot write the reply: /no/such/file: No such file"),
        "{text}"
    );
}
