//! What the application logs and prints, as part of the error log.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};

use tracing::error;

use super::joined_lines::JoinedLines;
use super::json::Application;
use super::subscriber::is_json;
use super::{standard_error, standard_output, untrusted_text};
use crate::sys::fork;

/// A standard stream of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StandardStream {
    Output,
    Error,
}

/// A record of Python's `logging`.
#[derive(Debug)]
pub(crate) struct LogRecord<'a> {
    /// Where the handler writes.
    pub(crate) stream: StandardStream,
    pub(crate) logger: &'a str,
    /// `LogRecord.levelno`.
    pub(crate) level: i64,
    pub(crate) message: &'a str,
    /// The traceback, or empty.
    pub(crate) exception: &'a str,
}

/// Logs lines of `wsgi.errors`, each with a mark, or all as one JSON object.
pub(crate) fn application_lines(lines: &str) {
    let mut message = Message::default();
    let written = if is_json() {
        writeln!(message, "{}", Application::text("wsgi.errors", lines))
    } else {
        untrusted_text::write_lines(&mut message, lines)
    };
    finish(StandardStream::Error, &message, written);
}

/// Logs text that a thread of the application prints, as JSON objects. What is not complete yet is
/// kept.
pub(crate) fn application_output(stream: StandardStream, text: &[u8]) {
    let key = (stream, thread::current().id());
    let Some(mut pending) = pending() else {
        // It was locked when the application forked; that thread does not exist here.
        return write_text(stream, text);
    };
    let mut lines = pending.lines.remove(&key).unwrap_or_default();
    drop(pending);
    let Ok(records) = lines.push(text) else {
        return error!(bytes = text.len(), "{LOST}");
    };
    if !lines.is_empty() {
        if let Some(mut pending) = self::pending() {
            pending.lines.insert(key, lines);
        }
        // At the end of a thread there is none.
        let _ = THREAD_END.try_with(|_| ());
    }
    for record in records {
        write_text(stream, &record);
    }
}

/// Logs what this thread has printed and is not complete yet.
pub(crate) fn flush_application_output(stream: StandardStream) {
    let Some(mut pending) = pending() else {
        return;
    };
    let lines = pending.lines.remove(&(stream, thread::current().id()));
    drop(pending);
    if let Some(record) = lines.and_then(|mut lines| lines.finish()) {
        write_text(stream, &record);
    }
}

/// Logs what all threads have printed and is not complete yet, at the end of the process.
pub(crate) fn finish_application_output() {
    let Some(mut pending) = pending() else {
        return;
    };
    let all = std::mem::take(&mut pending.lines);
    drop(pending);
    for ((stream, _), mut lines) in all {
        if let Some(record) = lines.finish() {
            write_text(stream, &record);
        }
    }
}

/// Logs a record of `logging` as a JSON object.
pub(crate) fn application_record(record: &LogRecord<'_>) {
    // In the order in which they were written.
    flush_application_output(record.stream);
    let level = match record.level {
        50.. => "critical",
        40.. => "error",
        30.. => "warn",
        20.. => "info",
        _ => "debug",
    };
    let object = Application {
        source: "logging",
        level: Some(level),
        logger: Some(record.logger),
        message: record.message,
        exception: Some(record.exception).filter(|text| !text.is_empty()),
    };
    let mut message = Message::default();
    let written = writeln!(message, "{object}");
    finish(record.stream, &message, written);
}

/// Logs what a thread has not completed when it ends.
struct ThreadEnd(ThreadId);

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        for stream in [StandardStream::Output, StandardStream::Error] {
            let lines = pending().and_then(|mut it| it.lines.remove(&(stream, self.0)));
            if let Some(record) = lines.and_then(|mut lines| lines.finish()) {
                let (message, Ok(())) = object_of(stream, &record) else {
                    continue;
                };
                match stream {
                    StandardStream::Output => standard_output::write_last_lines(&message.0),
                    StandardStream::Error => standard_error::write_last_lines(&message.0),
                }
            }
        }
    }
}

thread_local! {
    static THREAD_END: ThreadEnd = ThreadEnd(thread::current().id());
}

fn write_text(stream: StandardStream, text: &[u8]) {
    let (message, written) = object_of(stream, text);
    finish(stream, &message, written);
}

fn object_of(stream: StandardStream, text: &[u8]) -> (Message, fmt::Result) {
    let source = match stream {
        StandardStream::Output => "stdout",
        StandardStream::Error => "stderr",
    };
    let text = String::from_utf8_lossy(text);
    let mut message = Message::default();
    let written = writeln!(message, "{}", Application::text(source, &text));
    (message, written)
}

fn finish(stream: StandardStream, message: &Message, written: fmt::Result) {
    match (written, stream) {
        (Ok(()), StandardStream::Error) => standard_error::write_lines(message.0.as_bytes()),
        (Ok(()), StandardStream::Output) => standard_output::write_lines(message.0.as_bytes()),
        (Err(fmt::Error), _) => error!(bytes = message.0.len(), "{LOST}"),
    }
}

const LOST: &str = "output of the application was lost: out of memory";

/// Writes a message that may be as long as a request's body, so memory may not suffice for it.
#[derive(Default)]
struct Message(String);

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

/// What is not complete yet.
#[derive(Default)]
struct Pending {
    /// The process whose threads these are: a fork copies it.
    pid: u32,
    lines: HashMap<(StandardStream, ThreadId), JoinedLines>,
}

static PENDING: LazyLock<Mutex<Pending>> = LazyLock::new(Mutex::default);

/// `None` if a thread of the parent process has locked it.
fn pending() -> Option<MutexGuard<'static, Pending>> {
    let mut pending = match PENDING.try_lock() {
        Ok(pending) => pending,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) if fork::is_child() => return None,
        Err(TryLockError::WouldBlock) => PENDING.lock().unwrap_or_else(PoisonError::into_inner),
    };
    let pid = std::process::id();
    if pending.pid != pid {
        pending.pid = pid;
        pending.lines.clear();
    }
    Some(pending)
}
