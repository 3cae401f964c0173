//! Writes a line according to its template.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use uwsgi_codec::VarsRef;
use wsgi_environ::Repeated;

use super::variable::Known;
use super::{MAX_NAMES, Piece, Template};
use crate::log::access::filter::SampleRate;
use crate::log::access::format::Record;
use crate::log::access::format::escape::escape;
use crate::log::access::format::request::{write_request, write_uri};
use crate::log::access::format::trace::TraceContext;
use crate::request_head::Param;

impl Template {
    /// Appends a line without its line feed.
    pub(in crate::log::access) fn write(&self, line: &mut Vec<u8>, record: &Record<'_>) {
        let values = self.values(record.entry.head.vars());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.extend_from_slice(text.as_bytes()),
                Piece::Var(index) => {
                    let value = values[*index].as_ref().map(|found| &*found.value);
                    escape(line, value.filter(|value| !value.is_empty()));
                }
                Piece::LogVar(name) => {
                    let said = record.entry.said.as_ref();
                    let value = said.and_then(|said| said.get(name.as_bytes()));
                    escape(line, value.filter(|value| !value.is_empty()));
                }
                Piece::Known(known) => write_known(line, *known, record),
            }
        }
    }

    /// Finds the request variables in one pass. Repeated ones get the value that the application
    /// sees.
    fn values<'a>(&self, vars: VarsRef<'a>) -> [Option<Found<'a>>; MAX_NAMES] {
        let mut values = [const { None }; MAX_NAMES];
        if self.names.is_empty() {
            return values;
        }
        for (key, value) in vars {
            let is_name = |name: &String| name.as_bytes().eq_ignore_ascii_case(key);
            let Some(index) = self.names.iter().position(is_name) else {
                continue;
            };
            match (&mut values[index], Repeated::of(key)) {
                (Some(found), Repeated::Joined(separator)) if found.key == key => {
                    let joined = found.value.to_mut();
                    joined.extend_from_slice(separator);
                    joined.extend_from_slice(value);
                }
                (found, _) => {
                    let value = value.into();
                    *found = Some(Found { key, value });
                }
            }
        }
        values
    }
}

/// The value of a request variable that the template names.
struct Found<'a> {
    key: &'a [u8],
    value: Cow<'a, [u8]>,
}

fn write_known(line: &mut Vec<u8>, known: Known, record: &Record<'_>) {
    let Record {
        entry,
        now,
        process,
        ..
    } = record;
    let head = &entry.head;
    let traceparent = || head.param(Param::Traceparent);
    let trace = || traceparent().and_then(TraceContext::parse);
    // Writing to a vector cannot fail.
    let _ = match known {
        Known::Request => return write_request(line, head),
        Known::RequestUri => return write_uri(line, head),
        Known::RequestId => return escape(line, Some(head.request_id.as_bytes())),
        Known::TraceId => return escape(line, trace().map(|trace| trace.trace_id.as_bytes())),
        Known::SpanId => return escape(line, trace().map(|trace| trace.span_id.as_bytes())),
        Known::Status => write!(line, "{}", entry.status),
        Known::BodyBytesSent => write!(line, "{}", record.body_bytes),
        Known::RequestTime => {
            let (seconds, millis) = (record.elapsed.as_secs(), record.elapsed.subsec_millis());
            write!(line, "{seconds}.{millis:03}")
        }
        Known::RequestTimeMs => return write_millis(line, Some(record.elapsed)),
        Known::QueueTimeMs => return write_millis(line, entry.queued),
        Known::TimeLocal => write!(line, "{}", now.common),
        Known::TimeIso8601 => write!(line, "{}{}", now.date_time, now.offset),
        Known::Pid => write!(line, "{}", process.pid),
        Known::Slot => match entry.slot {
            Some(slot) => write!(line, "{slot}"),
            None => return escape(line, None),
        },
        Known::SampleRate => write!(line, "{}", record.sample.map_or(1.0, SampleRate::ratio)),
        Known::Worker => match process.worker {
            Some(worker) => write!(line, "{worker}"),
            None => return escape(line, None),
        },
    };
}

fn write_millis(line: &mut Vec<u8>, duration: Option<Duration>) {
    let Some(duration) = duration else {
        return escape(line, None);
    };
    let micros = duration.as_micros();
    let _ = write!(line, "{}.{:03}", micros / 1_000, micros % 1_000);
}
