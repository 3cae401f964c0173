//! The thread that writes the access log, in batches.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, error, warn};

use super::clock::Clock;
use super::destination::Destination;
use super::filter::AccessLogFilter;
use super::format::{AccessLogFormat, Process};
use super::target::AccessLogTo;

/// Lines on their way to the writer.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) lines: Mutex<Lines>,
    pub(super) changed: Condvar,
    pub(super) format: AccessLogFormat,
    pub(super) filter: AccessLogFilter,
    pub(super) process: Process,
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) lost: u64,
    pub(super) clock: Clock,
    /// The writer has to reopen its file.
    pub(super) reopening: bool,
    /// The writer has to write the remaining lines and end.
    pub(super) closing: bool,
    /// The writer has ended.
    pub(super) closed: bool,
}

/// The writer's next task.
enum Task {
    Reopen,
    /// Write a batch. `lost` lines were lost before it.
    Write {
        lost: u64,
    },
    End,
}

impl Queue {
    pub(super) fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, and then briefly for more of them.
    fn next_task(&self, batch: &mut Vec<u8>) -> Task {
        let mut lines = self
            .changed
            .wait_while(self.lock(), |lines| {
                lines.bytes.is_empty() && !lines.closing && !lines.reopening
            })
            .unwrap_or_else(PoisonError::into_inner);
        (lines, _) = self
            .changed
            .wait_timeout_while(lines, BATCH_DELAY, |lines| {
                lines.bytes.len() < BATCH_BYTES && !lines.closing && !lines.reopening
            })
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut lines.reopening) {
            return Task::Reopen;
        }
        if lines.bytes.is_empty() {
            return Task::End;
        }
        std::mem::swap(&mut lines.bytes, batch);
        let lost = std::mem::take(&mut lines.lost);
        Task::Write { lost }
    }

    pub(super) fn write_batches(&self, mut destination: Destination, to: &AccessLogTo) {
        let mut batch = Vec::with_capacity(2 * BATCH_BYTES);
        let mut failing = false;
        let _closed = ClosedOnDrop(self);
        loop {
            let lost = match self.next_task(&mut batch) {
                Task::Reopen => {
                    reopen(&mut destination, to);
                    continue;
                }
                Task::Write { lost } => lost,
                Task::End => break,
            };
            if lost > 0 {
                warn!(
                    lost,
                    "access log lines were lost: the log is read or written too slowly"
                );
            }
            match destination.write(&batch) {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    error!(%error, "cannot write the access log: its lines are lost");
                    failing = true;
                }
                Err(_) => {}
            }
            batch.clear();
        }
    }
}

/// Records that the writer has ended, even if it panicked.
struct ClosedOnDrop<'a>(&'a Queue);

impl Drop for ClosedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

fn reopen(destination: &mut Destination, to: &AccessLogTo) {
    let path = match to {
        AccessLogTo::File(path) => Some(path.display()),
        AccessLogTo::Off | AccessLogTo::Stdout | AccessLogTo::Stderr => None,
    };
    let path = path.map(tracing::field::display);
    match to.open() {
        Ok(Some(file)) => {
            *destination = Destination::new(file);
            debug!(path, "access log reopened");
        }
        Ok(None) => {}
        Err(error) => {
            error!(path, %error, "cannot reopen the access log: the old file stays in use");
        }
    }
}

/// How long lines are collected before they are written.
pub(super) const BATCH_DELAY: Duration = Duration::from_millis(50);

/// Bytes that fill a batch, which is then written without further delay.
pub(super) const BATCH_BYTES: usize = 32 * 1_024;
