//! The formats of an access log line.

mod combined;
mod escape;
mod json;
mod json_otel;
mod request;
mod template;
mod terminal;
mod trace;

use std::io::IsTerminal;
use std::str::FromStr;
use std::time::Duration;

use template::{Template, TemplateError};
use terminal::Style;

use super::clock::Moment;
use super::entry::Entry;
use super::filter::SampleRate;
use crate::sys::terminal::has_colours;

/// The format of an access log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogFormat {
    /// nginx's combined format, followed by the duration.
    Combined,
    /// A JSON object.
    Json,
    /// A JSON object with OpenTelemetry's names.
    JsonOtel,
    /// A short line for whoever watches a terminal.
    Terminal(Style),
    /// A template with variables.
    Template(Template),
}

impl FromStr for AccessLogFormat {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Ok(match text {
            "combined" => Self::Combined,
            "json" => Self::Json,
            "json-otel" => Self::JsonOtel,
            "terminal" => Self::Terminal(Style::Plain),
            template => Self::Template(Template::parse(template)?),
        })
    }
}

impl AccessLogFormat {
    /// The same, with the colours that `stream` shows.
    pub(super) fn on(&self, stream: &impl IsTerminal) -> Self {
        match self {
            Self::Terminal(_) if has_colours(stream) => Self::Terminal(Style::Coloured),
            format => format.clone(),
        }
    }
}

/// All values that a line can contain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) entry: &'a Entry,
    /// Bytes of the body that were sent.
    pub(super) body_bytes: u64,
    /// From the accept to the last byte of the response.
    pub(super) elapsed: Duration,
    /// When the line is written.
    pub(super) now: Moment<'a>,
    pub(super) process: Process,
    /// Whether the response ended before it was complete.
    pub(super) is_cut: bool,
    /// The rate, for a line that stands for others.
    pub(super) sample: Option<SampleRate>,
}

/// The process that served the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// `None` if there is only one process.
    pub(super) worker: Option<u32>,
}

/// Appends a line with its line feed.
pub(super) fn write_line(line: &mut Vec<u8>, format: &AccessLogFormat, record: &Record<'_>) {
    match format {
        AccessLogFormat::Combined => combined::write(line, record),
        AccessLogFormat::Json => json::write(line, record),
        AccessLogFormat::JsonOtel => json_otel::write(line, record),
        AccessLogFormat::Terminal(style) => terminal::write(line, record, *style),
        AccessLogFormat::Template(template) => template.write(line, record),
    }
    line.push(b'\n');
}

/// Milliseconds, as precise as microseconds.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod fixture;
