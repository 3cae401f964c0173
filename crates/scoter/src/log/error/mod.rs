//! The error log, on standard error.

mod background;
mod json;
mod level;
mod panic;
pub(super) mod standard_error;
mod subscriber;
mod text;
mod untrusted_text;

pub(crate) use background::{say, say_soon, start_thread};
pub(crate) use level::{LogFormat, LogLevel};
pub(crate) use subscriber::{application_lines, init};
