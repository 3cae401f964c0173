//! One JSON object per line.
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `time` | string | local time of the end of the response: RFC 3339 with milliseconds and offset |
//! | `status` | number | of the response |
//! | `bytes` | number | bytes of the response's body that were sent |
//! | `duration_ms` | number | from accept, or on a kept connection from the request's first byte, to the last byte sent, milliseconds |
//! | `queue_ms` | number | the wait before the application started, from the front end's time stamp; left out if there is none |
//! | `method`, `uri`, `protocol` | string | the request line; without `REQUEST_URI`, path and query |
//! | `host`, `referer`, `user_agent` | string | request headers |
//! | `remote_addr`, `remote_user` | string | as the front end sent them |
//! | `request_id` | string | the request ID: `X-Request-ID`, or generated |
//! | `trace_id`, `span_id` | string | from a valid `traceparent` |
//! | `worker` | number | the worker's number, if there are workers |
//! | `pid`, `slot` | number | the process, and its thread from 0 |
//! | `logvars` | object | what the application has said with `uwsgi.set_logvar`, names and texts |
//! | `sample_rate` | number | of a success with `--access-log-sample`: it stands for `1 / sample_rate` of them |
//!
//! Absent and empty values are left out. Each invalid UTF-8 sequence becomes U+FFFD, so that
//! the line is valid JSON whatever a client sends.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use super::trace::TraceContext;
use super::{Record, millis};
use crate::log::access::clock::Moment;
use crate::log::access::entry::LogVars;
use crate::log::access::filter::SampleRate;
use crate::request_head::{Param, RequestHead};

pub(super) fn write(line: &mut Vec<u8>, record: &Record<'_>) {
    let head = &record.entry.head;
    let text = |param| head.param(param).map(Text);
    let traceparent = head.param(Param::Traceparent);
    let trace = traceparent.and_then(TraceContext::parse);
    let json = Line {
        time: Rfc3339(record.now),
        status: record.entry.status,
        bytes: record.body_bytes,
        duration_ms: millis(record.elapsed),
        queue_ms: record.entry.queued.map(millis),
        method: text(Param::Method),
        uri: uri(head),
        protocol: text(Param::Protocol),
        host: text(Param::Host),
        remote_addr: text(Param::RemoteAddr),
        remote_user: text(Param::RemoteUser),
        referer: text(Param::Referer),
        user_agent: text(Param::UserAgent),
        request_id: head.request_id.as_str(),
        trace_id: trace.map(|trace| trace.trace_id),
        span_id: trace.map(|trace| trace.span_id),
        worker: record.process.worker,
        pid: record.process.pid,
        slot: record.entry.slot,
        logvars: record.entry.said.as_deref().and_then(said),
        sample_rate: record.sample.map(SampleRate::ratio),
    };
    // Neither writing to a vector nor these types can fail.
    let _ = serde_json::to_writer(line, &json);
}

#[derive(Serialize)]
struct Line<'a> {
    time: Rfc3339<'a>,
    status: u16,
    bytes: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_addr: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_user: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Text<'a>>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<u32>,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logvars: Option<Vars<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<f64>,
}

/// What the application has said, if it is anything.
pub(super) fn said(said: &LogVars) -> Option<Vars<'_>> {
    let vars = said.all();
    (!vars.is_empty()).then_some(Vars(vars))
}

/// An object of names and texts.
pub(super) struct Vars<'a>(&'a [(Vec<u8>, Vec<u8>)]);

impl Serialize for Vars<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (Text(name), Text(value))))
    }
}

fn uri(head: &RequestHead) -> Option<Cow<'_, str>> {
    let uri = String::from_utf8_lossy(head.uri()?);
    Some(match head.query_apart() {
        Some(query) => format!("{uri}?{}", String::from_utf8_lossy(query)).into(),
        None => uri,
    })
}

/// Bytes that are usually UTF-8.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(self.0))
    }
}

/// A moment as RFC 3339 has it, with milliseconds.
pub(super) struct Rfc3339<'a>(pub(super) Moment<'a>);

impl fmt::Display for Rfc3339<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment {
            date_time,
            millis,
            offset,
            ..
        } = self.0;
        write!(f, "{date_time}.{millis:03}{offset}")
    }
}

impl Serialize for Rfc3339<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::fixture::{entry, line_of};
    use super::*;

    #[test]
    fn line_is_an_object_with_all_known_values() {
        let entry = entry([
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/a?b=c"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "10.0.0.1"),
            ("REMOTE_USER", "ann"),
            ("HTTP_HOST", "example.com"),
            ("HTTP_REFERER", "http://example.com/"),
            ("HTTP_USER_AGENT", "curl/8"),
            ("HTTP_X_REQUEST_ID", "abc-1"),
            (
                "HTTP_TRACEPARENT",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ]);
        assert_eq!(
            line_of(&entry, write),
            "{\"time\":\"2026-11-22T06:30:00.007+00:00\",\"status\":200,\"bytes\":10,\
             \"duration_ms\":1042.25,\"queue_ms\":1.5,\"method\":\"GET\",\"uri\":\"/a?b=c\",\
             \"protocol\":\"HTTP/1.1\",\"host\":\"example.com\",\"remote_addr\":\"10.0.0.1\",\
             \"remote_user\":\"ann\",\"referer\":\"http://example.com/\",\
             \"user_agent\":\"curl/8\",\"request_id\":\"abc-1\",\
             \"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\
             \"span_id\":\"b7ad6b7169203331\",\"worker\":2,\"pid\":4242,\"slot\":3}"
        );
    }

    #[test]
    fn absent_and_empty_values_are_left_out() {
        let entry = entry([
            ("REMOTE_USER", ""),
            ("PATH_INFO", "/p"),
            ("QUERY_STRING", "q"),
        ]);
        let line: Value = serde_json::from_str(&line_of(&entry, write)).unwrap();
        let keys: Vec<_> = line.as_object().unwrap().keys().collect();
        let expected = [
            "bytes",
            "duration_ms",
            "pid",
            "queue_ms",
            "request_id",
            "slot",
            "status",
            "time",
            "uri",
            "worker",
        ];
        assert_eq!(keys, expected);
        assert_eq!(line["uri"], "/p?q");
    }

    #[test]
    fn any_bytes_make_valid_json() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let entry = entry([
            ("REQUEST_URI", &every_byte[..]),
            (
                "HTTP_USER_AGENT",
                b"\xed\xa0\x80 \xf0\x9f\x98 caf\xc3\xa9\n\"\\",
            ),
            ("HTTP_TRACEPARENT", &every_byte),
        ]);
        let line = line_of(&entry, write);
        assert!(!line.contains(|c: char| c.is_ascii_control() && c != '\x7f'));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(line["uri"].as_str().unwrap().starts_with("\0\u{1}\u{2}"));
        let user_agent = line["user_agent"].as_str().unwrap();
        assert!(user_agent.ends_with(" caf\u{e9}\n\"\\"), "{user_agent}");
        assert!(line.get("trace_id").is_none());
    }
}
