//! Objects that serve one request after another.

use bytes::Bytes;
use pyo3::prelude::*;
use wsgi_environ::{Body, ObjectCache};

use crate::harness::{Request, module};

fn body(text: &'static str) -> Body {
    Body::buffered(Bytes::from_static(text.as_bytes()))
}

#[test]
fn requests_that_follow_one_another_have_nothing_in_common() {
    Python::attach(|py| {
        let module = module(
            py,
            "
def application(environ, start_response):
    input = environ['wsgi.input']
    assert not input.closed
    write = start_response('200 OK', [])
    try:
        start_response('201 Created', [])
    except AssertionError:
        pass
    write(input.readline())
    return [input.read(), b'!']
",
        );
        let mut object_cache = ObjectCache::default();
        for text in ["first\n1", "second\n2", "third\n3"] {
            let answer =
                Request::new()
                    .body(body(text))
                    .answer_with(py, &module, &mut object_cache);
            answer.assert_wire(&format!("HTTP/1.1 200 OK\r\n\r\n{text}!"));
        }
    });
}

#[test]
#[cfg(not(Py_GIL_DISABLED))]
fn objects_that_nobody_keeps_are_there_for_the_next_request() {
    Python::attach(|py| {
        let module = module(
            py,
            "
def application(environ, start_response):
    start_response('200 OK', [])(b'written')
    return [environ['wsgi.input'].read()]
",
        );
        let mut object_cache = ObjectCache::default();
        let new = format!("{object_cache:?}");
        assert_eq!(new.matches("None").count(), 2, "{new}");
        Request::new()
            .body(body("body"))
            .answer_with(py, &module, &mut object_cache);
        let used = format!("{object_cache:?}");
        assert_eq!(used.matches("Some").count(), 2, "{used}");
    });
}

#[test]
fn object_that_somebody_keeps_never_meets_another_request() {
    for (name, keep, late_use) in [
        ("wsgi.input", "environ['wsgi.input']", "kept.read()"),
        ("a method of it", "environ['wsgi.input'].read", "kept()"),
        ("start_response", "start_response", "kept('500 Late', [])"),
        ("write", "write", "kept(b'late')"),
        ("the environ", "environ", "kept['wsgi.input'].read()"),
        (
            "a frame",
            "sys._getframe()",
            "kept.f_locals['write'](b'late')",
        ),
        (
            "a cycle",
            "Cycle(start_response)",
            "kept.held('500 Late', [])",
        ),
    ] {
        let source = format!(
            "
import sys
class Cycle:
    def __init__(self, held):
        self.held, self.itself = held, self
kept = None
def application(environ, start_response):
    global kept, seen
    if kept is None:
        write = start_response('200 OK', [])
        kept = {keep}
        return [b'first']
    try:
        {late_use}
    except (ValueError, RuntimeError) as e:
        seen = str(e)
    start_response('200 OK', [])
    return [environ['wsgi.input'].read()]
"
        );
        Python::attach(|py| {
            let module = module(py, &source);
            let mut object_cache = ObjectCache::default();
            let mut answer = |text| {
                Request::new()
                    .body(body(text))
                    .answer_with(py, &module, &mut object_cache)
            };
            assert_eq!(answer("").body(), "first", "{name}");
            for text in ["second", "third"] {
                let answer = answer(text);
                let over = [
                    "wsgi.input: the request is over",
                    "after the end of the request",
                ];
                let is_over = over.iter().any(|text| answer.seen.ends_with(text));
                assert!(is_over, "{name}: {}", answer.seen);
                assert_eq!(answer.body(), text, "{name}");
            }
        });
    }
}
