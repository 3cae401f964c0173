//! The error log: `tracing` events on standard error, one write each.

use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use super::colours::Colours;
use super::json::JsonEvent;
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

/// Whether messages are JSON objects.
pub(super) fn is_json() -> bool {
    AS_JSON.load(Ordering::Relaxed)
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
        if is_json() {
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
