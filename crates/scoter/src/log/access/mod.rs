//! The access log: one line per response, not written by the slots themselves.

mod access_log;
mod clock;
mod destination;
mod entry;
mod filter;
mod format;
mod target;
mod writer;

pub(crate) use access_log::AccessLog;
pub(crate) use entry::{Entry, LogVars};
pub(crate) use filter::{AccessLogFilter, ResponseOutcome, SampleRate, SkipRule};
pub(crate) use format::AccessLogFormat;
pub(crate) use target::{AccessLogTo, OpenError};
