use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyList};
use wsgi_environ::{
    Body, EnvironBuilder, Exchange, ForwardedProto, Input, Method, ObjectCache, Persistence,
    RequestId, ResponseEnd, ScriptName, ServerInfo, respond,
};

use crate::harness::{Give, INTERNAL_SERVER_ERROR, Log, Peer, packet, server_info};

/// One thing that is done with a file.
#[derive(Clone, Debug)]
enum Op {
    Read(Option<i64>),
    ReadLine(Option<i64>),
    ReadLines(Option<i64>),
    Next,
    ReadInto(usize),
    Seek(i64, i64),
    Tell,
}

impl Op {
    /// Does it, and returns what comes of it as text.
    fn run(&self, file: &Bound<'_, PyAny>) -> String {
        let py = file.py();
        let result = match self {
            Self::Read(size) => file.call_method1("read", (*size,)),
            Self::ReadLine(size) => file.call_method1("readline", (*size,)),
            Self::ReadLines(hint) => file.call_method1("readlines", (*hint,)),
            Self::Next => file.call_method0("__next__"),
            Self::Seek(offset, whence) => file.call_method1("seek", (*offset, *whence)),
            Self::Tell => file.call_method0("tell"),
            Self::ReadInto(len) => {
                let buffer = pyo3::types::PyByteArray::new(py, &vec![b'-'; *len]);
                file.call_method1("readinto", (&buffer,))
                    .and_then(|count| (count, buffer).into_pyobject(py).map(Bound::into_any))
            }
        };
        match result {
            Ok(value) => value.repr().unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let size = || prop::option::of(-1..40_i64);
    let op = prop_oneof![
        size().prop_map(Op::Read),
        size().prop_map(Op::ReadLine),
        size().prop_map(Op::ReadLines),
        Just(Op::Next),
        (0..20_usize).prop_map(Op::ReadInto),
        (-40..40_i64, 0..4_i64).prop_map(|(offset, whence)| Op::Seek(offset, whence)),
        Just(Op::Tell),
    ];
    vec(op, 1..20)
}

/// Bytes with many short lines, some of them longer than what `readline`
/// receives at once.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-c]{0,8}\n?",
        1 => "x{10000,20000}\n?",
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn input_reads_as_a_file_in_memory_does(
        contents in contents(),
        ops in ops(),
        prefix in 0..100_usize,
        cut in 1..5000_usize,
    ) {
        let text: &'static [u8] = contents.clone().leak();
        let (prefix, rest) = text.split_at(prefix.min(text.len()));
        let mut gives: Vec<_> = rest.chunks(cut).map(Give::Bytes).collect();
        gives.push(Give::Bytes(b"beyond the body\n"));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.write_all(b"beyond the body\n").unwrap();

        Python::attach(|py| {
            let io = py.import("io").unwrap();
            let in_memory = io.getattr("BytesIO").unwrap();
            for body in [
                Body::buffered(Bytes::from_static(text)),
                Body::spooled(file, text.len() as u64),
                Body::streamed(
                    Bytes::from_static(prefix),
                    rest.len() as u64,
                    Peer::giving(gives),
                ),
            ] {
                let name = format!("{body:?}");
                let input = Input::new(py, body).unwrap();
                let model = in_memory.call1((PyBytes::new(py, text),)).unwrap();
                let is_complete = input.call_method0("seekable").unwrap().is_truthy().unwrap();
                for op in &ops {
                    if !is_complete && matches!(op, Op::Seek(..) | Op::Tell) {
                        continue;
                    }
                    let (seen, expected) = (op.run(&input), op.run(&model));
                    prop_assert_eq!(seen, expected, "{:?} of {}", op, &name);
                }
            }
            Ok(())
        })?;
    }
}

/// Variables of few names and values, so that packets are often alike and names
/// are often repeated.
fn packets() -> impl Strategy<Value = Vec<(Vec<(String, String)>, ScriptName<'static>)>> {
    let key = prop::sample::select(vec![
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "CONTENT_LENGTH",
        "HTTPS",
        "UWSGI_SCHEME",
        "REQUEST_SCHEME",
        "HTTP_HOST",
        "HTTP_REFERER",
        "HTTP_X_REQUEST_ID",
        "HTTP_ACCEPT",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_COOKIE",
        "HTTP_PROXY",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_CONTENT_TYPE",
        "wsgi.url_scheme",
        "REMOTE_USER",
        "\u{e9}",
    ]);
    let value = prop::sample::select(vec![
        "",
        "/",
        "/a",
        "/a/b",
        "http",
        "https",
        "on",
        "1",
        "\u{e9}",
        "https, http",
    ]);
    let var = (key, value).prop_map(|(key, value)| (key.to_owned(), value.to_owned()));
    let given = |script_name, path_info| ScriptName::Given {
        script_name,
        path_info,
    };
    let handling = prop::sample::select(vec![
        ScriptName::AsSent,
        ScriptName::Strip,
        given(b"/a", b"/b"),
        given(b"/\xe9", b""),
    ]);
    // Each packet is sent again with one value changed: that is what shapes are for.
    let packet = (
        vec(var, 0..10),
        handling,
        any::<prop::sample::Index>(),
        value_change(),
    );
    vec(packet, 1..12).prop_map(|packets| {
        let mut sequence = Vec::new();
        for (vars, handling, index, value) in packets {
            let mut changed = vars.clone();
            if !changed.is_empty() {
                let at = index.index(changed.len());
                changed[at].1 = value.to_owned();
            }
            sequence.extend([
                (vars.clone(), handling),
                (changed, handling),
                (vars, handling),
            ]);
        }
        sequence
    })
}

/// What is to become of the variables that stand for themselves, by a model that remembers
/// nothing and knows these names only.
fn expected_entries(vars: &[(String, String)]) -> BTreeMap<&str, String> {
    let mut entries = BTreeMap::new();
    for (key, value) in vars {
        let separator = match &**key {
            "QUERY_STRING" | "CONTENT_LENGTH" | "REMOTE_USER" => None,
            "HTTP_HOST" | "HTTP_REFERER" | "HTTP_X_REQUEST_ID" | "HTTP_X_FORWARDED_PROTO" => None,
            "HTTPS" | "UWSGI_SCHEME" | "REQUEST_SCHEME" => None,
            "HTTP_ACCEPT" | "HTTP_X_FORWARDED_FOR" => Some(", "),
            "HTTP_COOKIE" => Some("; "),
            _ => continue,
        };
        let value: String = value.bytes().map(char::from).collect();
        match (entries.get_mut(&**key), separator) {
            (Some(entry), Some(separator)) => *entry = format!("{entry}{separator}{value}"),
            _ => drop(entries.insert(&**key, value)),
        }
    }
    entries
}

fn value_change() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "/", "/a", "/a/x", "https", "off", "\u{ff}"])
}

proptest! {
    #[test]
    fn remembered_requests_leave_no_trace(
        packets in packets(),
        trust in any::<bool>(),
        order in any::<prop::sample::Index>(),
    ) {
        let forwarded_proto = if trust { ForwardedProto::Trust } else { ForwardedProto::Ignore };
        let server = ServerInfo { forwarded_proto, ..server_info() };
        let start = order.index(packets.len());
        Python::attach(|py| {
            let errors = Bound::new(py, Log::default().errors()).unwrap();
            let builder = || EnvironBuilder::new(py, &server, errors.clone().unbind()).unwrap();
            let input = Input::new(py, Body::empty()).unwrap();
            let mut slot = builder();
            for (index, (vars, handling)) in packets[start..].iter().chain(&packets).enumerate() {
                let made = index % 2 == 0;
                let packet = packet(vars);
                let vars_ref = packet.vars.as_ref();
                let id = if made { RequestId::Made("made") } else { RequestId::Sent };
                let environ = slot.build(py, vars_ref, *handling, id, &input).unwrap();
                let fresh = builder().build(py, vars_ref, *handling, id, &input).unwrap();
                prop_assert!(
                    environ.eq(&fresh).unwrap(),
                    "{:?}: {} instead of {}", vars, environ, fresh
                );
                for (key, expected) in expected_entries(vars) {
                    let entry = environ.get_item(key).unwrap().map(|entry| entry.to_string());
                    prop_assert_eq!(entry, Some(expected), "{} of {:?}", key, vars);
                }
                environ.clear();
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_text_of_an_application_breaks_the_response(
        status in prop_oneof![
            "[0-9]{3}( [ -~]{0,8})?", "[0-9]{1,4}.{0,4}", any::<String>(),
        ],
        headers in vec(
            (
                prop_oneof!["[A-Za-z-]{1,8}", any::<String>(), Just("Content-Length".to_owned())],
                prop_oneof!["[ -~]{0,8}", "[0-9]{1,3}", any::<String>()],
            ),
            0..4,
        ),
        body in vec(any::<u8>(), 0..20),
        head in any::<bool>(),
        keep_alive in any::<bool>(),
    ) {
        Python::attach(|py| {
            let expected = headers.clone();
            let chunk = PyBytes::new(py, &body).unbind();
            let application = PyCFunction::new_closure(py, None, None, move |args, _| {
                let py = args.py();
                let start_response = args.get_item(1)?;
                start_response.call1((&status, PyList::new(py, &headers)?))?;
                PyResult::Ok(PyList::new(py, [chunk.bind(py)])?.unbind())
            })
            .unwrap();
            let errors = Bound::new(py, Log::default().errors()).unwrap();
            let input = Input::new(py, Body::empty()).unwrap();
            let environ = pyo3::types::PyDict::new(py);
            let method = if head { Method::Head } else { Method::Other };
            let persistence = if keep_alive { Persistence::KeepAlive } else { Persistence::Close };
            let peer = Arc::new(Peer::default());
            let (out, object_cache) = (Vec::new(), &mut ObjectCache::default());
            let exchange =
                Exchange { environ, input, errors, transport: peer, method, persistence, on_return: |_, _| {}, out, object_cache };
            let completed = respond(&application, exchange);

            let wire: String = completed.tail.out.iter().copied().map(char::from).collect();
            if !completed.failures.is_empty() && completed.end == ResponseEnd::Complete {
                prop_assert!(INTERNAL_SERVER_ERROR.starts_with(&wire), "{:?}", wire);
                return Ok(());
            }
            let (head, rest) = wire.split_once("\r\n\r\n").unwrap();
            let mut lines = head.split("\r\n");
            let status = format!("HTTP/1.1 {} ", completed.status);
            prop_assert!(lines.next().unwrap().starts_with(&status), "{:?}", wire);
            let mut given = expected.iter();
            for line in lines {
                let (name, value) = line.split_once(": ").unwrap();
                let kept = keep_alive && (name, value) == ("Connection", "keep-alive");
                let added = name == "Content-Length" || kept;
                prop_assert!(
                    given.any(|(n, v)| n == name && v == value) || added,
                    "{:?} is nobody's", line
                );
            }
            prop_assert_eq!(rest.chars().count() as u64, completed.body_bytes);
            let is_kept = completed.persistence == Persistence::KeepAlive;
            let says_so = head.split("\r\n").filter(|line| *line == "Connection: keep-alive").count();
            // A response may fail after its head.
            prop_assert!(says_so <= usize::from(keep_alive) && says_so >= usize::from(is_kept));
            prop_assert!(!is_kept || (keep_alive && length_by_head(head, method) == Some(rest.chars().count())));
            Ok(())
        })?;
    }
}

/// How long the body of a response is, as far as its head says so (RFC 9112, 6.3).
fn length_by_head(head: &str, method: Method) -> Option<usize> {
    let status = &head["HTTP/1.1 ".len()..][..3];
    if method == Method::Head || ["204", "304"].contains(&status) {
        return Some(0);
    }
    let lengths = head.split("\r\n").filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("Content-Length")
            .then(|| value.trim().parse().ok())?
    });
    let lengths: Vec<usize> = lengths.collect();
    assert!(lengths.len() < 2, "{head}");
    lengths.first().copied()
}
