//! The access log as slots and the reactor use it.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::destination::{Destination, NAME};
use super::entry::Entry;
use super::filter::{AccessLogFilter, ResponseOutcome, Verdict};
use super::format::{AccessLogFormat, Process, Record, write_line};
use super::target::{AccessLogTo, OpenError};
use super::writer::{BATCH_BYTES, Lines, Queue};
use crate::log::process_role::{self, ProcessRole};

/// Takes lines from any thread; a separate thread writes them in batches.
///
/// A line appears within [`BATCH_DELAY`](super::writer::BATCH_DELAY). Lines are lost only if the
/// disk is full, or if the reader of a pipe stalls for longer than the buffer lasts. Losses are
/// reported.
#[derive(Debug)]
pub(crate) struct AccessLog(Option<Arc<Queue>>);

/// An open access log whose writer has not been started. It survives a fork, which a thread does
/// not.
#[derive(Debug)]
pub(crate) struct OpenLog(Option<Opened>);

#[derive(Debug)]
struct Opened {
    destination: Destination,
    /// For reopening it.
    to: AccessLogTo,
    format: AccessLogFormat,
    filter: AccessLogFilter,
}

impl AccessLog {
    /// Its name in messages about a lost descriptor.
    pub(crate) const NAME: &str = NAME;

    /// Opens the log.
    ///
    /// A file is appended to, and created with mode 640 if it does not exist.
    ///
    /// # Errors
    ///
    /// That of opening the file.
    pub(crate) fn open(
        to: &AccessLogTo,
        format: &AccessLogFormat,
        filter: AccessLogFilter,
    ) -> Result<OpenLog, OpenError> {
        let Some(file) = to.open().map_err(|error| to.error(error))? else {
            return Ok(OpenLog(None));
        };
        let format = format.on(&file);
        Ok(OpenLog(Some(Opened {
            destination: Destination::new(file),
            to: to.clone(),
            format,
            filter,
        })))
    }

    /// Writes the line of a response, if it has one.
    pub(crate) fn write(&self, entry: &Entry, outcome: &ResponseOutcome) {
        let Some(queue) = &self.0 else {
            return;
        };
        let sample = match queue.filter.verdict(entry, outcome) {
            Verdict::Skip => return,
            Verdict::Write => None,
            Verdict::Sampled(rate) => Some(rate),
        };
        let mut lines = queue.lock();
        if lines.bytes.len() >= MAX_PENDING {
            lines.lost += 1;
            return;
        }
        let before = lines.bytes.len();
        let Lines { bytes, clock, .. } = &mut *lines;
        let record = Record {
            entry,
            body_bytes: entry.body_bytes.saturating_sub(outcome.unsent),
            elapsed: outcome.elapsed,
            is_cut: outcome.is_cut,
            sample,
            now: clock.now(),
            process: queue.process,
        };
        write_line(bytes, &queue.format, &record);
        let after = bytes.len();
        drop(lines);
        // The writer waits for a batch's first line, and then for the batch to fill.
        if before == 0 || (before < BATCH_BYTES && after >= BATCH_BYTES) {
            queue.changed.notify_one();
        }
    }

    /// Has the writer reopen the file soon, because it has been renamed, or standard error, which has
    /// been replaced. If that fails the old file stays in use.
    pub(crate) fn reopen(&self) {
        if let Some(queue) = &self.0 {
            queue.lock().reopening = true;
            queue.changed.notify_all();
        }
    }

    /// Writes the pending lines, for up to [`CLOSE_TIMEOUT`]. Later lines are lost.
    pub(crate) fn close(&self) {
        let Some(queue) = &self.0 else {
            return;
        };
        let mut lines = queue.lock();
        lines.closing = true;
        queue.changed.notify_all();
        let _ = queue
            .changed
            .wait_timeout_while(lines, CLOSE_TIMEOUT, |lines| !lines.closed);
    }

    /// Whether its writer has ended although the log has not been closed.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_some_and(|queue| {
            let lines = queue.lock();
            lines.closed && !lines.closing
        })
    }
}

impl OpenLog {
    /// Starts the writer, in the process that serves and after its role has been set.
    ///
    /// # Errors
    ///
    /// That of starting a thread.
    pub(crate) fn start(self) -> io::Result<AccessLog> {
        let Some(Opened {
            destination,
            to,
            format,
            filter,
        }) = self.0
        else {
            return Ok(AccessLog(None));
        };
        let queue = Arc::new(Queue {
            lines: Mutex::default(),
            changed: Condvar::new(),
            format,
            filter,
            process: Process {
                pid: std::process::id(),
                worker: match process_role::current() {
                    ProcessRole::Worker { id } => Some(id),
                    ProcessRole::Master => None,
                },
            },
        });
        std::thread::Builder::new()
            .name("scoter-access".to_owned())
            .spawn({
                let queue = Arc::clone(&queue);
                move || queue.write_batches(destination, &to)
            })?;
        Ok(AccessLog(Some(queue)))
    }
}

/// How long the end of the process waits for the last lines to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes kept while the log cannot be written.
const MAX_PENDING: usize = 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Instant;

    use super::*;
    use crate::request_head::RequestHead;

    fn entry(uri: &str) -> Entry {
        let head = RequestHead::of([("REQUEST_URI", uri)]);
        Entry {
            head,
            status: 200,
            body_bytes: 0,
            accepted: Instant::now(),
            queued: None,
            slot: Some(0),
            said: None,
        }
    }

    fn start(path: &Path) -> AccessLog {
        let to = AccessLogTo::File(path.to_owned());
        let template = "$request_uri".parse().unwrap();
        let log = AccessLog::open(&to, &template, AccessLogFilter::default());
        log.unwrap().start().unwrap()
    }

    fn write(log: &AccessLog, uri: &str) {
        let outcome = ResponseOutcome {
            elapsed: Duration::ZERO,
            unsent: 0,
            is_cut: false,
            is_slow: false,
        };
        log.write(&entry(uri), &outcome);
    }

    #[track_caller]
    fn wait_for(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "it does not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn every_line_is_in_the_file_after_close() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = start(&path);
        for index in 0..1_000 {
            write(&log, &format!("/{index}"));
        }
        log.close();
        let text = fs::read_to_string(path).unwrap();
        assert!(text.lines().eq((0..1_000).map(|index| format!("/{index}"))));
    }

    #[test]
    fn file_is_not_readable_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        start(&path).close();
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    }

    #[test]
    fn rotation_by_renaming_loses_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = start(&path);
        let mut all = String::new();
        let mut next = 0;
        for rotation in 0..20 {
            for _ in 0..100 {
                write(&log, &format!("/{next}"));
                next += 1;
            }
            let rotated = directory.path().join(format!("access.log.{rotation}"));
            fs::rename(&path, &rotated).unwrap();
            log.reopen();
            wait_for(|| path.exists());
            all += &fs::read_to_string(rotated).unwrap();
        }
        log.close();
        all += &fs::read_to_string(path).unwrap();
        assert!(all.lines().eq((0..next).map(|index| format!("/{index}"))));
    }

    #[test]
    fn file_that_cannot_be_reopened_stays_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let log = start(&logs.join("access.log"));
        write(&log, "/before");
        let renamed = directory.path().join("renamed");
        fs::rename(&logs, &renamed).unwrap();
        log.reopen();
        write(&log, "/after");
        log.close();
        let text = fs::read_to_string(renamed.join("access.log")).unwrap();
        assert_eq!(text, "/before\n/after\n");
    }

    #[test]
    fn log_that_cannot_be_opened_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no/access.log");
        let to = AccessLogTo::File(path.clone());
        let filter = AccessLogFilter::default();
        let error = AccessLog::open(&to, &AccessLogFormat::Json, filter).unwrap_err();
        let expected = format!(
            "cannot open the access log {}: No such file",
            path.display()
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn disabled_log_accepts_lines() {
        let filter = AccessLogFilter::default();
        let log = AccessLog::open(&AccessLogTo::Off, &AccessLogFormat::Combined, filter);
        let log = log.unwrap().start().unwrap();
        write(&log, "/");
        log.reopen();
        log.close();
    }
}
