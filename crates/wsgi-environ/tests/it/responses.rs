//! What an application may return, and what it may not.

use wsgi_environ::{RemainingBody, ResponseEnd};

use crate::harness::{Peer, Request};

#[test]
fn start_response_may_be_called_by_the_first_chunk_at_the_latest() {
    Request::new()
        .run(
            "
def application(environ, start_response):
    yield b''
    start_response('404 Lazy', [])
    yield b''
    yield b'found'
    yield b' nothing'
",
        )
        .assert_wire("HTTP/1.1 404 Lazy\r\n\r\nfound nothing");
}

#[test]
fn lists_are_left_to_the_server_with_their_length() {
    for (result, body) in [
        ("[b'one']", "one"),
        ("[b'one', b'', b'two']", "onetwo"),
        ("(b'one', b'two')", "onetwo"),
        ("b'sent whole'", "sent whole"),
        ("[type('B', (bytes,), {})(b'sub')]", "sub"),
        ("[]", ""),
        ("()", ""),
        ("b''", ""),
        ("[b'']", ""),
    ] {
        println!("{result}");
        let answer = Request::new().run(&format!(
            "
def application(environ, start_response):
    start_response('200 OK', [])
    return {result}
"
        ));
        let length = body.len();
        answer.assert_wire(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(answer.sends.len(), 0);
        assert!(matches!(answer.completed.tail.body, RemainingBody::Nothing));
    }
}

#[test]
fn large_parts_are_not_copied() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'a' * 10, b'b' * 16384, b'c' * 16385, b'd', b'', b'e' * 100_000]
",
    );
    let body = [
        "a".repeat(10),
        "b".repeat(16384),
        "c".repeat(16385),
        "d".into(),
        "e".repeat(100_000),
    ];
    let body = body.concat();
    let length = body.len();
    answer.assert_wire(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let RemainingBody::Chunks(chunks) = &answer.completed.tail.body else {
        panic!("{:?}", answer.completed.tail.body);
    };
    let sizes: Vec<_> = chunks.iter().map(|chunk| chunk.len()).collect();
    assert_eq!(sizes, [16385, 1, 100_000]);
}

#[test]
fn many_small_parts_are_copied_up_to_a_bound() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'x' * 1000] * 1000
",
    );
    assert_eq!(answer.body(), "x".repeat(1_000_000));
    assert!(answer.completed.tail.out.len() <= 64 * 1024);
}

#[test]
fn each_chunk_is_sent_before_the_next_is_asked_for() {
    let peer = Peer::taking([]);
    let answer = Request::new().peer(&peer).run(
        "
def application(environ, start_response):
    start_response('200 OK', [('A', 'b')])
    yield b''
    yield b'one'
    yield b''
    yield b'two'
",
    );
    assert_eq!(
        answer.sends,
        [&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\none"[..], b"two"]
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\nA: b\r\n\r\nonetwo");
}

#[test]
fn old_sequences_are_iterable() {
    Request::new()
        .run(
            "
class Sequence:
    def __getitem__(self, index):
        return [b'one', b'two'][index]
def application(environ, start_response):
    start_response('200 OK', [])
    return Sequence()
",
        )
        .assert_wire("HTTP/1.1 200 OK\r\n\r\nonetwo");
}

#[test]
fn things_that_are_no_response_are_a_500_that_says_what_is() {
    let cases = [
        (
            "None",
            "the application returned NoneType: an iterable of bytes is needed, such as a list",
        ),
        (
            "7",
            "the application returned int: an iterable of bytes is needed, such as a list",
        ),
        (
            "'text'",
            "the application returned str: a list of bytes is needed (encode the text)",
        ),
        ("['text']", "item 0 of the response is str, not bytes"),
        (
            "[b'fine', b'', 'text']",
            "item 2 of the response is str, not bytes",
        ),
        ("(b'fine', 7)", "item 1 of the response is int, not bytes"),
        ("[None]", "item 0 of the response is NoneType, not bytes"),
        (
            "[bytearray(b'x')]",
            "item 0 of the response is bytearray, not bytes",
        ),
        (
            "[memoryview(b'x')]",
            "item 0 of the response is memoryview, not bytes",
        ),
        (
            "(c for c in [b'', 'text'])",
            "item 1 of the response is str, not bytes",
        ),
        (
            "bytearray(b'x')",
            "item 0 of the response is int, not bytes",
        ),
        ("{'a': 1}", "item 0 of the response is str, not bytes"),
    ];
    for (result, message) in cases {
        println!("{result}");
        Request::new()
            .run(&format!(
                "
def application(environ, start_response):
    start_response('200 OK', [])
    return {result}
"
            ))
            .assert_500(&format!("Violation application {message}"));
    }
}

#[test]
fn wrong_item_after_the_head_cuts_the_response_short() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    yield b'part'
    yield 'text'
",
    );
    assert_eq!(answer.wire, "HTTP/1.1 200 OK\r\n\r\npart");
    assert_eq!(answer.completed.end, ResponseEnd::CutShort);
    assert_eq!(
        answer.failures,
        ["Violation application item 1 of the response is str, not bytes"]
    );
}

#[test]
fn exception_in_iter_is_the_applications() {
    Request::new()
        .run(
            "
class Result:
    def __iter__(self): raise KeyError('iter')
def application(environ, start_response):
    start_response('200 OK', [])
    return Result()
",
        )
        .assert_500("Iterate application KeyError('iter')");
    Request::new()
        .run(
            "
class Result:
    def __iter__(self): return 7
def application(environ, start_response):
    start_response('200 OK', [])
    return Result()
",
        )
        .assert_500("Iterate application TypeError(");
}
