//! The error log: `tracing` events on standard error, one write each.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tracing::Level;

use crate::config::LogLevel;

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
        // Where standard error is gone there is nobody to tell, and the attempt would panic.
        .log_internal_errors(false)
        .try_init();
}

/// Logs from a task: on a thread that may wait, and without waiting long for it. A standard
/// error that nobody reads must not stop the reactor.
pub(crate) async fn say(log: impl FnOnce() + Send + 'static) {
    let logged = tokio::task::spawn_blocking(log);
    let _ = tokio::time::timeout(PATIENCE, logged).await;
}

/// How long a task waits for its line to be taken.
const PATIENCE: Duration = Duration::from_millis(200);
