//! The head of a response as data, for servers that do not speak to nginx.

use std::slice;
use std::sync::Arc;

use wsgi_environ::HeadState;

use crate::harness::{Give, Peer, Request, TakenHead};

/// The text of the same head.
fn text(head: &TakenHead) -> String {
    let mut text = format!("HTTP/1.1 {} {}\r\n", head.status, head.reason);
    for (name, value) in &head.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n"
}

struct Case {
    name: &'static str,
    request: fn() -> Request,
    /// The module with the application.
    source: String,
}

fn cases() -> Vec<Case> {
    let application = |body: &str| {
        format!(
            "
import tempfile
class Unsized:
    def __iter__(self): return iter([b'he', b'', b'llo'])
def start(respond, status='200 OK', *headers): return respond(status, list(headers))
def application(environ, start_response):
    {}
",
            body.replace('\n', "\n    ")
        )
    };
    let get: fn() -> Request = Request::new;
    [
        (
            "a list",
            get,
            "start(start_response); return [b'he', b'llo']",
        ),
        ("nothing", get, "start(start_response); return []"),
        (
            "HEAD",
            Request::head,
            "start(start_response); return [b'hello']",
        ),
        (
            "HEAD without a body",
            Request::head,
            "start(start_response); return []",
        ),
        (
            "an iterator",
            get,
            "start(start_response); return Unsized()",
        ),
        (
            "an iterator with its length",
            get,
            "start(start_response, '200 OK', ('Content-Length', '5')); return Unsized()",
        ),
        (
            "more than announced",
            get,
            "start(start_response, '200 OK', ('content-length', '3')); return [b'hello']",
        ),
        (
            "less than announced",
            get,
            "start(start_response, '200 OK', ('Content-Length', '9')); return [b'hello']",
        ),
        (
            "write",
            get,
            "start(start_response)(b'he'); return [b'llo']",
        ),
        (
            "large parts",
            get,
            "start(start_response); return [b'a' * 100_000, b'b' * 100_000]",
        ),
        (
            "a file",
            get,
            "file = tempfile.TemporaryFile(); file.write(b'hello'); file.seek(1)\n\
             start(start_response); return environ['wsgi.file_wrapper'](file)",
        ),
        (
            "headers as they are",
            get,
            "start(start_response, '404 Gone: fishing', ('X-a', 'b: c'), ('x-A', ''), ('X', '\\xe9\\t'))\n\
             return [b'']",
        ),
        (
            "no reason",
            get,
            "start(start_response, '404 '); return [b'']",
        ),
        (
            "headers that are dropped",
            get,
            "start(start_response, '200 OK', ('Connection', 'x')); return []",
        ),
        (
            "204",
            get,
            "start(start_response, '204 No Content'); return [b'hello']",
        ),
        (
            "304",
            get,
            "start(start_response, '304 Not Modified'); return []",
        ),
        (
            "a head that is replaced",
            get,
            "start(start_response)\n\
             try: 1 / 0\n\
             except ZeroDivisionError:\n    import sys; start_response('503 Sorry', [], sys.exc_info())\n\
             return [b'sorry']",
        ),
        ("an exception", get, "1 / 0"),
        ("an exception for HEAD", Request::head, "1 / 0"),
        (
            "an exception behind a part",
            get,
            "start(start_response)(b'he'); 1 / 0",
        ),
        (
            "an exception of a client's",
            || Request::new().giving(9, [Give::Bytes(b"four")]),
            "start(start_response); environ['wsgi.input'].read()",
        ),
    ]
    .into_iter()
    .map(|(name, request, body)| Case {
        name,
        request,
        source: application(body),
    })
    .collect()
}

#[test]
fn head_as_data_says_what_its_text_says() {
    for case in cases() {
        let Case {
            name,
            request,
            source,
        } = case;
        for kept in [false, true] {
            let run = |peer| {
                let request = request().peer(peer);
                let request = if kept { request.keep_alive() } else { request };
                request.run(&source)
            };
            let (as_text, as_data) = (Arc::default(), Peer::taking_heads());
            let (expected, answer) = (run(&as_text), run(&as_data));
            let [head] = &as_data.heads()[..] else {
                panic!("{name}: offered once, not as {:?}", as_data.heads());
            };
            assert_eq!(text(head) + &answer.wire, expected.wire, "{name}");
            assert_eq!(as_text.heads(), slice::from_ref(head), "{name}");
            let lengths: Vec<_> = head
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map(|(_, value)| value.parse().ok())
                .collect();
            match head.content_length {
                Some(length) => assert_eq!(lengths, [Some(length)], "{name}"),
                None => assert_eq!(lengths, [], "{name}"),
            }

            assert_eq!(answer.failures, expected.failures, "{name}");
            let (completed, expected) = (answer.completed, expected.completed);
            assert_eq!(completed.head, HeadState::Sent, "{name}");
            assert_eq!(completed.status, expected.status, "{name}");
            assert_eq!(completed.body_bytes, expected.body_bytes, "{name}");
            assert_eq!(completed.end, expected.end, "{name}");
            assert_eq!(completed.persistence, expected.persistence, "{name}");
            assert_eq!(completed.corrections, expected.corrections, "{name}");
        }
    }
}
