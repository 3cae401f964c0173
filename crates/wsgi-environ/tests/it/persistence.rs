//! Which responses leave a connection that can be kept, and what their heads say of it.

use bytes::Bytes;
use wsgi_environ::{Body, Persistence, ResponseEnd};

use crate::harness::{Give, Peer, Request};

const KEEP_ALIVE: &str = "Connection: keep-alive\r\n";

/// An application that starts its response so, and then runs `body`.
fn application(status: &str, headers: &str, body: &str) -> String {
    format!(
        "
class Unsized:
    def __iter__(self): return iter([b'he', b'llo'])
def application(environ, start_response):
    write = start_response('{status}', {headers})
    {body}
"
    )
}

#[test]
fn response_whose_end_is_known_from_its_head_is_followed_by_another() {
    let (get, head) = (
        Request::new as fn() -> Request,
        Request::head as fn() -> Request,
    );
    for (name, request, status, headers, body, kept) in [
        ("list", get, "200 OK", "[]", "return [b'hello']", true),
        ("empty", get, "200 OK", "[]", "return []", true),
        (
            "length",
            get,
            "200 OK",
            "[('Content-Length', '5')]",
            "return Unsized()",
            true,
        ),
        ("no length", get, "200 OK", "[]", "return Unsized()", false),
        (
            "write",
            get,
            "200 OK",
            "[('Content-Length', '5')]",
            "write(b'hello'); return []",
            true,
        ),
        (
            "write without length",
            get,
            "200 OK",
            "[]",
            "write(b'hello'); return []",
            false,
        ),
        (
            "too long",
            get,
            "200 OK",
            "[('Content-Length', '4')]",
            "return Unsized()",
            true,
        ),
        (
            "list too long",
            get,
            "200 OK",
            "[('Content-Length', '4')]",
            "return [b'hello']",
            true,
        ),
        (
            "head",
            head,
            "200 OK",
            "[('Content-Length', '5')]",
            "return []",
            true,
        ),
        (
            "head with a body",
            head,
            "200 OK",
            "[('Content-Length', '5')]",
            "return [b'hello']",
            true,
        ),
        (
            "head without length",
            head,
            "200 OK",
            "[]",
            "return Unsized()",
            true,
        ),
        ("204", get, "204 No Content", "[]", "return []", true),
        (
            "204 with a body",
            get,
            "204 No Content",
            "[]",
            "return [b'hello']",
            true,
        ),
        (
            "204 with a length",
            get,
            "204 No Content",
            "[('Content-Length', '5')]",
            "return []",
            true,
        ),
        (
            "205",
            get,
            "205 Reset Content",
            "[]",
            "return [b'hello']",
            true,
        ),
        (
            "304",
            get,
            "304 Not Modified",
            "[('Content-Length', '5')]",
            "return []",
            true,
        ),
        (
            "101",
            get,
            "101 Switching Protocols",
            "[('Upgrade', 'x')]",
            "return []",
            false,
        ),
        (
            "failure status",
            get,
            "500 Oops",
            "[]",
            "return [b'hello']",
            true,
        ),
    ] {
        let answer = request()
            .keep_alive()
            .run(&application(status, headers, body));
        let expected = if kept {
            Persistence::KeepAlive
        } else {
            Persistence::Close
        };
        assert_eq!(
            answer.completed.persistence, expected,
            "{name}: {}",
            answer.wire
        );
        assert_eq!(
            answer.wire.matches(KEEP_ALIVE).count(),
            usize::from(kept),
            "{name}"
        );
        // Nobody has asked.
        let answer = request().run(&application(status, headers, body));
        assert_eq!(answer.completed.persistence, Persistence::Close, "{name}");
        assert!(!answer.wire.contains("keep-alive"), "{name}");
    }
}

#[test]
fn response_that_did_not_go_well_is_the_last_one() {
    for (name, status, headers, body) in [
        ("exception", "200 OK", "[]", "raise KeyError"),
        (
            "exception behind the head",
            "200 OK",
            "[('Content-Length', '9')]",
            "write(b'part'); raise KeyError",
        ),
        (
            "exception behind the body",
            "200 OK",
            "[('Content-Length', '4')]",
            "write(b'part'); raise KeyError",
        ),
        (
            "too short",
            "200 OK",
            "[('Content-Length', '9')]",
            "return [b'part']",
        ),
        (
            "too short, in pieces",
            "200 OK",
            "[('Content-Length', '9')]",
            "return Unsized()",
        ),
        ("no bytes", "200 OK", "[]", "return ['text']"),
        ("nothing", "200 OK", "[]", "return None"),
        (
            "bad length",
            "200 OK",
            "[('Content-Length', 'x')]",
            "return []",
        ),
    ] {
        let answer = Request::new()
            .keep_alive()
            .run(&application(status, headers, body));
        assert_eq!(answer.completed.persistence, Persistence::Close, "{name}");
        assert!(!answer.failures.is_empty(), "{name}");
    }
}

#[test]
fn exception_of_close_ends_the_connection() {
    let answer = Request::new().keep_alive().run(
        "
class Result(list):
    def close(self): raise KeyError
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '4')])
    return Result([b'full'])
",
    );
    assert_eq!(answer.completed.end, ResponseEnd::Complete);
    assert_eq!(answer.completed.persistence, Persistence::Close);
}

#[test]
fn application_has_no_say() {
    let headers = "[('Connection', 'keep-alive'), ('Keep-Alive', 'timeout=5')]";
    let answer = Request::new().run(&application("200 OK", headers, "return [b'hello']"));
    assert_eq!(answer.completed.persistence, Persistence::Close);
    assert!(!answer.wire.contains("eep-"), "{}", answer.wire);
    let headers = "[('Connection', 'close')]";
    let answer =
        Request::new()
            .keep_alive()
            .run(&application("200 OK", headers, "return [b'hello']"));
    assert_eq!(answer.completed.persistence, Persistence::KeepAlive);
    assert!(!answer.wire.contains("close"), "{}", answer.wire);
}

#[test]
fn client_that_speaks_before_the_response_is_complete_is_answered_for_the_last_time() {
    let list = application("200 OK", "[]", "return [b'hello']");
    let pieces = application("200 OK", "[('Content-Length', '5')]", "return Unsized()");
    for (name, source, quiet, says_so) in [
        ("before the head", &list, 0, false),
        ("before the head, in pieces", &pieces, 0, false),
        // The head has left by then.
        ("before the last piece", &pieces, 1, true),
    ] {
        let peer = Peer::quiet(quiet);
        let answer = Request::new().keep_alive().peer(&peer).run(source);
        assert_eq!(answer.completed.persistence, Persistence::Close, "{name}");
        assert_eq!(answer.wire.contains(KEEP_ALIVE), says_so, "{name}");
        assert!(answer.wire.ends_with("hello"), "{name}");
    }
}

#[test]
fn what_is_left_of_the_body_in_the_connection_is_no_request() {
    let body = Body::streamed(Bytes::new(), 9, Peer::giving([Give::Bytes(b"part")]));
    let answer = Request::new().body(body).keep_alive().run(&application(
        "200 OK",
        "[]",
        "return [environ['wsgi.input'].read(4)]",
    ));
    assert_eq!(answer.completed.persistence, Persistence::Close);
}
