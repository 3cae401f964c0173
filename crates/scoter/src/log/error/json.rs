//! The error log as JSON: one object per line.
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `time` | string | RFC 3339 with milliseconds, UTC |
//! | `level` | string | `error`, `warn`, `info`, `debug` or `trace` |
//! | `message` | string | what happened, in constant words |
//! | `worker`, `pid` | number | which worker it is from; the master's lines have neither |
//! | `source` | string | for what the application logs or prints: `wsgi.errors`, `logging`, `stderr`, `stdout` |
//! | `level`, `logger`, `exception` | string | of a record of `logging`; other lines of the application have no `level` |
//! | `request_id` | string | of the request that runs in the thread |
//! | others | | the event's fields |

use std::fmt;
use std::io;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::log::process_role::{self, ProcessRole};
use crate::log::request_in_thread;

/// Formats an event as JSON.
pub(super) struct JsonEvent<'a>(pub(super) &'a Event<'a>);

impl fmt::Display for JsonEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        self.0.record(&mut fields);
        let level = match *self.0.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        show(
            &Object {
                origin: ("level", level),
                fields: &fields.0,
            },
            f,
        )
    }
}

/// Formats what the application has logged or printed as JSON.
pub(super) struct Application<'a> {
    /// Where it comes from.
    pub(super) source: &'static str,
    pub(super) level: Option<&'static str>,
    pub(super) logger: Option<&'a str>,
    pub(super) message: &'a str,
    pub(super) exception: Option<&'a str>,
}

impl<'a> Application<'a> {
    /// One or several lines, of which nothing else is known.
    pub(super) fn text(source: &'static str, lines: &'a str) -> Self {
        Self {
            source,
            level: None,
            logger: None,
            message: lines.trim_end_matches('\n'),
            exception: None,
        }
    }
}

impl fmt::Display for Application<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request_id = request_in_thread::request_id();
        let fields = [
            ("level", self.level),
            ("logger", self.logger),
            ("message", Some(self.message)),
            ("exception", self.exception),
            ("request_id", request_id.as_deref()),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        show(
            &Object {
                origin: ("source", self.source),
                fields: &fields.collect::<Vec<_>>(),
            },
            f,
        )
    }
}

/// Writes piece by piece: the text may be as long as a request's body, and must not be held in
/// memory twice.
fn show<V: Serialize>(object: &Object<'_, V>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    serde_json::to_writer(Pieces(f), object).map_err(|_| fmt::Error)
}

struct Pieces<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl io::Write for Pieces<'_, '_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        // serde_json writes whole strings, or parts that end at ASCII characters.
        let text = std::str::from_utf8(piece).map_err(|_| io::ErrorKind::InvalidData)?;
        let written = self.0.write_str(text);
        written.map_err(|fmt::Error| io::ErrorKind::OutOfMemory)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Object<'a, V> {
    origin: (&'static str, &'static str),
    fields: &'a [(&'static str, V)],
}

impl<V: Serialize> Serialize for Object<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has = |key: &str| self.fields.iter().any(|(name, _)| *name == key);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &format_args!("{:.3}", Timestamp::now()))?;
        map.serialize_entry(self.origin.0, self.origin.1)?;
        // No key is repeated, whatever an event's fields are called.
        for (name, value) in self.fields {
            if !["time", self.origin.0].contains(name) {
                map.serialize_entry(name, value)?;
            }
        }
        if let ProcessRole::Worker { id } = process_role::current() {
            if !has("worker") {
                map.serialize_entry("worker", &id)?;
            }
            if !has("pid") {
                map.serialize_entry("pid", &std::process::id())?;
            }
        }
        map.end()
    }
}

/// Collects the fields of an event.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        self.0
            .push((name.strip_prefix("r#").unwrap_or(name), value.into()));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Tracebacks begin with a line break, which is for the text format.
        self.push(field, format!("{value:?}").trim_start_matches('\n'));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.push(field, value),
            Err(_) => self.push(field, value.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn application_lines_become_one_object() {
        for (lines, expected) in [
            ("one\n", "one"),
            ("one\ntwo\n\n", "one\ntwo"),
            ("\n", ""),
            ("", ""),
            ("\"\u{1b}\u{e9}\u{1f600}\\", "\"\u{1b}\u{e9}\u{1f600}\\"),
        ] {
            let text = Application::text("wsgi.errors", lines).to_string();
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(object["message"], expected, "{text}");
            assert_eq!(object["source"], "wsgi.errors");
        }
    }

    /// Accepts this many bytes, and no more.
    struct Full(usize);

    impl Write for Full {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    #[test]
    fn lack_of_memory_for_lines_is_an_error() {
        let lines = "x".repeat(1_000);
        let application = Application::text("stderr", &lines);
        assert!(write!(Full(2_000), "{application}").is_ok());
        assert!(write!(Full(500), "{application}").is_err());
    }
}
