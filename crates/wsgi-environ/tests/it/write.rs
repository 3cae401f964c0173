use std::io::ErrorKind;

use wsgi_environ::{HeadState, RemainingBody, ResponseEnd};

use crate::harness::{Peer, Request, Take};

#[test]
fn writes_go_out_in_order_before_the_iterable() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    write = start_response('200 OK', [('A', 'b')])
    assert write(b'one ') is None
    write(b'two ')
    return [b'three ', b'four']
",
    );
    assert_eq!(
        answer.sends,
        [&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\none "[..], b"two "]
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\nA: b\r\n\r\none two three four");
    assert_eq!(answer.completed.head, HeadState::Sent);
}

#[test]
fn empty_write_does_not_send_the_head() {
    let answer = Request::new().run(
        "
import sys
def application(environ, start_response):
    start_response('200 OK', [])(b'')
    try:
        1 / 0
    except ZeroDivisionError:
        start_response('500 Oops', [], sys.exc_info())
    return [b'x']
",
    );
    answer.assert_wire("HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(answer.completed.head, HeadState::InTail);
}

#[test]
fn write_takes_bytes_and_nothing_else() {
    for (argument, type_name) in [
        ("'text'", "str"),
        ("bytearray(b'x')", "bytearray"),
        ("None", "NoneType"),
        ("7", "int"),
    ] {
        Request::new()
            .run(&format!(
                "
def application(environ, start_response):
    start_response('200 OK', [])({argument})
    return []
"
            ))
            .assert_500(&format!(
                "Call application TypeError('write() takes bytes, not {type_name}')"
            ));
    }
}

#[test]
fn write_with_a_head_of_its_own_length_is_cut_to_it() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '5')])
    write(b'abc')
    write(b'defgh')
    write(b'ijk')
    return [b'lmn']
",
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
    assert_eq!(
        format!("{:?}", answer.completed.corrections),
        "[BodyCut { declared: 5, excess: 9 }]"
    );
}

#[test]
fn write_raises_when_the_client_is_gone() {
    let peer = Peer::taking([Take::Bytes(usize::MAX), Take::Error(ErrorKind::BrokenPipe)]);
    let answer = Request::new().peer(&peer).run(
        "
seen = []
def application(environ, start_response):
    write = start_response('200 OK', [])
    write(b'one')
    for _ in range(2):
        try:
            write(b'two')
        except BrokenPipeError as e:
            seen.append(str(e))
    write(b'three')
",
    );
    assert_eq!(
        answer.seen,
        "['the client disconnected', 'the client disconnected']"
    );
    assert_eq!(answer.completed.end, ResponseEnd::PeerGone);
    assert_eq!(answer.completed.body_bytes, 3);
    assert_eq!(
        answer.failures,
        ["Call peer BrokenPipeError('the client disconnected')"]
    );
}

#[test]
fn nothing_is_left_to_send_to_a_client_that_is_gone() {
    for result in [
        "[b'more', b'x' * 100_000]",
        "iter([b'more'])",
        "[]",
        "environ['wsgi.file_wrapper'](open(__import__('os').__file__, 'rb'))",
    ] {
        let peer = Peer::taking([Take::Bytes(usize::MAX), Take::Error(ErrorKind::BrokenPipe)]);
        let answer = Request::new().peer(&peer).run(&format!(
            "
def application(environ, start_response):
    write = start_response('200 OK', [])
    write(b'one')
    try:
        write(b'two')
    except OSError:
        return {result}
"
        ));
        println!("{result}");
        assert_eq!(answer.completed.end, ResponseEnd::PeerGone);
        assert_eq!(answer.completed.body_bytes, 3);
        assert_eq!(answer.completed.tail.out, b"");
        assert!(matches!(answer.completed.tail.body, RemainingBody::Nothing));
        assert_eq!(answer.failures, [""; 0]);
    }
}

#[test]
fn write_raises_when_the_client_stalls() {
    let peer = Peer::taking([Take::Stall(ErrorKind::TimedOut)]);
    let answer = Request::new().peer(&peer).run(
        "
def application(environ, start_response):
    start_response('200 OK', [])(b'one')
    return []
",
    );
    assert_eq!(answer.completed.end, ResponseEnd::PeerStalled);
    assert_eq!(
        answer.failures,
        ["Call peer TimeoutError('the client did not accept the response in time')"]
    );
}

#[test]
fn pieces_that_the_client_takes_slowly_arrive_whole() {
    let takes = [
        Take::Bytes(3),
        Take::Error(ErrorKind::WouldBlock),
        Take::Error(ErrorKind::Interrupted),
        Take::Bytes(16),
        Take::Bytes(1),
        Take::Bytes(2),
    ];
    let peer = Peer::taking(takes);
    let answer = Request::new().peer(&peer).run(
        "
def application(environ, start_response):
    write = start_response('200 OK', [])
    write(b'0123456789')
    write(b'abc')
    return []
",
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\n\r\n0123456789abc");
    assert!(peer.waits() > 0);
}

#[test]
fn large_write_arrives_whole() {
    let peer = Peer::taking([Take::Bytes(100_000), Take::Error(ErrorKind::WouldBlock)]);
    let answer = Request::new().peer(&peer).run(
        "
def application(environ, start_response):
    write = start_response('200 OK', [])
    write(b'x' * 1_000_000)
    return []
",
    );
    assert_eq!(answer.body().len(), 1_000_000);
    answer.assert_wire(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1_000_000)));
}

#[test]
fn head_request_gets_the_head_of_a_written_body() {
    let answer = Request::head().run(
        "
def application(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '6')])
    write(b'abc')
    write(b'def')
    return []
",
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
    assert_eq!(answer.sends.len(), 1);
    assert_eq!(answer.completed.corrections, []);
}
