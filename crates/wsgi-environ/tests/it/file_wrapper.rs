use std::io::Write;

use tempfile::NamedTempFile;
use wsgi_environ::{RemainingBody, ResponseEnd};

use crate::harness::{Answer, Request};

const CONTENTS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Lets an application prepare `file` from `path` and return it wrapped.
fn serve(request: Request, headers: &str, prepare: &str) -> Answer {
    let mut named = NamedTempFile::new().unwrap();
    named.write_all(CONTENTS).unwrap();
    let path = named.path().to_str().unwrap();
    request.run(&format!(
        "
import gzip, io, os, tempfile
seen = []
path = '{path}'
class Plain(io.FileIO):
    def close(self):
        if not self.closed:
            seen.append('close')
        super().close()
def application(environ, start_response):
    wrap = environ['wsgi.file_wrapper']
    {prepare}
    start_response('200 OK', [{headers}])
    return wrap(file)
"
    ))
}

fn is_sent_by_kernel(answer: &Answer) -> bool {
    matches!(answer.completed.tail.body, RemainingBody::File { .. })
}

#[test]
fn regular_files_are_sent_by_the_kernel_from_where_they_stand() {
    let all = "0123456789abcdefghijklmnopqrstuvwxyz";
    let cases = [
        ("file = open(path, 'rb')", all),
        ("file = open(path, 'rb', buffering=0)", all),
        ("file = open(path, 'r+b')", all),
        ("file = open(path, 'r+b', buffering=0)", all),
        ("file = open(path, 'rb'); file.seek(30)", "uvwxyz"),
        ("file = open(path, 'rb'); file.read(1)", &all[1..]),
        (
            "file = open(path, 'r+b'); file.write(b'XX')",
            "23456789abcdefghijklmnopqrstuvwxyz",
        ),
        (
            "file = open(path, 'r+b'); file.seek(0, 2); file.write(b'XX'); file.seek(35)",
            "zXX",
        ),
        (
            "file = tempfile.TemporaryFile(); file.write(b'temporary'); file.seek(4)",
            "orary",
        ),
        (
            "file = tempfile.NamedTemporaryFile(); file.write(b'named'); file.seek(0)",
            "named",
        ),
    ];
    for (prepare, body) in cases {
        println!("{prepare}");
        let answer = serve(Request::new(), "", prepare);
        assert!(is_sent_by_kernel(&answer));
        let length = body.len();
        answer.assert_wire(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }
}

#[test]
fn content_length_bounds_the_file() {
    let answer = serve(
        Request::new(),
        "('Content-Length', '10')",
        "file = open(path, 'rb'); file.seek(20)",
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nklmnopqrst");
    assert!(is_sent_by_kernel(&answer));

    let answer = serve(
        Request::new(),
        "('Content-Length', '99')",
        "file = open(path, 'rb')",
    );
    assert_eq!(answer.completed.end, ResponseEnd::CutShort);
    assert_eq!(
        answer.failures,
        ["Violation application the response has 36 bytes, but its Content-Length is 99"]
    );
}

#[test]
fn file_at_its_end_is_an_empty_body() {
    for prepare in [
        "file = open(path, 'rb'); file.seek(0, 2)",
        "file = open(path, 'rb'); file.seek(1000)",
    ] {
        serve(Request::new(), "", prepare)
            .assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

#[test]
fn files_whose_size_is_not_true_are_read() {
    for path in [
        "/proc/version",
        "/proc/sys/kernel/ostype",
        "/sys/devices/system/cpu/possible",
    ] {
        let contents = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let contents: String = contents.iter().copied().map(char::from).collect();
        for (open, body) in [
            (format!("file = open('{path}', 'rb')"), &contents[..]),
            (
                format!("file = open('{path}', 'rb', buffering=0)"),
                &contents,
            ),
            (
                format!("file = open('{path}', 'rb'); file.read(2)"),
                &contents[2..],
            ),
        ] {
            println!("{open}");
            let answer = serve(Request::new(), "", &open);
            assert!(!is_sent_by_kernel(&answer));
            answer.assert_wire(&format!("HTTP/1.1 200 OK\r\n\r\n{body}"));
            serve(Request::head(), "", &open).assert_wire("HTTP/1.1 200 OK\r\n\r\n");
        }
    }
}

#[test]
fn file_that_takes_no_room_on_the_disk_is_sent_by_the_kernel() {
    let answer = serve(
        Request::new(),
        "",
        "os.truncate(path, 0); os.truncate(path, 5000); file = open(path, 'rb'); file.seek(10)",
    );
    assert!(is_sent_by_kernel(&answer));
    answer.assert_wire(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 4990\r\n\r\n{}",
        "\0".repeat(4990)
    ));
}

#[test]
fn head_request_for_a_file_gets_its_length() {
    let answer = serve(Request::head(), "", "file = open(path, 'rb')");
    answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n");
    assert!(!is_sent_by_kernel(&answer));
}

#[test]
fn what_only_looks_like_a_file_is_read() {
    let cases = [
        ("file = io.BytesIO(b'memory')", "memory"),
        ("file = io.BytesIO(b'memory'); file.seek(2)", "mory"),
        // Its fileno() is that of the compressed file.
        (
            "z = gzip.open(path, 'wb'); z.write(b'unpacked'); z.close(); file = gzip.open(path)",
            "unpacked",
        ),
        ("file = Plain(path)", "0123456789abcdefghijklmnopqrstuvwxyz"),
        (
            "file = io.BufferedReader(Plain(path))",
            "0123456789abcdefghijklmnopqrstuvwxyz",
        ),
        (
            "file = tempfile.SpooledTemporaryFile(); file.write(b'spool'); file.seek(0)",
            "spool",
        ),
        (
            "r, w = os.pipe(); os.write(w, b'pipe'); os.close(w); file = open(r, 'rb')",
            "pipe",
        ),
        (
            "file = type('F', (), {'read': lambda s, n, p=[b'a', b'b', b'']: p.pop(0)})()",
            "ab",
        ),
    ];
    for (prepare, body) in cases {
        println!("{prepare}");
        let answer = serve(Request::new(), "", prepare);
        assert!(!is_sent_by_kernel(&answer));
        answer.assert_wire(&format!("HTTP/1.1 200 OK\r\n\r\n{body}"));
    }
}

#[test]
fn file_that_cannot_be_read_is_the_applications_error() {
    let cases = [
        (
            "file = open(path, 'rb'); file.close()",
            "Iterate application ValueError(",
        ),
        (
            "file = open(path, 'wb')",
            "Iterate application UnsupportedOperation(",
        ),
        (
            "file = open(path)",
            "Violation application item 0 of the response is str, not bytes",
        ),
        ("file = path", "Call application AttributeError("),
        (
            "file = open(path, 'rb'); wrap(file, 0)",
            "Call application ValueError(",
        ),
    ];
    for (prepare, failure) in cases {
        println!("{prepare}");
        serve(Request::new(), "", prepare).assert_500(failure);
    }
}

#[test]
fn file_is_closed_and_still_sent() {
    let answer = serve(
        Request::new(),
        "",
        "file = open(path, 'rb'); close = file.close
    file.close = lambda: (seen.append('close'), close())",
    );
    assert!(is_sent_by_kernel(&answer));
    assert_eq!(answer.seen, "['close']");

    let answer = serve(Request::new(), "", "file = Plain(path)");
    assert_eq!(answer.seen, "['close']");
}

#[test]
fn wrapper_is_iterable_in_blocks() {
    let answer = Request::new().run(
        "
import io
def application(environ, start_response):
    wrapper = environ['wsgi.file_wrapper'](io.BytesIO(b'abcdefgh'), 3)
    assert iter(wrapper) is wrapper
    start_response('200 OK', [])
    return [b'|'.join(wrapper)]
",
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc|def|gh");
}

#[test]
fn file_after_written_bytes_follows_them() {
    let answer = serve(
        Request::new(),
        "",
        "file = open(path, 'rb'); file.seek(30); original = start_response
    def start_response(status, headers): original(status, headers)(b'first ')",
    );
    answer.assert_wire("HTTP/1.1 200 OK\r\n\r\nfirst uvwxyz");
    assert!(is_sent_by_kernel(&answer));
}
