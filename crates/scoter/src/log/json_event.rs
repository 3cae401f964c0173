//! The error log as JSON: one object per line.
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `time` | string | RFC 3339 with milliseconds, UTC |
//! | `level` | string | `error`, `warn`, `info`, `debug` or `trace` |
//! | `message` | string | what happened, in constant words |
//! | `worker`, `pid` | number | which worker it is from; the master's lines have neither |
//! | `source` | string | `wsgi.errors` for lines of the application, which have no `level` |
//! | others | | the event's fields |

use std::fmt;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::identity::{self, Identity};

/// Shows an event as JSON.
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

/// Shows lines of `wsgi.errors` as JSON.
pub(super) struct Application<'a> {
    /// Whole lines.
    pub(super) lines: &'a str,
}

impl fmt::Display for Application<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = Value::from(self.lines.trim_end_matches('\n'));
        show(
            &Object {
                origin: ("source", "wsgi.errors"),
                fields: &[("message", message)],
            },
            f,
        )
    }
}

fn show(object: &Object<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = serde_json::to_string(object).map_err(|_| fmt::Error)?;
    f.write_str(&text)
}

struct Object<'a> {
    origin: (&'static str, &'static str),
    fields: &'a [(&'static str, Value)],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has = |key: &str| self.fields.iter().any(|(name, _)| *name == key);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &format_args!("{:.3}", Timestamp::now()))?;
        map.serialize_entry(self.origin.0, self.origin.1)?;
        // No key comes twice, whatever an event calls its fields.
        for (name, value) in self.fields {
            if !["time", self.origin.0].contains(name) {
                map.serialize_entry(name, value)?;
            }
        }
        if let Identity::Worker { id } = identity::current() {
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
        // A traceback begins on a line of its own where it is read as text.
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
