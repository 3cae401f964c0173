use pyo3::prelude::*;

use crate::harness::{Answer, INTERNAL_SERVER_ERROR, Request, module};

/// Lets an application call `start_response` with these arguments.
fn start_with(arguments: &str) -> Answer {
    Request::new().run(&format!(
        "
def application(environ, start_response):
    start_response({arguments})
    return [b'body']
"
    ))
}

#[test]
fn head_is_what_the_application_gave() {
    let cases = [
        ("'200 OK', []", "HTTP/1.1 200 OK\r\n"),
        (
            "'404 Not There', [('a-B', 'x'), ('Set-Cookie', 'a=1'), ('X', ''), ('set-cookie', 'b')]",
            "HTTP/1.1 404 Not There\r\na-B: x\r\nSet-Cookie: a=1\r\nX: \r\nset-cookie: b\r\n",
        ),
        ("'200', []", "HTTP/1.1 200 OK\r\n"),
        ("'404 ', []", "HTTP/1.1 404 Not Found\r\n"),
        ("'299', []", "HTTP/1.1 299 Unknown\r\n"),
        ("'999 Odd', []", "HTTP/1.1 999 Odd\r\n"),
        (
            r"'200 Caf\xe9\tau lait', [('X', '\xe9\t\x80\xff')]",
            "HTTP/1.1 200 Caf\u{e9}\tau lait\r\nX: \u{e9}\t\u{80}\u{ff}\r\n",
        ),
        (
            r"'200 OK', [('!#$%&\'*+-.^_`|~09', ' v ')]",
            "HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~09:  v \r\n",
        ),
        (
            "status='200 OK', response_headers=[('A', 'b')]",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
        ),
        (
            "'200 OK', [('A', 'b')], None",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
        ),
        ("'200 OK', [], exc_info=None", "HTTP/1.1 200 OK\r\n"),
        ("'200 OK', [], ()", "HTTP/1.1 200 OK\r\n"),
        (
            "type('S', (str,), {})('200 OK'), type('L', (list,), {})([('A', type('S', (str,), {})('b'))])",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
        ),
    ];
    for (arguments, head) in cases {
        let answer = start_with(arguments);
        println!("{arguments}");
        answer.assert_wire(&format!("{head}Content-Length: 4\r\n\r\nbody"));
    }
}

#[test]
fn wrong_types_are_type_errors_in_the_words_of_uwsgi() {
    let cases = [
        ("200, []", "http status must be a string, not int"),
        ("b'200 OK', []", "http status must be a string, not bytes"),
        ("None, []", "http status must be a string, not NoneType"),
        (
            r"'200 \u20ac', []",
            "http status string must be encodable in latin1: '200 €'",
        ),
        (
            r"'200 \udc80', []",
            "http status string must be encodable in latin1: '200 ���'",
        ),
        (
            "'200 OK', ()",
            "http headers must be in a python list, not tuple",
        ),
        (
            "'200 OK', {}",
            "http headers must be in a python list, not dict",
        ),
        (
            "'200 OK', None",
            "http headers must be in a python list, not NoneType",
        ),
        (
            "'200 OK', [['A', 'b']]",
            "http header must be defined in a tuple, not list",
        ),
        (
            "'200 OK', ['A: b']",
            "http header must be defined in a tuple, not str",
        ),
        (
            "'200 OK', [('A',)]",
            "http header must be a 2-item tuple, not one of 1",
        ),
        (
            "'200 OK', [('A', 'b', 'c')]",
            "http header must be a 2-item tuple, not one of 3",
        ),
        (
            "'200 OK', [(b'A', 'b')]",
            "http header key must be a string, not bytes",
        ),
        (
            "'200 OK', [('X-Count', 1)]",
            "http header value must be a string, not int: 'X-Count'",
        ),
        (
            "'200 OK', [('X', None)]",
            "http header value must be a string, not NoneType: 'X'",
        ),
        (
            r"'200 OK', [('X\u20ac', 'b')]",
            "http header must be encodable in latin1: 'X€'",
        ),
        (
            r"'200 OK', [('X', '\u20ac')]",
            "http header must be encodable in latin1: 'X'",
        ),
        (
            "'200 OK'",
            "StartResponse.__call__() missing 1 required positional argument",
        ),
        (
            "'200 OK', [], headers=[]",
            "StartResponse.__call__() got an unexpected keyword",
        ),
    ];
    for (arguments, message) in cases {
        println!("{arguments}");
        let answer = start_with(arguments);
        answer.assert_500("Call application TypeError(");
        assert!(
            answer.failures[0].contains(message),
            "{:?}",
            answer.failures
        );
    }
}

#[test]
fn text_that_would_break_the_response_is_a_value_error() {
    let cases = [
        ("'', []", "not ''"),
        ("'2', []", "not '2'"),
        ("'20 OK', []", "not '20 OK'"),
        ("'abc', []", "not 'abc'"),
        ("'200OK', []", "not '200OK'"),
        ("'2000 OK', []", "not '2000 OK'"),
        ("'099 Low', []", "not '099 Low'"),
        ("'+20 OK', []", "not '+20 OK'"),
        (" ' 200 OK', []", "not ' 200 OK'"),
        (r"'200\tOK', []", r"not '200\\tOK'"),
        (r"'200 OK\r\nInj: 1', []", r"not '200 OK\\r\\nInj: 1'"),
        (r"'200 OK\x00', []", r"not '200 OK\\0'"),
        (r"'200 OK\x7f', []", r"not '200 OK\\u{7f}'"),
        ("'100 Continue', []", "http status 100 is interim"),
        ("'103 Early Hints', []", "http status 103 is interim"),
        ("'200 OK', [('', 'b')]", "http header key '' is not a token"),
        (
            "'200 OK', [(' A', 'b')]",
            "http header key ' A' is not a token",
        ),
        (
            "'200 OK', [('A:', 'b')]",
            "http header key 'A:' is not a token",
        ),
        (
            r"'200 OK', [('A\r\nB', 'b')]",
            r"http header key 'A\\r\\nB' is not a token",
        ),
        (
            r"'200 OK', [('\xc9t', 'b')]",
            "http header key 'Ét' is not a token",
        ),
        (
            r"'200 OK', [('A', 'b\r\nInj: 1')]",
            "'A' has the control character 0x0d at position 1",
        ),
        (
            r"'200 OK', [('A', 'b\nInj: 1')]",
            "'A' has the control character 0x0a at position 1",
        ),
        (
            r"'200 OK', [('A', '\x00')]",
            "'A' has the control character 0x00 at position 0",
        ),
        (
            r"'200 OK', [('A', 'secret\x7f')]",
            "'A' has the control character 0x7f at position 6",
        ),
        (
            "'200 OK', [('Content-Length', 'four')]",
            "'Content-Length' must be made of digits",
        ),
        (
            "'200 OK', [('Content-Length', '')]",
            "'Content-Length' must be made of digits",
        ),
        (
            "'200 OK', [('Content-Length', '+4')]",
            "'Content-Length' must be made of digits",
        ),
        (
            "'200 OK', [('Content-Length', ' 4')]",
            "'Content-Length' must be made of digits",
        ),
        (
            "'200 OK', [('content-length', '9223372036854775808')]",
            "is larger than 2^63-1",
        ),
        (
            "'200 OK', [('Content-Length', '4'), ('content-length', '5')]",
            "is given as 4 and as 5",
        ),
    ];
    for (arguments, message) in cases {
        println!("{arguments}");
        let answer = start_with(arguments);
        answer.assert_500("Call application ValueError(");
        assert!(
            answer.failures[0].contains(message),
            "{:?}",
            answer.failures
        );
        assert!(
            !answer.failures[0].contains("secret"),
            "a value may be a secret"
        );
    }
}

#[test]
fn failed_check_changes_nothing() {
    Request::new()
        .run(
            r"
def application(environ, start_response):
    try:
        start_response('201 Created', [('A', 'b'), ('C', 'd\n')])
    except ValueError:
        start_response('200 OK', [('E', 'f')])
    try:
        raise KeyError
    except KeyError:
        import sys
        try:
            start_response('500 Oops', [('G', 'h'), ('', '')], sys.exc_info())
        except ValueError:
            pass
    return [b'x']
",
        )
        .assert_wire("HTTP/1.1 200 OK\r\nE: f\r\nContent-Length: 1\r\n\r\nx");
}

#[test]
fn headers_that_are_the_servers_own_are_dropped() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [
        ('Connection', 'close'), ('keep-alive', 'x'), ('A', '1'), ('TE', 'x'), ('Trailer', 'x'),
        ('Trailers', 'x'), ('TRANSFER-ENCODING', 'chunked'), ('Upgrade', 'x'),
        ('Proxy-Authenticate', 'x'), ('Proxy-Authorization', 'x'), ('Proxy-Connection', 'x'),
        ('Status', '404'), ('Date', 'now'), ('Server', 'mine')])
    return [b'x']
",
    );
    answer.assert_wire(
        "HTTP/1.1 200 OK\r\nA: 1\r\nDate: now\r\nServer: mine\r\nContent-Length: 1\r\n\r\nx",
    );
    let corrections = format!("{:?}", answer.completed.corrections);
    for name in [
        "Connection",
        "keep-alive",
        "TE",
        "Trailer",
        "Trailers",
        "TRANSFER-ENCODING",
        "Upgrade",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Status",
    ] {
        assert!(
            corrections.contains(&format!("HeaderDropped {{ name: \"{name}\" }}")),
            "{name}"
        );
    }
    assert_eq!(answer.completed.corrections.len(), 11);
}

#[test]
fn protocol_switch_keeps_its_headers_and_has_no_length() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    write = start_response('101 Switching Protocols', [
        ('Upgrade', 'websocket'), ('Connection', 'Upgrade'), ('Content-Length', '9'),
        ('Keep-Alive', 'x')])
    write(b'frame')
    return []
",
    );
    answer.assert_wire(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframe",
    );
}

#[test]
fn equal_content_lengths_become_one() {
    start_with("'200 OK', [('Content-Length', '4'), ('A', 'b'), ('CONTENT-LENGTH', '04')]")
        .assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nA: b\r\n\r\nbody");
}

#[test]
fn second_call_without_exc_info_is_an_error() {
    Request::new()
        .run(
            "
def application(environ, start_response):
    start_response('200 OK', [])
    start_response('200 OK', [])
    return []
",
        )
        .assert_500(
            "Call application \
             AssertionError('start_response() called twice without exc_info')",
        );
}

#[test]
fn exc_info_replaces_a_head_that_has_not_left() {
    let answer = Request::new().run(
        "
import sys
def application(environ, start_response):
    start_response('200 OK', [('A', 'b'), ('Content-Length', '100'), ('Upgrade', 'x')])
    try:
        1 / 0
    except ZeroDivisionError:
        start_response('503 Sorry', [('C', 'd')], sys.exc_info())
    return [b'sorry']
",
    );
    answer.assert_wire("HTTP/1.1 503 Sorry\r\nC: d\r\nContent-Length: 5\r\n\r\nsorry");
    assert_eq!(answer.completed.status, 503);
    assert_eq!(answer.completed.corrections, []);
}

#[test]
fn exc_info_on_the_first_call_is_fine() {
    Request::new()
        .run(
            "
import sys
def application(environ, start_response):
    try:
        1 / 0
    except ZeroDivisionError:
        start_response('500 Oops', [], exc_info=sys.exc_info())
    return [b'oops']
",
        )
        .assert_wire("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops");
}

#[test]
fn exc_info_is_raised_once_the_head_has_left() {
    let answer = Request::new().run(
        "
import sys, traceback
seen = []
def fail():
    raise KeyError('original')
def application(environ, start_response):
    start_response('200 OK', [])
    yield b'part'
    try:
        fail()
    except KeyError:
        try:
            start_response('500 Oops', [], sys.exc_info())
        except KeyError as e:
            names = [frame.name for frame in traceback.extract_tb(e.__traceback__)]
            seen.append((str(e), 'fail' in names))
            raise
",
    );
    assert_eq!(answer.wire, "HTTP/1.1 200 OK\r\n\r\npart");
    assert_eq!(answer.seen, r#"[("'original'", True)]"#);
    assert_eq!(
        answer.failures,
        ["Iterate application KeyError('original')"]
    );
}

#[test]
fn exc_info_that_is_none_is_a_type_error() {
    for (exc_info, message) in [
        (
            "'truthy'",
            "exc_info must be a (type, value, traceback) tuple, not str",
        ),
        (
            "(1, 2)",
            "exc_info must be a (type, value, traceback) tuple, not tuple",
        ),
        (
            "(KeyError, 'not an exception', None)",
            "exceptions must derive from BaseException",
        ),
    ] {
        let answer = Request::new().run(&format!(
            "
seen = ''
def application(environ, start_response):
    global seen
    write = start_response('200 OK', [])
    write(b'x')
    try:
        start_response('500 Oops', [], {exc_info})
    except TypeError as e:
        seen = str(e)
    return []
"
        ));
        assert_eq!(answer.seen, message);
    }
}

#[test]
fn exc_info_is_not_kept() {
    let answer = Request::new().run(
        "
import gc, sys, weakref
seen = None
class Local: pass
def fail(start_response):
    local = Local()
    global seen
    seen = weakref.ref(local)
    try:
        1 / 0
    except ZeroDivisionError:
        start_response('500 Oops', [], sys.exc_info())
def application(environ, start_response):
    global seen
    fail(start_response)
    gc.collect()
    seen = seen() is None
    return [b'']
",
    );
    assert_eq!(answer.seen, "True");
}

#[test]
fn calls_after_the_end_are_errors() {
    Python::attach(|py| {
        let module = module(
            py,
            "
kept = None
def application(environ, start_response):
    global kept
    kept = start_response, start_response('200 OK', [])
    return []
def late():
    messages = []
    for call in [lambda: kept[0]('200 OK', []), lambda: kept[1](b'late')]:
        try:
            call()
        except RuntimeError as e:
            messages.append(str(e))
    return messages
",
        );
        let answer = Request::new().answer(py, &module);
        answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let messages: Vec<String> = module
            .getattr("late")
            .unwrap()
            .call0()
            .unwrap()
            .extract()
            .unwrap();
        assert_eq!(
            messages,
            [
                "start_response() called after the end of the request",
                "write() called after the end of the request",
            ]
        );
    });
}

#[test]
fn hostile_objects_do_no_more_than_fail() {
    for hostile in [
        "type('S', (str,), {'encode': None, '__str__': None, '__repr__': None})('200 OK'), 5",
        "type('M', (type,), {'__name__': property(lambda s: 1 / 0)})('X', (), {})(), []",
        "type('M', (type,), {'__name__': 7})('X', (), {})(), []",
        "'200 OK', [type('T', (tuple,), {'__len__': lambda s: 1 / 0})()]",
        "'200 OK', [], type('E', (), {'__bool__': lambda s: 1 / 0})()",
        "'200 OK', [('A' * 100_000, 'b c'), ('A A' * 100_000, 'b')]",
    ] {
        let answer = start_with(hostile);
        assert_eq!(answer.wire, INTERNAL_SERVER_ERROR, "{hostile}");
        assert!(answer.failures[0].len() < 300, "{hostile}");
    }
}
