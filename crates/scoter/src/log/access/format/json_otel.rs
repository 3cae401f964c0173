//! One JSON object per line, with OpenTelemetry's names: the attributes of "Semantic conventions
//! for HTTP spans" (HTTP server) and of its registry, and the three fields of "Trace Context in
//! non-OTLP Log Formats".
//!
//! | key | type | value |
//! |---|---|---|
//! | `timestamp` | string | local time of the end of the response: RFC 3339 with milliseconds and offset |
//! | `trace_id`, `span_id`, `trace_flags` | string | from a valid `traceparent`: the span is the caller's |
//! | `http.request.method` | string | one of RFC 9110 and RFC 5789 (`PATCH`) or `QUERY`, else `_OTHER` |
//! | `http.request.method_original` | string | the method, if that is `_OTHER` |
//! | `url.scheme` | string | `http` or `https`, by the front end's variables |
//! | `url.path`, `url.query` | string | as the client sent them |
//! | `http.response.status_code` | number | |
//! | `error.type` | string | a status from 500 up, or `cut` for a response that ended too early |
//! | `http.server.request.duration` | number | seconds; the name is that of the metric |
//! | `http.request.body.size`, `http.response.body.size` | number | bytes: announced, and sent |
//! | `client.address`, `client.port` | string, number | `REMOTE_ADDR`, `REMOTE_PORT` |
//! | `server.address`, `server.port` | string, number | from `Host`; without a port in it, the scheme's |
//! | `network.protocol.name`, `network.protocol.version` | string | `http`, and `1.1`, `2`, `3` |
//! | `user_agent.original` | string | |
//! | `http.request.header.referer` | array of strings | |
//! | `user.name` | string | `REMOTE_USER` |
//! | `process.pid` | number | |
//! | `scoter.request_id` | string | the request ID |
//! | `scoter.queue.duration` | number | seconds that the request waited for the application to start |
//! | `scoter.worker`, `scoter.slot` | number | where it ran |
//! | `scoter.logvars` | object | what the application has said with `uwsgi.set_logvar`, names and texts |
//! | `scoter.sample_rate` | number | of a success with `--access-log-sample` |
//!
//! Absent and empty values are left out. Each invalid UTF-8 sequence becomes U+FFFD.

use std::str;
use std::time::Duration;

use serde::Serialize;
use wsgi_environ::url_scheme;

use super::Record;
use super::json::{Rfc3339, Text, Vars, said};
use super::trace::TraceContext;
use crate::log::access::filter::SampleRate;
use crate::request_head::{Param, RequestHead};

pub(super) fn write(line: &mut Vec<u8>, record: &Record<'_>) {
    let entry = record.entry;
    let head = &entry.head;
    let text = |param| head.param(param).map(Text);
    let traceparent = head.param(Param::Traceparent);
    let trace = traceparent.and_then(TraceContext::parse);
    let (method, method_original) = method(head);
    let (path, query) = target(head);
    let scheme = url_scheme(head.vars());
    let (server_address, server_port) = server(head, scheme);
    let version = head.param(Param::Protocol).and_then(http_version);
    let status = itoa::Buffer::new().format(entry.status).to_owned();
    let json = Line {
        timestamp: Rfc3339(record.now),
        trace_id: trace.map(|trace| trace.trace_id),
        span_id: trace.map(|trace| trace.span_id),
        trace_flags: trace.map(|trace| trace.flags),
        method,
        method_original: method_original.map(Text),
        url_scheme: scheme,
        url_path: path.map(Text),
        url_query: query.map(Text),
        status_code: entry.status,
        error_type: match (entry.status, record.is_cut) {
            (500.., _) => Some(&*status),
            (_, true) => Some("cut"),
            _ => None,
        },
        request_duration: seconds(record.elapsed),
        request_body_size: head.content_length().ok().filter(|length| *length > 0),
        response_body_size: record.body_bytes,
        client_address: text(Param::RemoteAddr),
        client_port: last(head, b"REMOTE_PORT").and_then(number),
        server_address: server_address.map(Text),
        server_port,
        protocol_name: version.map(|_| "http"),
        protocol_version: version,
        user_agent: text(Param::UserAgent),
        referer: text(Param::Referer).map(|referer| [referer]),
        user_name: text(Param::RemoteUser),
        pid: record.process.pid,
        request_id: head.request_id.as_str(),
        queue_duration: entry.queued.map(seconds),
        worker: record.process.worker,
        slot: entry.slot,
        logvars: entry.said.as_deref().and_then(said),
        sample_rate: record.sample.map(SampleRate::ratio),
    };
    // Neither writing to a vector nor these types can fail.
    let _ = serde_json::to_writer(line, &json);
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: Rfc3339<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_flags: Option<&'a str>,
    #[serde(rename = "http.request.method")]
    method: &'a str,
    #[serde(
        rename = "http.request.method_original",
        skip_serializing_if = "Option::is_none"
    )]
    method_original: Option<Text<'a>>,
    #[serde(rename = "url.scheme")]
    url_scheme: &'a str,
    #[serde(rename = "url.path", skip_serializing_if = "Option::is_none")]
    url_path: Option<Text<'a>>,
    #[serde(rename = "url.query", skip_serializing_if = "Option::is_none")]
    url_query: Option<Text<'a>>,
    #[serde(rename = "http.response.status_code")]
    status_code: u16,
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(rename = "http.server.request.duration")]
    request_duration: f64,
    #[serde(
        rename = "http.request.body.size",
        skip_serializing_if = "Option::is_none"
    )]
    request_body_size: Option<u64>,
    #[serde(rename = "http.response.body.size")]
    response_body_size: u64,
    #[serde(rename = "client.address", skip_serializing_if = "Option::is_none")]
    client_address: Option<Text<'a>>,
    #[serde(rename = "client.port", skip_serializing_if = "Option::is_none")]
    client_port: Option<u16>,
    #[serde(rename = "server.address", skip_serializing_if = "Option::is_none")]
    server_address: Option<Text<'a>>,
    #[serde(rename = "server.port", skip_serializing_if = "Option::is_none")]
    server_port: Option<u16>,
    #[serde(
        rename = "network.protocol.name",
        skip_serializing_if = "Option::is_none"
    )]
    protocol_name: Option<&'a str>,
    #[serde(
        rename = "network.protocol.version",
        skip_serializing_if = "Option::is_none"
    )]
    protocol_version: Option<&'a str>,
    #[serde(
        rename = "user_agent.original",
        skip_serializing_if = "Option::is_none"
    )]
    user_agent: Option<Text<'a>>,
    #[serde(
        rename = "http.request.header.referer",
        skip_serializing_if = "Option::is_none"
    )]
    referer: Option<[Text<'a>; 1]>,
    #[serde(rename = "user.name", skip_serializing_if = "Option::is_none")]
    user_name: Option<Text<'a>>,
    #[serde(rename = "process.pid")]
    pid: u32,
    #[serde(rename = "scoter.request_id")]
    request_id: &'a str,
    #[serde(
        rename = "scoter.queue.duration",
        skip_serializing_if = "Option::is_none"
    )]
    queue_duration: Option<f64>,
    #[serde(rename = "scoter.worker", skip_serializing_if = "Option::is_none")]
    worker: Option<u32>,
    #[serde(rename = "scoter.slot", skip_serializing_if = "Option::is_none")]
    slot: Option<usize>,
    #[serde(rename = "scoter.logvars", skip_serializing_if = "Option::is_none")]
    logvars: Option<Vars<'a>>,
    #[serde(rename = "scoter.sample_rate", skip_serializing_if = "Option::is_none")]
    sample_rate: Option<f64>,
}

/// The method, and what the client wrote if that is none of the known ones. They bound the number
/// of values ("HTTP method names are case-sensitive", http.request.method).
fn method(head: &RequestHead) -> (&'static str, Option<&[u8]>) {
    let sent = head.param(Param::Method).unwrap_or_default();
    match METHODS.iter().find(|known| known.as_bytes() == sent) {
        Some(known) => (known, None),
        None => ("_OTHER", Some(sent).filter(|sent| !sent.is_empty())),
    }
}

/// Path and query.
fn target(head: &RequestHead) -> (Option<&[u8]>, Option<&[u8]>) {
    let uri = head.uri();
    let Some(at) = uri.and_then(|uri| memchr::memchr(b'?', uri)) else {
        return (uri, head.query_apart());
    };
    let (path, query) = uri.unwrap_or_default().split_at(at);
    (
        Some(path),
        Some(&query[1..]).filter(|query| !query.is_empty()),
    )
}

/// Host and port that the client addressed, as the `Host` header has them.
fn server<'a>(head: &'a RequestHead, scheme: &str) -> (Option<&'a [u8]>, Option<u16>) {
    let Some(host) = head.param(Param::Host) else {
        return (None, None);
    };
    let of_scheme = if scheme == "https" { 443 } else { 80 };
    // RFC 3986, 3.2.2: an IPv6 address has colons, and is in brackets.
    let end_of_address = memchr::memrchr(b']', host).map_or(0, |at| at + 1);
    let colon = memchr::memrchr(b':', &host[end_of_address..]);
    let (address, port) = host.split_at(colon.map_or(host.len(), |at| end_of_address + at));
    let bare = address
        .strip_prefix(b"[")
        .and_then(|it| it.strip_suffix(b"]"));
    let port = match port {
        [] | b":" => Some(of_scheme),
        [_, digits @ ..] => number(digits),
    };
    (Some(bare.unwrap_or(address)), port)
}

/// `1.1` of `HTTP/1.1`, `2` of `HTTP/2.0`.
fn http_version(protocol: &[u8]) -> Option<&str> {
    let version = str::from_utf8(protocol.strip_prefix(b"HTTP/")?).ok()?;
    let is_version = |version: &str| {
        let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        !version.is_empty() && version.bytes().all(is_part)
    };
    match version {
        "2.0" => Some("2"),
        "3.0" => Some("3"),
        version => Some(version).filter(|version| is_version(version)),
    }
}

fn last<'a>(head: &'a RequestHead, name: &[u8]) -> Option<&'a [u8]> {
    let mut values = head.vars().into_iter();
    let mut last = None;
    for (key, value) in &mut values {
        if key == name {
            last = Some(value);
        }
    }
    last
}

fn number(digits: &[u8]) -> Option<u16> {
    let text = str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

/// Seconds, as precise as microseconds.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000_000.0
}

/// RFC 9110, RFC 5789 and QUERY.
const METHODS: [&str; 10] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::{entry, line_of};
    use super::*;

    fn object<K: AsRef<[u8]>, V: AsRef<[u8]>>(vars: impl IntoIterator<Item = (K, V)>) -> Value {
        serde_json::from_str(&line_of(&entry(vars), write)).unwrap()
    }

    #[test]
    fn line_has_the_names_of_the_conventions() {
        let object = object([
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/a%20b?c=d&e"),
            ("REQUEST_SCHEME", "https"),
            ("SERVER_PROTOCOL", "HTTP/2.0"),
            ("CONTENT_LENGTH", "3495"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "65123"),
            ("REMOTE_USER", "ann"),
            ("HTTP_HOST", "example.com:8443"),
            ("HTTP_REFERER", "http://example.com/"),
            ("HTTP_USER_AGENT", "curl/8"),
            ("HTTP_X_REQUEST_ID", "abc-1"),
            (
                "HTTP_TRACEPARENT",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ]);
        let expected = json!({
            "timestamp": "2026-11-22T06:30:00.007+00:00",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "b7ad6b7169203331",
            "trace_flags": "01",
            "http.request.method": "POST",
            "url.scheme": "https",
            "url.path": "/a%20b",
            "url.query": "c=d&e",
            "http.response.status_code": 200,
            "http.server.request.duration": 1.04225,
            "http.request.body.size": 3495,
            "http.response.body.size": 10,
            "client.address": "192.0.2.7",
            "client.port": 65123,
            "server.address": "example.com",
            "server.port": 8443,
            "network.protocol.name": "http",
            "network.protocol.version": "2",
            "user_agent.original": "curl/8",
            "http.request.header.referer": ["http://example.com/"],
            "user.name": "ann",
            "process.pid": 4242,
            "scoter.request_id": "abc-1",
            "scoter.queue.duration": 0.0015,
            "scoter.worker": 2,
            "scoter.slot": 3,
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn absent_and_empty_values_are_left_out() {
        let object = object([
            ("PATH_INFO", "/p"),
            ("QUERY_STRING", ""),
            ("REMOTE_USER", ""),
        ]);
        let keys: Vec<_> = object.as_object().unwrap().keys().collect();
        let expected = [
            "http.request.method",
            "http.response.body.size",
            "http.response.status_code",
            "http.server.request.duration",
            "process.pid",
            "scoter.queue.duration",
            "scoter.request_id",
            "scoter.slot",
            "scoter.worker",
            "timestamp",
            "url.path",
            "url.scheme",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn values_follow_the_conventions() {
        for (name, value, key, expected) in [
            (
                "REQUEST_METHOD",
                "QUERY",
                "http.request.method",
                json!("QUERY"),
            ),
            (
                "REQUEST_METHOD",
                "get",
                "http.request.method",
                json!("_OTHER"),
            ),
            (
                "REQUEST_METHOD",
                "get",
                "http.request.method_original",
                json!("get"),
            ),
            (
                "REQUEST_METHOD",
                "GET",
                "http.request.method_original",
                Value::Null,
            ),
            ("REQUEST_URI", "/a", "url.query", Value::Null),
            ("REQUEST_URI", "/a?", "url.query", Value::Null),
            ("REQUEST_URI", "/a?", "url.path", json!("/a")),
            ("REQUEST_URI", "/a?b?c", "url.query", json!("b?c")),
            ("HTTPS", "on", "url.scheme", json!("https")),
            (
                "SERVER_PROTOCOL",
                "HTTP/1.1",
                "network.protocol.version",
                json!("1.1"),
            ),
            (
                "SERVER_PROTOCOL",
                "HTTP/3.0",
                "network.protocol.version",
                json!("3"),
            ),
            (
                "SERVER_PROTOCOL",
                "INCLUDED",
                "network.protocol.version",
                Value::Null,
            ),
            (
                "SERVER_PROTOCOL",
                "HTTP/x",
                "network.protocol.name",
                Value::Null,
            ),
            ("HTTP_HOST", "example.com", "server.port", json!(80)),
            (
                "HTTP_HOST",
                "example.com:",
                "server.address",
                json!("example.com"),
            ),
            ("HTTP_HOST", "example.com:x", "server.port", Value::Null),
            ("HTTP_HOST", "example.com:+1", "server.port", Value::Null),
            (
                "HTTP_HOST",
                "[2001:db8::1]",
                "server.address",
                json!("2001:db8::1"),
            ),
            (
                "HTTP_HOST",
                "[2001:db8::1]:81",
                "server.address",
                json!("2001:db8::1"),
            ),
            ("HTTP_HOST", "[2001:db8::1]:81", "server.port", json!(81)),
            ("CONTENT_LENGTH", "0", "http.request.body.size", Value::Null),
            ("REMOTE_PORT", "99999", "client.port", Value::Null),
        ] {
            let object = object([(name, value)]);
            assert_eq!(object[key], expected, "{name}={value}: {key}");
        }
    }

    #[test]
    fn failures_have_a_type() {
        for (status, is_cut, expected) in [
            (200, false, Value::Null),
            (404, false, Value::Null),
            (500, false, json!("500")),
            (503, true, json!("503")),
            (200, true, json!("cut")),
        ] {
            let mut entry = entry([("PATH_INFO", "/")]);
            entry.status = status;
            let line = line_of(&entry, |line, record| {
                write(line, &Record { is_cut, ..*record });
            });
            let object: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(object["error.type"], expected, "{status} {is_cut}");
        }
    }

    #[test]
    fn any_bytes_make_valid_json() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let names = [
            "REQUEST_METHOD",
            "REQUEST_URI",
            "SERVER_PROTOCOL",
            "REMOTE_ADDR",
            "REMOTE_PORT",
            "HTTP_HOST",
            "HTTP_USER_AGENT",
            "HTTP_REFERER",
            "HTTP_TRACEPARENT",
        ];
        let line = line_of(&entry(names.map(|name| (name, &*every_byte))), write);
        assert!(!line.contains(|c: char| c.is_ascii_control() && c != '\x7f'));
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["http.request.method"], "_OTHER");
    }
}
