//! The error log: `tracing` events on standard error, one write each.

use std::io::{self, IsTerminal};

use tracing::Level;

use crate::cli::LogLevel;

/// Starts logging. A second call in the same process changes nothing.
pub(crate) fn init(level: LogLevel) {
    let level = match level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .try_init();
}
