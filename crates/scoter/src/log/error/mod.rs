//! The error log, on standard error or to a file in its place.

mod application;
mod background;
mod colours;
mod error_log;
mod joined_lines;
mod json;
mod level;
mod panic;
pub(super) mod standard_error;
pub(super) mod standard_output;
mod subscriber;
mod text;
mod untrusted_text;

pub(crate) use application::{
    LogRecord, StandardStream, application_lines, application_output, application_record,
    finish_application_output, flush_application_output,
};
pub(crate) use background::{in_background, say, say_soon, start_thread};
pub(crate) use colours::Colours;
pub(crate) use error_log::{open_error_log, reopen_error_log, start_is_over, take_error_log};
pub(crate) use level::{LogFormat, LogLevel};
pub(crate) use subscriber::init;
