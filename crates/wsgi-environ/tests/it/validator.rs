//! The first judge: `wsgiref.validate` around applications of every kind.

use bytes::Bytes;
use wsgi_environ::{Body, ResponseEnd};

use crate::harness::{Give, Request};

#[test]
fn validator_has_nothing_to_object() {
    let cases = [
        (
            "function",
            "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'body']
",
        ),
        (
            "class",
            "
class application:
    def __init__(self, environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
    def __iter__(self):
        yield b'bo'
        yield b'dy'
",
        ),
        (
            "instance",
            "
class Application:
    def __call__(self, environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return (b'body',)
application = Application()
",
        ),
        (
            "generator",
            "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    yield b''
    yield b'body'
",
        ),
        (
            "write",
            "
def application(environ, start_response):
    write = start_response('200 OK', [('Content-Type', 'text/plain')])
    write(b'bo')
    return [b'dy']
",
        ),
        (
            "exc_info",
            "
import sys
def application(environ, start_response):
    start_response('404 Not Found', [('Content-Type', 'text/html')])
    try:
        1 / 0
    except ZeroDivisionError:
        start_response('200 OK', [('Content-Type', 'text/plain')], sys.exc_info())
    return [b'body']
",
        ),
        (
            "errors",
            "
def application(environ, start_response):
    environ['wsgi.errors'].write('a line\\n')
    environ['wsgi.errors'].writelines(['more\\n', 'lines\\n'])
    environ['wsgi.errors'].flush()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'body']
",
        ),
        (
            "file_wrapper",
            "
import io
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return environ['wsgi.file_wrapper'](io.BytesIO(b'body'), 2)
",
        ),
        (
            "reads",
            "
def application(environ, start_response):
    read = environ['wsgi.input']
    data = [read.read(1), read.readline(), read.readline(2), *read.readlines(1), next(iter(read))]
    assert read.read(-1) == b'', data
    assert data == [b'b', b'od\\n', b'bo', b'dy\\n', b'body'], data
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [data[-1]]
",
        ),
        (
            "reads all",
            "
def application(environ, start_response):
    data = environ['wsgi.input'].read(-1)
    assert data == b'bod\\nbody\\nbody', data
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [data[-4:]]
",
        ),
    ];
    const BODY: &[u8] = b"bod\nbody\nbody";
    for (name, source) in cases {
        let source = format!(
            "{source}
import warnings
from wsgiref.validate import validator, WSGIWarning
warnings.simplefilter('error', WSGIWarning)
application = validator(application)
"
        );
        let request = || {
            Request::new()
                .var("REQUEST_METHOD", "POST")
                .var("CONTENT_LENGTH", "13")
                .var("CONTENT_TYPE", "text/plain")
        };
        for (how, request) in [
            (
                "buffered",
                request().body(Body::buffered(Bytes::from_static(BODY))),
            ),
            (
                "streamed",
                request().giving(13, BODY.chunks(4).map(Give::Bytes)),
            ),
        ] {
            let answer = request.run(&source);
            assert_eq!(answer.failures, [""; 0], "{name}, {how}");
            assert_eq!(answer.completed.end, ResponseEnd::Complete, "{name}, {how}");
            assert_eq!(answer.body(), "body", "{name}, {how}");
            assert_eq!(answer.head()[0], "HTTP/1.1 200 OK", "{name}, {how}");
        }
    }
}

#[test]
fn validator_accepts_the_barest_packet() {
    use pyo3::prelude::*;
    use pyo3::types::PyDict;
    use wsgi_environ::{Input, RequestId, ScriptName};

    use crate::harness::{Log, builder, eval, packet};

    Python::attach(|py| {
        let errors = Bound::new(py, Log::default().errors()).unwrap();
        let input = Input::new(py, Body::empty()).unwrap();
        let packet = packet::<&str, &str>(&[]);
        let environ = builder(py, &errors)
            .build(
                py,
                packet.vars.as_ref(),
                ScriptName::AsSent,
                RequestId::Sent,
                &input,
            )
            .unwrap();
        let names = PyDict::new(py);
        names.set_item("environ", environ).unwrap();
        let check = "__import__('wsgiref.validate').validate.check_environ(environ)";
        assert_eq!(eval(py, check, &names), "None");
    });
}
