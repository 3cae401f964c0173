//! The error log: `tracing` events on standard error, one write each.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber, error};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use super::colours::Colours;
use super::json::{Application, JsonEvent};
use super::level::{LogFormat, LogLevel};
use super::panic::log_panics;
use super::standard_error;
use super::text::EventText;
use super::untrusted_text;
use crate::log::process_role::{self, ProcessRole};
use crate::log::streams;

/// Starts logging. A later call changes level and format.
pub(crate) fn init(level: LogLevel, format: LogFormat, colours: Colours) {
    let level = LevelFilter::from(level);
    AS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    if let Some(current) = LEVEL.get() {
        let _ = current.reload(level);
        return;
    }
    streams::keep();
    let (filter, handle) = reload::Layer::new(level);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(LineFormat {
            text: Format::default().with_target(false),
        })
        .fmt_fields(Fields)
        .with_ansi(colours.are_on())
        .with_writer(|| StandardError)
        // Without standard error an internal error cannot be reported, and the attempt would panic.
        .log_internal_errors(false);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    if started.is_ok() {
        let _ = LEVEL.set(handle);
        log_panics();
    }
}

/// Logs lines of `wsgi.errors`, each with a mark, or all as one JSON object.
pub(crate) fn application_lines(lines: &str) {
    let mut message = Message::default();
    let written = if AS_JSON.load(Ordering::Relaxed) {
        writeln!(message, "{}", Application { lines })
    } else {
        untrusted_text::write_lines(&mut message, lines)
    };
    match written {
        Ok(()) => standard_error::write_lines(message.0.as_bytes()),
        Err(fmt::Error) => error!(
            bytes = lines.len(),
            "output to wsgi.errors was lost: out of memory"
        ),
    }
}

/// Writes a message that may be as long as a request's body, so memory may not suffice for it.
#[derive(Default)]
struct Message(String);

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

/// Formats an event as a line.
struct LineFormat {
    text: Format<Full>,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if AS_JSON.load(Ordering::Relaxed) {
            writeln!(writer, "{}", JsonEvent(event))
        } else {
            self.text.format_event(context, writer, event)
        }
    }
}

/// Formats message and fields, after those that identify the process. Their text may come from an
/// application or a peer.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        if let ProcessRole::Worker { id } = process_role::current() {
            write!(writer, "worker={id} pid={} ", std::process::id())?;
        }
        untrusted_text::write_message(&mut writer, &EventText::of(fields).to_string())
    }
}

/// Receives each line whole.
struct StandardError;

impl io::Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        standard_error::write_lines(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

static AS_JSON: AtomicBool = AtomicBool::new(false);
