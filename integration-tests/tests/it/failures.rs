//! Applications that break: the client gets a 500 or a response that is visibly cut, the log says why once, and
//! the thread lives on. One thread, so that a lost one would be noticed at once.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use hyper::Request;
use integration_tests::{
    Completeness, Connections, Ending, Peer, Reply, Scoter, Site, empty, exchange, get,
    through_nginx, with,
};

fn start() -> Scoter {
    Scoter::serving("failures").args(["--threads", "1"]).start()
}

#[track_caller]
fn ask(scoter: &Scoter, name: &str) -> Reply {
    scoter.connect().packet(&get(&format!("/{name}"))).reply()
}

#[track_caller]
fn assert_alive(scoter: &Scoter) {
    assert_eq!(ask(scoter, "fine").text(), "fine");
}

#[test]
fn failure_before_the_first_byte_is_a_500() {
    let mut scoter = start();
    // The application, and words that the log must have once: what happened, for whoever has to mend it.
    let failures = [
        ("before_start", "Broken: before_start"),
        ("after_start", "Broken: after_start"),
        ("at_first_chunk", "Broken: at_first_chunk"),
        ("in_iter", "Broken: in_iter"),
        ("exits", "SystemExit: 7"),
        ("exits_in_chunk", "SystemExit: 8"),
        ("interrupts", "KeyboardInterrupt: interrupts"),
        ("recurses", "RecursionError: "),
    ];
    for (name, _) in failures {
        let reply = ask(&scoter, name);
        assert_eq!(
            (reply.status, &*reply.reason),
            (500, "Internal Server Error"),
            "{name}"
        );
        assert_eq!(reply.header("Content-Type"), Some("text/plain"), "{name}");
        let length = reply.body.len().to_string();
        assert_eq!(reply.header("Content-Length"), Some(&*length), "{name}");
        // What went wrong is nobody's business outside.
        assert!(
            !reply.text().contains("Traceback") && !reply.text().contains(name),
            "{name}"
        );
        assert_alive(&scoter);
    }
    let log = scoter.stop().stderr;
    for (name, words) in failures {
        assert_eq!(log.matches(words).count(), 1, "{name} in {log}");
    }
    assert_eq!(
        log.matches("Traceback (most recent call last)").count(),
        failures.len(),
        "{log}"
    );
}

#[test]
fn breach_of_the_protocol_is_a_500_that_is_explained() {
    let mut scoter = start();
    let breaches = [
        ("returns_str", "returned str"),
        ("returns_list_of_str", "is str, not bytes"),
        ("yields_str", "is str, not bytes"),
        ("yields_none", "is NoneType, not bytes"),
        ("returns_none", "returned NoneType"),
        ("returns_int", "returned int"),
        ("writes_str", "takes bytes, not str"),
        ("never_starts", "start_response() was not called"),
        ("never_starts_empty", "start_response() was not called"),
        ("starts_twice", "called twice without exc_info"),
    ];
    for (name, words) in breaches {
        let before = scoter.stderr().len();
        let reply = ask(&scoter, name);
        assert_eq!(reply.status, 500, "{name}");
        assert_eq!(reply.header("Content-Type"), Some("text/plain"), "{name}");
        assert_alive(&scoter);
        // Only one request has failed since.
        integration_tests::until("the log says why", || {
            scoter.stderr()[before..].contains(words).then_some(())
        });
    }
    scoter.stop();
}

#[test]
fn exception_that_cannot_be_printed_is_a_500() {
    let scoter = start();
    assert_eq!(ask(&scoter, "unprintable").status, 500);
    scoter.wait_for_log("Unprintable");
    assert_alive(&scoter);
}

#[through_nginx(gateway)]
fn failure_reaches_the_client_of_nginx(connections: Connections) {
    let site = Site::serving("failures", connections);
    let reply = site.get("/before_start");
    assert_eq!(
        (reply.status, reply.header("Content-Type")),
        (500, Some("text/plain"))
    );
}

#[test]
fn close_is_called_once_whatever_happens() {
    for name in [
        "at_first_chunk",
        "in_iter",
        "after_first_chunk",
        "after_first_chunk_announced",
        "exits_in_chunk",
        "too_many_bytes",
        "in_close",
    ] {
        for method in ["GET", "HEAD"] {
            let mut scoter = start();
            let packet = with(get(&format!("/{name}")), [("REQUEST_METHOD", method)]);
            scoter.connect().packet(&packet).ending();
            scoter.stop();
            assert_eq!(scoter.events(), ["closed"], "{method} {name}");
        }
    }
}

#[through_nginx(gateway)]
fn failure_within_an_announced_body_cuts_the_client_off(connections: Connections) {
    let site = Site::of(
        Scoter::serving("failures").args(["--threads", "1"]),
        connections,
    );
    for name in [
        "after_first_chunk_announced",
        "replaces_too_late",
        "too_few_bytes",
    ] {
        let request = Request::get(format!("/{name}"))
            .body(empty())
            .expect("well-formed");
        let mut open = site.open(request);
        assert_eq!(open.status(), 200, "{name}");
        let (_, completeness) = open.rest();
        assert_eq!(completeness, Completeness::Cut, "{name}");
    }
    assert_eq!(site.get("/fine").text(), "fine");
}

#[test]
fn failure_within_any_body_resets_a_tcp_connection() {
    // The only way to tell nginx where no Content-Length was promised. A Unix socket has no such way once
    // everything sent to it is read.
    let mut scoter = Scoter::serving("failures").bind("127.0.0.1:0").start();
    let stream = TcpStream::connect(scoter.tcp_address()).expect("it listens");
    // Every call on this socket is one that both kinds have.
    let mut peer = Peer::from(UnixStream::from(std::os::fd::OwnedFd::from(stream)));
    let Ending::Reset(_) = peer.packet(&get("/after_first_chunk")).ending() else {
        panic!("looks complete");
    };
    let log = scoter.stop().stderr;
    assert_eq!(log.matches("Broken: after_first_chunk").count(), 1, "{log}");
}

#[test]
fn failure_within_a_body_is_logged_once() {
    let mut scoter = start();
    for name in ["after_first_chunk", "after_first_chunk_announced"] {
        let answer = scoter
            .connect()
            .packet(&get(&format!("/{name}")))
            .ending()
            .bytes();
        assert!(answer.ends_with(b"partial"), "{name}");
        assert_alive(&scoter);
    }
    let log = scoter.stop().stderr;
    assert_eq!(
        log.matches("Broken: after_first_chunk\n").count(),
        1,
        "{log}"
    );
    assert_eq!(
        log.matches("Broken: after_first_chunk_announced\n").count(),
        1,
        "{log}"
    );
}

#[test]
fn failure_in_close_spoils_no_response() {
    let mut scoter = start();
    let reply = ask(&scoter, "in_close");
    assert_eq!((reply.status, &*reply.text()), (200, "complete"));
    assert_alive(&scoter);
    let log = scoter.stop().stderr;
    assert_eq!(log.matches("Broken: in_close").count(), 1, "{log}");
}

#[test]
fn error_handler_may_replace_a_head_that_is_not_sent() {
    let mut scoter = start();
    let reply = ask(&scoter, "replaces");
    assert_eq!((reply.status, &*reply.reason), (503, "Replaced"));
    assert_eq!(
        (reply.header("X-First"), reply.header("X-Second")),
        (None, Some("2"))
    );
    assert_eq!(reply.text(), "replaced");
    let log = scoter.stop().stderr;
    assert!(
        !log.contains("Traceback"),
        "handled by the application: {log}"
    );
}

#[test]
fn error_handler_gets_its_exception_back_when_the_head_is_sent() {
    let mut scoter = start();
    let answer = scoter
        .connect()
        .packet(&get("/replaces_too_late"))
        .ending()
        .bytes();
    assert!(answer.ends_with(b"\r\n\r\npartial"));
    scoter.stop();
    assert_eq!(scoter.events(), ["raised again: replaces_too_late"]);
}

#[test]
fn body_longer_than_announced_is_cut_to_its_length() {
    let mut scoter = start();
    let reply = ask(&scoter, "too_many_bytes");
    assert_eq!(reply.text(), "01234567");
    assert_eq!(reply.header("Content-Length"), Some("8"));
    scoter.stop();
    // And it isn't asked for more of it.
    assert_eq!(scoter.events(), ["closed"]);
}

#[test]
fn body_shorter_than_announced_ends_early() {
    let mut scoter = start();
    let answer = scoter
        .connect()
        .packet(&get("/too_few_bytes"))
        .ending()
        .bytes();
    assert!(answer.ends_with(b"\r\n\r\nfew"));
    let log = scoter.stop().stderr;
    assert!(
        log.contains("10") && log.contains("/too_few_bytes"),
        "{log}"
    );
}

#[test]
fn failures_on_tcp_are_the_same() {
    let scoter = Scoter::serving("failures").bind("127.0.0.1:0").start();
    let stream = TcpStream::connect(scoter.tcp_address()).expect("it listens");
    assert_eq!(exchange(stream, &get("/before_start")).status, 500);
}
