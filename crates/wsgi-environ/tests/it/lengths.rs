//! Content-Length, and responses that have no body.

use wsgi_environ::ResponseEnd;

use crate::harness::{INTERNAL_SERVER_ERROR, Request};

#[test]
fn iterable_of_length_one_gets_its_content_length() {
    let source = |chunks: &str, headers: &str| {
        format!(
            "
class Result:
    def __init__(self, chunks): self.chunks = chunks
    def __len__(self): return 1
    def __iter__(self): return iter(self.chunks)
def application(environ, start_response):
    start_response('200 OK', [{headers}])
    return Result([{chunks}])
"
        )
    };
    Request::new()
        .run(&source("b'only'", ""))
        .assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonly");
    Request::new()
        .run(&source("b'only'", "('Content-Length', '4')"))
        .assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonly");
    // One that lies about its length is held to it.
    let answer = Request::new().run(&source("b'one', b'more'", ""));
    answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    assert_eq!(
        format!("{:?}", answer.completed.corrections),
        "[BodyCut { declared: 3, excess: 4 }]"
    );
    // Only the first item may be the only one.
    Request::new()
        .run(&source("b'', b'late'", ""))
        .assert_wire("HTTP/1.1 200 OK\r\n\r\nlate");
}

#[test]
fn body_longer_than_its_length_is_cut() {
    for (result, excess) in [
        ("[b'abc', b'defg', b'hi']", 4),
        ("(c for c in [b'abc', b'defg', b'hi'])", 2),
        ("[b'abcdefghi' * 100_000]", 899_995),
        ("(c for c in [b'abcdefghi' * 100_000])", 899_995),
        ("[b'abcde' + b'x' * 100_000]", 100_000),
    ] {
        println!("{result}");
        let answer = Request::new().run(&format!(
            "
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '5')])
    return {result}
"
        ));
        answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
        assert_eq!(
            format!("{:?}", answer.completed.corrections),
            format!("[BodyCut {{ declared: 5, excess: {excess} }}]")
        );
    }
}

#[test]
fn body_cut_in_a_large_part_is_exact() {
    let answer = Request::new().run(
        "
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '150001')])
    return [b'a' * 100_000, b'b' * 100_000, b'c']
",
    );
    let body = ["a".repeat(100_000), "b".repeat(50_001)].concat();
    answer.assert_wire(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 150001\r\n\r\n{body}"
    ));
}

#[test]
fn body_shorter_than_its_length_is_cut_short() {
    for result in [
        "[b'abc', b'de']",
        "(c for c in [b'abc', b'de'])",
        "[]",
        "iter([])",
    ] {
        println!("{result}");
        let answer = Request::new().run(&format!(
            "
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '9')])
    return {result}
"
        ));
        let body = if result.contains("abc") { "abcde" } else { "" };
        assert_eq!(
            answer.wire,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{body}")
        );
        assert_eq!(answer.completed.end, ResponseEnd::CutShort);
        let sent = body.len();
        assert_eq!(
            answer.failures,
            [format!(
                "Violation application the response has {sent} bytes, but its Content-Length is 9"
            )]
        );
    }
}

#[test]
fn head_request_gets_the_head_alone() {
    let cases = [
        (
            "[('Content-Length', '9')]",
            "[b'x']",
            "Content-Length: 9\r\n",
        ),
        ("[('Content-Length', '9')]", "[]", "Content-Length: 9\r\n"),
        ("[]", "[b'abc', b'd']", "Content-Length: 4\r\n"),
        // What the length of a GET would be is not known.
        ("[]", "[]", ""),
        ("[]", "iter([])", ""),
        ("[]", "(c for c in [b'abc', b'd'])", ""),
        (
            "[]",
            "environ['wsgi.file_wrapper'](__import__('io').BytesIO(b'abc'))",
            "",
        ),
    ];
    for (headers, result, expected) in cases {
        println!("{headers} {result}");
        let answer = Request::head().run(&format!(
            "
def application(environ, start_response):
    start_response('200 OK', {headers})
    return {result}
"
        ));
        answer.assert_wire(&format!("HTTP/1.1 200 OK\r\n{expected}\r\n"));
        assert_eq!(answer.completed.corrections, []);
    }
    let answer = Request::head().run("def application(environ, start_response): 1 / 0");
    let (head, _) = INTERNAL_SERVER_ERROR.split_at(INTERNAL_SERVER_ERROR.len() - 22);
    assert_eq!(answer.wire, head);
    assert_eq!(answer.completed.body_bytes, 0);
}

#[test]
fn statuses_without_a_body_get_none() {
    let cases = [
        ("204 No Content", "[]", "[]", ""),
        ("204 No Content", "[('Content-Length', '0')]", "[b'']", ""),
        ("204 No Content", "[('Content-Length', '1')]", "[b'x']", ""),
        // Any other than this length would have the client wait for a body.
        ("205 Reset Content", "[]", "[]", "Content-Length: 0\r\n"),
        (
            "205 Reset Content",
            "[('Content-Length', '1')]",
            "[b'x']",
            "Content-Length: 0\r\n",
        ),
        (
            "205 Reset Content",
            "[]",
            "(c for c in [b'x', b'y'])",
            "Content-Length: 0\r\n",
        ),
        ("304 Not Modified", "[]", "[]", ""),
        (
            "304 Not Modified",
            "[('Content-Length', '9')]",
            "[]",
            "Content-Length: 9\r\n",
        ),
        ("304 Not Modified", "[]", "(c for c in [b'x', b'y'])", ""),
    ];
    for (status, headers, result, expected) in cases {
        println!("{status} {headers} {result}");
        let answer = Request::new().run(&format!(
            "
def application(environ, start_response):
    start_response('{status}', {headers})
    return {result}
"
        ));
        answer.assert_wire(&format!("HTTP/1.1 {status}\r\n{expected}\r\n"));
        let corrections = if result.contains("'x'") {
            format!("[BodyDropped {{ status: {} }}]", &status[..3])
        } else {
            "[]".to_owned()
        };
        assert_eq!(format!("{:?}", answer.completed.corrections), corrections);
    }
}
