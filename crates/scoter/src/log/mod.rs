//! What scoter writes: the error log on standard error, and the access log.
//!
//! The master, launchers and workers write to the same places. Each line, or several whole
//! ones, is one write(2), which the kernel takes whole; on a pipe or a socket, where it does
//! not do so with long ones, the processes take turns.

mod access;
mod clock;
mod destination;
mod error;
mod foreign_text;
mod format;
mod identity;
mod json_event;
mod level;
mod panic;
mod standard_error;
mod streams;
mod thread;
mod turn;

pub(crate) use access::{AccessLog, AccessLogTo, Entry, OpenError};
pub(crate) use error::{application_lines, init};
pub(crate) use format::AccessLogFormat;
pub(crate) use identity::{Identity, identify};
pub(crate) use level::{LogFormat, LogLevel};
pub(crate) use thread::{say, say_soon, start_thread};
