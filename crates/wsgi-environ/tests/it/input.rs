use std::io::{ErrorKind, Write};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wsgi_environ::{Body, Input, InputEnd, InputFailure};

use crate::harness::{Give, Peer, eval};

const TEXT: &[u8] = b"one\ntwo\n\nfour";

/// Evaluates expressions one after the other over the same body.
fn read(body: Body, cases: &[(&str, &str)]) -> InputEnd {
    Python::attach(|py| {
        let input = Input::new(py, body).unwrap();
        let names = PyDict::new(py);
        names.set_item("input", &input).unwrap();
        py.run(HELPERS, Some(&names), None).unwrap();
        for (expression, expected) in cases {
            assert_eq!(eval(py, expression, &names), *expected, "{expression}");
        }
        input.get().finish()
    })
}

const HELPERS: &std::ffi::CStr = c"
import io
def raised(call, *args):
    try:
        return call(*args)
    except Exception as e:
        return '%s: %s' % (type(e).__name__, e)
";

/// The same bytes from memory, from a file, and from a client in every way it
/// may cut them.
fn sources(text: &'static [u8]) -> Vec<(String, Body)> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    file.write_all(b"and what is not part of the body").unwrap();
    let mut sources = vec![
        (
            "memory".to_owned(),
            Body::buffered(Bytes::from_static(text)),
        ),
        ("file".to_owned(), Body::spooled(file, text.len() as u64)),
    ];
    for first in 0..text.len() {
        let (prefix, rest) = text.split_at(first);
        let body = |gives: Vec<Give>| {
            Body::streamed(
                Bytes::from_static(prefix),
                rest.len() as u64,
                Peer::giving(gives),
            )
        };
        let at_once = body(vec![Give::Bytes(rest)]);
        let too_much = body(vec![Give::Bytes(rest), Give::Bytes(b"never read")]);
        let slowly = body(rest.chunks(1).map(Give::Bytes).collect());
        sources.push((format!("client, {first} bytes came along"), at_once));
        sources.push((
            format!("client, {first} bytes came along, more follow"),
            too_much,
        ));
        sources.push((
            format!("client, {first} bytes came along, then each"),
            slowly,
        ));
    }
    sources
}

#[test]
fn reads_are_those_of_a_binary_file() {
    let cases: &[&[(&str, &str)]] = &[
        &[
            ("input.read()", r"b'one\ntwo\n\nfour'"),
            ("input.read()", "b''"),
        ],
        &[
            ("input.read(-1)", r"b'one\ntwo\n\nfour'"),
            ("input.read(-1)", "b''"),
        ],
        &[("input.read(None)", r"b'one\ntwo\n\nfour'")],
        &[("input.read(size=3)", "b'one'")],
        &[
            ("input.read(0)", "b''"),
            ("input.read(5)", r"b'one\nt'"),
            ("input.read(0)", "b''"),
        ],
        &[
            ("input.read(100)", r"b'one\ntwo\n\nfour'"),
            ("input.read(1)", "b''"),
        ],
        &[("input.read(2**62)", r"b'one\ntwo\n\nfour'")],
        &[("input.readline()", r"b'one\n'"), ("input.read(1)", "b't'")],
        &[
            ("input.readline(2)", "b'on'"),
            ("input.readline(2)", r"b'e\n'"),
        ],
        &[
            ("input.readline(0)", "b''"),
            ("input.readline(-1)", r"b'one\n'"),
        ],
        &[
            ("input.readline(None)", r"b'one\n'"),
            ("input.readline(100)", r"b'two\n'"),
        ],
        &[
            ("input.readline(4)", r"b'one\n'"),
            ("input.readline(4)", r"b'two\n'"),
        ],
        &[(
            "[input.readline() for _ in range(6)]",
            r"[b'one\n', b'two\n', b'\n', b'four', b'', b'']",
        )],
        &[
            ("input.readlines()", r"[b'one\n', b'two\n', b'\n', b'four']"),
            ("input.readlines()", "[]"),
        ],
        &[(
            "input.readlines(-1)",
            r"[b'one\n', b'two\n', b'\n', b'four']",
        )],
        &[(
            "input.readlines(0)",
            r"[b'one\n', b'two\n', b'\n', b'four']",
        )],
        &[
            ("input.readlines(1)", r"[b'one\n']"),
            ("input.readlines(5)", r"[b'two\n', b'\n']"),
        ],
        &[
            ("list(input)", r"[b'one\n', b'two\n', b'\n', b'four']"),
            ("list(input)", "[]"),
        ],
        &[
            ("next(input)", r"b'one\n'"),
            ("input.read(3)", "b'two'"),
            ("list(input)", r"[b'\n', b'\n', b'four']"),
        ],
        &[
            ("input.read(2)", "b'on'"),
            ("input.readline()", r"b'e\n'"),
            ("input.read()", r"b'two\n\nfour'"),
        ],
        &[("iter(input) is input", "True")],
    ];
    for case in cases {
        for (source, body) in sources(TEXT) {
            println!("{source}: {case:?}");
            let end = read(body, case);
            assert_eq!((end.busy, end.failed), (false, None));
        }
    }
}

#[test]
fn empty_body_is_at_its_end() {
    read(
        Body::empty(),
        &[
            ("input.read()", "b''"),
            ("input.read(1)", "b''"),
            ("input.readline()", "b''"),
            ("input.readlines()", "[]"),
            ("list(input)", "[]"),
        ],
    );
}

#[test]
fn wrappers_of_io_can_wrap_it() {
    let cases: &[&[(&str, &str)]] = &[
        &[(
            "io.BufferedReader(input).readlines()",
            r"[b'one\n', b'two\n', b'\n', b'four']",
        )],
        &[(
            "io.TextIOWrapper(input, 'utf-8').readlines()",
            r"['one\n', 'two\n', '\n', 'four']",
        )],
        &[(
            "(lambda b: (input.readinto(b), bytes(b)))(bytearray(5))",
            r"(5, b'one\nt')",
        )],
        &[(
            "(lambda b: (input.readinto(b), b[:3]))(bytearray(100))",
            "(13, bytearray(b'one'))",
        )],
        &[(
            "(lambda b: (input.readinto(b), b))(__import__('array').array('H', [0]))",
            "(2, array('H', [28271]))",
        )],
        &[
            (
                "raised(input.readinto, b'x')",
                "TypeError: readinto() needs a writable buffer",
            ),
            ("input.read(3)", "b'one'"),
        ],
        &[(
            "(input.readable(), input.writable(), input.closed)",
            "(True, False, False)",
        )],
        &[
            ("raised(io.BufferedReader(input).close)", "None"),
            ("raised(io.TextIOWrapper(input, 'utf-8').close)", "None"),
            ("input.read(3)", "b'one'"),
        ],
        // A wrapper that is collected closes what it wraps. The next one reads on.
        &[
            ("io.BufferedReader(input, 4).read(4)", r"b'one\n'"),
            ("input.read(3)", "b'two'"),
        ],
    ];
    for case in cases {
        for (_, body) in sources(TEXT) {
            read(body, case);
        }
    }
}

#[test]
fn complete_bodies_can_be_read_again() {
    for (name, body) in sources(TEXT).into_iter().take(2) {
        println!("{name}");
        read(
            body,
            &[
                ("(input.seekable(), input.tell())", "(True, 0)"),
                ("(input.read(5), input.tell())", r"(b'one\nt', 5)"),
                ("(input.seek(0), input.read())", r"(0, b'one\ntwo\n\nfour')"),
                ("(input.read(), input.tell())", "(b'', 13)"),
                (
                    "(input.seek(4), input.readline(), input.tell())",
                    r"(4, b'two\n', 8)",
                ),
                ("(input.seek(-4, 2), input.readlines())", "(9, [b'four'])"),
                ("(input.seek(-6, 1), input.read(3))", r"(7, b'\n\nf')"),
                ("input.seek(-100, 1)", "0"),
                (
                    "(input.seek(100), input.tell(), input.read(), input.tell())",
                    "(100, 100, b'', 100)",
                ),
                (
                    "(input.seek(2), list(input))",
                    r"(2, [b'e\n', b'two\n', b'\n', b'four'])",
                ),
                ("input.seek(9, whence=0)", "9"),
                (
                    "raised(input.seek, -1)",
                    "ValueError: negative seek value -1",
                ),
                (
                    "raised(input.seek, 0, 3)",
                    "ValueError: invalid whence (3, should be 0, 1 or 2)",
                ),
                ("(input.tell(), input.read())", "(9, b'four')"),
                (
                    "(lambda f: (f.seek(4), f.readline(), f.seek(0), f.read(3)))(io.BufferedReader(input))",
                    r"(4, b'two\n', 0, b'one')",
                ),
                (
                    "(lambda f: (f.seek(0), f.readline(), f.tell(), f.seek(0), f.read()))(io.TextIOWrapper(io.BufferedReader(input)))",
                    r"(0, 'one\n', 4, 0, 'one\ntwo\n\nfour')",
                ),
            ],
        );
    }
}

#[test]
fn bodies_that_are_read_as_they_arrive_cannot_be_read_again() {
    for (name, body) in sources(TEXT).into_iter().skip(2) {
        println!("{name}");
        let unsupported = |function| {
            format!(
                "UnsupportedOperation: wsgi.input: {function}() needs a complete body, \
                 and this one is read as it arrives"
            )
        };
        read(
            body,
            &[
                ("input.seekable()", "False"),
                ("raised(input.tell)", &unsupported("tell")),
                ("input.read(3)", "b'one'"),
                ("raised(input.seek, 0)", &unsupported("seek")),
                ("isinstance(io.UnsupportedOperation(), OSError)", "True"),
                ("input.read()", r"b'\ntwo\n\nfour'"),
                ("input.seekable()", "False"),
            ],
        );
    }
}

#[test]
fn positions_end_with_the_request() {
    Python::attach(|py| {
        let input = Input::new(py, Body::buffered(Bytes::from_static(TEXT))).unwrap();
        input.get().finish();
        let names = PyDict::new(py);
        names.set_item("input", &input).unwrap();
        py.run(HELPERS, Some(&names), None).unwrap();
        for call in ["input.tell", "input.seek, 0"] {
            let said = eval(py, &format!("raised({call})"), &names);
            assert_eq!(
                said, "ValueError: wsgi.input: the request is over",
                "{call}"
            );
        }
        assert_eq!(eval(py, "input.seekable()", &names), "False");
    });
}

#[test]
fn sizes_that_are_no_numbers_are_type_errors() {
    read(
        Body::buffered(Bytes::from_static(TEXT)),
        &[
            ("raised(input.read, '3').split(':')[0]", "TypeError"),
            ("raised(input.readline, 1.5).split(':')[0]", "TypeError"),
            ("raised(input.read, 2**70).split(':')[0]", "OverflowError"),
            ("input.read(3)", "b'one'"),
        ],
    );
}

#[test]
fn short_body_is_an_error_that_says_how_short() {
    let message = "ConnectionResetError: \
                   client closed the connection: 29 of 100 body bytes arrived";
    let body = || {
        Body::streamed(
            Bytes::from_static(b"nine byte"),
            91,
            Peer::giving([Give::Bytes(b"0123456789"), Give::Bytes(b"abcdefghi\n")]),
        )
    };
    let failed = Some(InputFailure::ShortBody {
        received: 29,
        expected: 100,
    });
    for expression in [
        "raised(input.read)",
        "raised(input.read, 100)",
        "raised(input.read, 30)",
        "raised(input.readlines)",
        "raised(list, input)",
        "raised(io.BufferedReader(input).read)",
    ] {
        let end = read(body(), &[(expression, message)]);
        assert_eq!(end.failed, failed, "{expression}");
        assert_eq!(end.unread, 71, "{expression}");
    }

    // What arrived can still be read, in other pieces.
    read(
        body(),
        &[
            ("raised(input.read)", message),
            ("raised(input.readlines)", message),
            ("input.read(5)", "b'nine '"),
            ("input.readline()", r"b'byte0123456789abcdefghi\n'"),
            ("raised(input.readline)", message),
        ],
    );
}

#[test]
fn timeout_loses_nothing() {
    let body = |kind| {
        Body::streamed(
            Bytes::from_static(b"ab"),
            4,
            Peer::giving([Give::Bytes(b"c"), Give::Error(kind), Give::Bytes(b"def")]),
        )
    };
    let message = "TimeoutError: client sent nothing for too long: 3 of 6 body bytes arrived";
    for expression in [
        "raised(input.read)",
        "raised(input.read, 5)",
        "raised(input.readline)",
    ] {
        let end = read(
            body(ErrorKind::TimedOut),
            &[
                (expression, message),
                ("input.read(2)", "b'ab'"),
                ("input.read()", "b'cdef'"),
            ],
        );
        assert_eq!(end, InputEnd::default(), "{expression}");
    }

    let end = read(
        body(ErrorKind::ConnectionReset),
        &[(
            "raised(input.read)",
            "ConnectionResetError: connection lost (connection reset): 3 of 6 body bytes arrived",
        )],
    );
    let failed = Some(InputFailure::Lost {
        received: 3,
        expected: 6,
        kind: ErrorKind::ConnectionReset,
    });
    assert_eq!(end.failed, failed);

    // A signal is no reason to give up.
    read(
        body(ErrorKind::Interrupted),
        &[("input.read()", "b'abcdef'")],
    );
}

#[test]
fn truncated_spool_file_is_an_error() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"abc").unwrap();
    let end = read(
        Body::spooled(file, 5),
        &[
            (
                "raised(input.read)",
                "OSError: spooled request body is unreadable (unexpected end of file) \
                 after 3 of 5 bytes",
            ),
            ("input.read(3)", "b'abc'"),
        ],
    );
    let failed = Some(InputFailure::Spool {
        read: 3,
        expected: 5,
        kind: ErrorKind::UnexpectedEof,
    });
    assert_eq!(end.failed, failed);
}

#[test]
fn announced_length_alone_takes_no_memory() {
    let huge = i64::MAX as u64;
    for expression in [
        "raised(input.read)",
        "raised(input.read, 2**62)",
        "raised(input.readline)",
    ] {
        let body = Body::streamed(Bytes::new(), huge, Peer::giving([Give::Bytes(b"abc")]));
        let message = "ConnectionResetError: client closed the connection: \
                       3 of 9223372036854775807 body bytes arrived";
        read(body, &[(expression, message), ("input.read(3)", "b'abc'")]);
    }
}

#[test]
fn large_body_arrives_intact() {
    static LARGE: [u8; 3 << 20] = [b'x'; 3 << 20];
    for expression in [
        "input.read()",
        "input.read(2**40)",
        "input.readline()",
        "b''.join(input)",
    ] {
        let mut gives: Vec<_> = LARGE.chunks(100_000).map(Give::Bytes).collect();
        gives.push(Give::Bytes(b"beyond"));
        let body = Body::streamed(Bytes::new(), LARGE.len() as u64, Peer::giving(gives));
        let expression = format!("{expression} == b'x' * (3 << 20)");
        read(body, &[(&expression, "True"), ("input.read()", "b''")]);
    }
}

#[test]
fn end_of_request_says_what_is_unread() {
    for (expression, unread) in [
        ("input.read(0)", 10),
        ("input.read(2)", 10),
        ("input.read(5)", 7),
        ("input.readline()", 0),
        ("input.read()", 0),
    ] {
        let body = Body::streamed(
            Bytes::from_static(b"ab"),
            10,
            Peer::giving([Give::Bytes(b"0123456789")]),
        );
        Python::attach(|py| {
            let input = Input::new(py, body).unwrap();
            let names = PyDict::new(py);
            names.set_item("input", &input).unwrap();
            eval(py, expression, &names);
            let end = input.get().finish();
            assert_eq!((end.unread, end.busy), (unread, false), "{expression}");
            assert_eq!(input.get().finish(), InputEnd::default());
        });
    }
}

#[test]
fn input_that_outlives_its_request_is_closed() {
    Python::attach(|py| {
        let input = Input::new(py, Body::buffered(Bytes::from_static(TEXT))).unwrap();
        let names = PyDict::new(py);
        names.set_item("input", &input).unwrap();
        py.run(HELPERS, Some(&names), None).unwrap();
        input.get().finish();
        let over = "ValueError: wsgi.input: the request is over";
        for (expression, expected) in [
            ("input.closed", "True"),
            ("raised(input.read)", over),
            ("raised(input.read, 0)", over),
            ("raised(input.readline)", over),
            ("raised(input.readlines)", over),
            ("raised(next, input)", over),
            ("raised(input.readinto, bytearray(1))", over),
            ("input.close()", "None"),
        ] {
            assert_eq!(eval(py, expression, &names), expected, "{expression}");
        }
    });
}
