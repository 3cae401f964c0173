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

/// Applications that send `full`, and then do something else.
const BEHIND_THE_END: [(&str, &str); 6] = [
    ("exception", "write(b'full'); raise KeyError"),
    ("exit", "write(b'full'); raise SystemExit"),
    (
        "another part",
        "write(b'fu'); write(b'll'); write(b'more'); return []",
    ),
    ("exception of the iterator", "return Parts(KeyError)"),
    ("another part of the iterator", "return Parts(None)"),
    ("exception of close", "return Closing([b'full'])"),
];

fn behind_the_end(body: &str) -> String {
    format!(
        "
class Parts:
    def __init__(self, error): self.error = error
    def __iter__(self):
        yield b'fu'
        yield b'll'
        if self.error: raise self.error
        yield b'more'
class Closing(list):
    def __iter__(self): return iter([b'fu', b'll'])
    def close(self): raise KeyError
def application(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '4')])
    {body}
"
    )
}

/// The client may have sent its next request by then.
#[test]
fn what_comes_behind_a_complete_response_does_not_end_the_connection() {
    for (name, body) in BEHIND_THE_END {
        let answer = Request::new().keep_alive().run(&behind_the_end(body));
        assert_eq!(answer.completed.end, ResponseEnd::Complete, "{name}");
        assert_eq!(
            answer.completed.persistence,
            Persistence::KeepAlive,
            "{name}"
        );
        assert!(answer.wire.ends_with("\r\n\r\nfull"), "{name}");
        let logged = answer.failures.len() + answer.completed.corrections.len();
        assert_eq!(logged, 1, "{name}");
    }
}

#[test]
fn client_that_speaks_behind_a_complete_response_begins_its_next_request() {
    for (name, body) in BEHIND_THE_END {
        // Once before the head, once before the last part.
        let peer = Peer::quiet(2);
        let request = Request::new().keep_alive().peer(&peer);
        let answer = request.run(&behind_the_end(body));
        let kept = answer.completed.persistence;
        assert_eq!(kept, Persistence::KeepAlive, "{name}");
    }
}

#[test]
fn connection_is_given_back_with_the_last_byte_of_its_response() {
    for (name, body) in BEHIND_THE_END {
        let peer = Peer::taking_back();
        let request = Request::new().keep_alive().peer(&peer);
        let answer = request.run(&behind_the_end(body));
        assert_eq!(answer.completed.end, ResponseEnd::TakenBack, "{name}");
        assert_eq!(answer.completed.status, 200, "{name}");
        assert_eq!(answer.completed.body_bytes, 4, "{name}");
        assert!(answer.completed.tail.out.is_empty(), "{name}");
        assert_eq!(peer.taken_back(), [peer.sends().len()], "{name}");
        assert!(peer.sends().concat().ends_with(b"full"), "{name}");
    }
}

#[test]
fn connection_that_ends_with_its_response_is_not_given_back() {
    for (name, body) in BEHIND_THE_END {
        let peer = Peer::taking_back();
        Request::new().peer(&peer).run(&behind_the_end(body));
        assert!(peer.taken_back().is_empty(), "{name}");
    }
    // The server sends what a list leaves, and knows itself when that is done.
    let peer = Peer::taking_back();
    let request = Request::new().keep_alive().peer(&peer);
    let answer = request.run(&application("200 OK", "[]", "return [b'hello']"));
    assert_eq!(answer.completed.end, ResponseEnd::Complete);
    assert!(peer.taken_back().is_empty());
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
