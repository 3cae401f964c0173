//! How requests end: well, with an exception, or because the client left.

use std::io::ErrorKind;

use wsgi_environ::{ResponseAuthor, ResponseEnd};

use crate::harness::{Give, INTERNAL_SERVER_ERROR, Peer, Request, Take};

#[test]
fn exception_after_the_head_cuts_the_response_short() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '10')])
    yield b'part'
    raise KeyError('late')
",
    );
    assert_eq!(
        answer.wire,
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart"
    );
    assert_eq!(answer.completed.end, ResponseEnd::CutShort);
    assert_eq!(answer.completed.status, 200);
    assert_eq!(answer.completed.author, ResponseAuthor::Application);
    assert_eq!(answer.completed.body_bytes, 4);
    assert_eq!(answer.failures, ["Iterate application KeyError('late')"]);
}

#[test]
fn exception_after_the_whole_body_cuts_nothing() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '4')])
    yield b'full'
    raise KeyError('late')
",
    );
    assert_eq!(answer.completed.end, ResponseEnd::Complete);
    assert_eq!(answer.failures, ["Iterate application KeyError('late')"]);
}

/// An application whose result logs what is done with it.
fn closable(next: &str, close: &str) -> String {
    format!(
        "
seen = []
class Result:
    def __init__(self): self.count = 0
    def __iter__(self): return self
    def __next__(self):
        self.count += 1
        seen.append('next')
        {next}
    def close(self):
        seen.append('close')
        {close}
def application(environ, start_response):
    start_response('200 OK', [])
    return Result()
"
    )
}

#[test]
fn close_is_called_once_however_it_ends() {
    let gone = || Peer::taking([Take::Error(ErrorKind::BrokenPipe)]);
    let cases = [
        (
            "raise StopIteration",
            "pass",
            Request::new(),
            "['next', 'close']",
        ),
        (
            "raise KeyError",
            "pass",
            Request::new(),
            "['next', 'close']",
        ),
        ("return 'text'", "pass", Request::new(), "['next', 'close']"),
        (
            "return b'x'",
            "pass",
            Request::new().peer(&gone()),
            "['next', 'close']",
        ),
        ("return b'x'", "pass", Request::head(), "['next', 'close']"),
        (
            "raise SystemExit",
            "raise SystemExit",
            Request::new(),
            "['next', 'close']",
        ),
        (
            "if self.count == 3: raise KeyError\n        return b'x'",
            "pass",
            Request::new(),
            "['next', 'next', 'next', 'close']",
        ),
    ];
    for (next, close, request, seen) in cases {
        let answer = request.run(&closable(next, close));
        assert_eq!(answer.seen, seen, "{next}");
    }

    let answer = Request::new().run(
        "
seen = []
class Result(list):
    def close(self): seen.append('close')
class NotIterable:
    def close(self): seen.append('close')
def application(environ, start_response):
    start_response('200 OK', [])
    return (NotIterable if environ['QUERY_STRING'] else Result)()
",
    );
    assert_eq!(answer.seen, "['close']");
    let answer = Request::new().run(&closable("pass", "pass").replace(
        "def __iter__(self): return self",
        "def __iter__(self): 1 / 0",
    ));
    assert_eq!(answer.seen, "['close']");
    answer.assert_500("Iterate application ZeroDivisionError");
    let answer = Request::new().run(&closable("pass", "pass").replace("__iter__", "iterate"));
    assert_eq!(answer.seen, "['close']");
    answer.assert_500("Violation application the application returned Result");
}

#[test]
fn generator_is_closed_when_the_client_is_gone() {
    let peer = Peer::taking([
        Take::Bytes(usize::MAX),
        Take::Error(ErrorKind::ConnectionReset),
    ]);
    let answer = Request::new().peer(&peer).run(
        "
seen = []
def application(environ, start_response):
    start_response('200 OK', [])
    try:
        for n in range(1000):
            seen.append(n)
            yield b'chunk'
    finally:
        seen.append('finally')
",
    );
    assert_eq!(answer.seen, "[0, 1, 'finally']");
    assert_eq!(answer.completed.end, ResponseEnd::PeerGone);
    assert_eq!(answer.failures, [""; 0]);
    assert_eq!(answer.completed.body_bytes, 5);
}

#[test]
fn client_that_takes_nothing_for_too_long_ends_the_iteration() {
    let peer = Peer::taking([Take::Bytes(7), Take::Stall(ErrorKind::TimedOut)]);
    let answer = Request::new().peer(&peer).run(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    while True:
        yield b'chunk' * 10_000
",
    );
    assert_eq!(answer.completed.end, ResponseEnd::PeerStalled);
    assert_eq!(answer.completed.body_bytes, 0);
    assert_eq!(answer.failures, [""; 0]);
}

#[test]
fn exception_in_close_is_a_failure_of_its_own() {
    let answer = Request::new().run(&closable("raise StopIteration", "raise KeyError('close')"));
    assert_eq!(answer.wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.completed.end, ResponseEnd::Complete);
    assert_eq!(answer.failures, ["Close application KeyError('close')"]);

    let answer = Request::new().run(&closable(
        "raise ValueError('next')",
        "raise KeyError('close')",
    ));
    assert_eq!(answer.wire, INTERNAL_SERVER_ERROR);
    assert_eq!(
        answer.failures,
        [
            "Iterate application ValueError('next')",
            "Close application KeyError('close')"
        ]
    );
}

#[test]
fn body_that_cannot_be_read_is_the_clients_fault() {
    let reading = "
def application(environ, start_response):
    data = environ['wsgi.input'].read()
    start_response('200 OK', [])
    return [data]
";
    let cases = [
        (vec![Give::Bytes(b"ab")], 400, "Bad Request"),
        (
            vec![Give::Error(ErrorKind::ConnectionReset)],
            400,
            "Bad Request",
        ),
        (
            vec![Give::Error(ErrorKind::TimedOut)],
            408,
            "Request Timeout",
        ),
    ];
    for (gives, status, reason) in cases {
        let answer = Request::new().giving(5, gives).run(reading);
        assert_eq!(answer.completed.status, status);
        let length = reason.len() + 1;
        assert_eq!(
            answer.wire,
            format!(
                "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\n\
                 Content-Length: {length}\r\n\r\n{reason}\n"
            )
        );
        assert_eq!(answer.failures.len(), 1);
        assert!(
            answer.failures[0].starts_with("Call peer "),
            "{:?}",
            answer.failures
        );
        assert!(answer.completed.input.failed.is_some());
    }
}

#[test]
fn application_that_copes_with_a_short_body_is_served() {
    let answer = Request::new().giving(5, [Give::Bytes(b"ab")]).run(
        "
def application(environ, start_response):
    try:
        environ['wsgi.input'].read()
    except OSError:
        start_response('422 Short', [])
        return [environ['wsgi.input'].read(2)]
",
    );
    answer.assert_wire("HTTP/1.1 422 Short\r\nContent-Length: 2\r\n\r\nab");
}

#[test]
fn unread_body_is_reported() {
    let answer = Request::new()
        .giving(100, [Give::Bytes(b"0123456789")])
        .run(
            "
def application(environ, start_response):
    environ['wsgi.input'].read(4)
    start_response('413 Too Much', [])
    return [b'no']
",
        );
    answer.assert_wire("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(answer.completed.input.unread, 96);
}

#[test]
fn error_log_is_complete_when_the_request_is() {
    let answer = Request::new().run(
        "
class Result:
    def __init__(self, errors): self.errors = errors
    def __iter__(self): return iter([])
    def close(self): self.errors.write('closing')
def application(environ, start_response):
    environ['wsgi.errors'].write('started\\n')
    start_response('200 OK', [])
    return Result(environ['wsgi.errors'])
",
    );
    assert_eq!(answer.log, "started\nclosing\n");
}

#[test]
fn objects_with_destructors_that_call_back_do_no_harm() {
    let answer = Request::new().run(
        "
seen = []
class Loud(bytes):
    def __del__(self):
        for call in self.calls:
            try:
                seen.append(call())
            except BaseException as e:
                seen.append(type(e).__name__)
def application(environ, start_response):
    write = start_response('200 OK', [])
    chunk = Loud(b'loud')
    chunk.calls = [lambda: write(b'late'), lambda: start_response('200 OK', []),
                   environ['wsgi.input'].read]
    environ['loud'] = chunk
    write(chunk)
    del chunk
    return [b'end']
",
    );
    // The environ goes when the application returns: before the end of the response.
    answer.assert_wire("HTTP/1.1 200 OK\r\n\r\nloudlateend");
    assert_eq!(answer.seen, "[None, 'AssertionError', b'']");
}

#[test]
fn close_comes_too_late_to_change_the_response() {
    let answer = Request::new().run(
        "
class Result(list):
    def close(self):
        try:
            write(b'late')
        except RuntimeError:
            start_response('500 Late', [])
def application(environ, start_response_):
    global start_response, write
    start_response = start_response_
    write = start_response('200 OK', [])
    return Result([b'in time'])
",
    );
    assert_eq!(
        answer.wire,
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nin time"
    );
    assert_eq!(
        answer.failures,
        ["Close application \
          RuntimeError('start_response() called after the end of the request')"]
    );
}

#[test]
fn body_can_be_read_until_the_result_is_closed() {
    let answer = Request::new().giving(5, [Give::Bytes(b"hello")]).run(
        "
seen = None
class Result:
    def __init__(self, input): self.input = input
    def __iter__(self): return iter([b'x'])
    def close(self):
        global seen
        seen = self.input.read()
def application(environ, start_response):
    start_response('200 OK', [])
    return Result(environ['wsgi.input'])
",
    );
    assert_eq!(answer.seen, "b'hello'");
    assert_eq!(answer.completed.input.unread, 0);
}
