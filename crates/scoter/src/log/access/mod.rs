//! The access log: a line per response, written off the slots.

mod access_log;
mod clock;
mod destination;
mod entry;
mod format;
mod target;
mod writer;

pub(crate) use access_log::AccessLog;
pub(crate) use entry::Entry;
pub(crate) use format::AccessLogFormat;
pub(crate) use target::{AccessLogTo, OpenError};
