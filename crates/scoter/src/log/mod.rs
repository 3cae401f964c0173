//! What scoter writes: the error log, on standard error or to a file in its place, and the access
//! log.
//!
//! The master, launchers and workers write to the same places. Each line, or several whole
//! ones, is one write(2), which the kernel does not interleave with others. On a pipe or a
//! socket it does so with long ones, so a lock separates them.

mod access;
mod append;
mod error;
mod process_role;
mod request_in_thread;
mod streams;
mod write_lock;

pub(crate) use access::{
    AccessLog, AccessLogFilter, AccessLogFormat, AccessLogTo, Entry, LogVars, OpenError,
    ResponseOutcome, SampleRate, SkipRule,
};
pub(crate) use append::FileError;
pub(crate) use error::{
    Colours, LogFormat, LogLevel, LogRecord, StandardStream, application_lines, application_output,
    application_record, finish_application_output, flush_application_output, in_background, init,
    open_error_log, reopen_error_log, say, say_soon, start_is_over, start_thread, take_error_log,
};
pub(crate) use process_role::{ProcessRole, set_process_role};
pub(crate) use request_in_thread::RequestInThread;
pub(crate) use streams::standard_error;
