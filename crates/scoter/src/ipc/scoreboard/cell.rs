//! A slot's part of the scoreboard.

use std::mem::size_of;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

#[cfg(all(test, feature = "loom"))]
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
#[cfg(not(all(test, feature = "loom")))]
use std::sync::atomic::{AtomicU32, AtomicU64, fence};

use super::counters::Counters;
use super::seqlock::SeqLock;
use crate::request_head::{Param, RequestHead};
use crate::sys::clock::now;

/// One slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Cell {
    phase: AtomicU32,
    /// Protects the label and the other facts about the request.
    lock: SeqLock,
    started: AtomicU64,
    requests: AtomicU64,
    busy: AtomicU64,
    queued: AtomicU64,
    /// Requests answered with a status of 500 or more.
    failed: AtomicU64,
    /// 1 once the slot accepts no more connections.
    left: AtomicU32,
    lengths: AtomicU64,
    text: [AtomicU64; TEXT_WORDS],
    /// The requests whose response the slot itself has finished.
    counters: Counters,
}

/// The state of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for a request.
    Idle,
    /// The application runs.
    Running,
    /// The application still runs, but its client has received a timeout response.
    TimedOut,
}

/// A request as shown to operators. Each part is truncated if there is not enough room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Label<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) request_id: &'a [u8],
}

/// The contents of a cell at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) phase: Phase,
    /// How long the request has been running; zero for an idle slot.
    pub(crate) age: Duration,
    /// Requests started.
    pub(crate) requests: u64,
    /// Requests answered with a status of 500 or more.
    pub(crate) failed: u64,
    /// Time spent in the application, finished requests only.
    pub(crate) busy: Duration,
    /// Time that requests have waited for the application to start, as far as that is known.
    pub(crate) queued: Duration,
    /// The method of the current or last request.
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) request_id: String,
}

impl Cell {
    /// Records that the application starts a request, which has waited since `queued_since`, by the
    /// clock of [`now`], if that is known. Returns for how long. Only the slot itself may call this.
    pub(crate) fn begin(&self, label: Label<'_>, queued_since: Option<u64>) -> Option<Duration> {
        let now = now();
        let queued = queued_since.map(|since| now.saturating_sub(since));
        self.lock.write(|| {
            self.write_label(label);
            self.started.store(now, Relaxed);
            add(&self.requests, 1);
            add(&self.queued, queued.unwrap_or_default());
        });
        self.phase.store(Phase::Running as u32, Release);
        queued.map(Duration::from_nanos)
    }

    /// Records that the application has finished with this status. Returns how long it ran.
    pub(crate) fn end(&self, status: u16) -> Duration {
        let elapsed = now().saturating_sub(self.started.load(Relaxed));
        add(&self.busy, elapsed);
        if status >= 500 {
            add(&self.failed, 1);
        }
        self.phase.store(Phase::Idle as u32, Release);
        Duration::from_nanos(elapsed)
    }

    /// Records that the slot accepts no more connections.
    pub(crate) fn leave(&self) {
        self.left.store(1, Release);
    }

    /// Whether every slot has either stopped accepting or is busy, and will stop before it accepts
    /// again. If slots stop at the same moment and then call this, at least one of them gets
    /// `true`.
    pub(crate) fn are_all_out(cells: &[Self]) -> bool {
        // Otherwise each might miss that the other has stopped.
        fence(SeqCst);
        cells.iter().all(Self::is_out)
    }

    fn is_out(&self) -> bool {
        self.left.load(Acquire) == 1 || self.phase() != Phase::Idle
    }

    /// Records that the running request's client has received a timeout response.
    pub(crate) fn time_out(&self) {
        let running = Phase::Running as u32;
        let _ = self
            .phase
            .compare_exchange(running, Phase::TimedOut as u32, Release, Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from(self.phase.load(Acquire))
    }

    /// Requests started, which numbers the current one.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// How long the current request has been running, if there is one.
    pub(crate) fn age(&self) -> Option<Duration> {
        if self.phase() == Phase::Idle {
            return None;
        }
        let started = self.started.load(Relaxed);
        Some(Duration::from_nanos(now().saturating_sub(started)))
    }

    /// Time spent in the application, finished requests only.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Relaxed))
    }

    /// Counts requests whose response this slot finishes. Only the slot itself writes them.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Reads everything. For a running worker it may already be outdated. The label is empty if it
    /// cannot be read consistently, for instance because the worker was killed while writing it.
    pub(crate) fn read(&self) -> Snapshot {
        let whole = self.lock.read(|| self.read_once());
        whole.unwrap_or_else(|| Snapshot {
            method: String::new(),
            uri: String::new(),
            request_id: String::new(),
            ..self.read_once()
        })
    }

    fn read_once(&self) -> Snapshot {
        let mut text = [0; TEXT_WORDS * WORD];
        for (bytes, word) in text.chunks_exact_mut(WORD).zip(&self.text) {
            bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        let [method, id, low, high, ..] = self.lengths.load(Relaxed).to_le_bytes();
        let mut rest = &text[..];
        let mut take = |length: usize| {
            let (part, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            String::from_utf8_lossy(part).into_owned()
        };
        Snapshot {
            phase: self.phase(),
            age: self.age().unwrap_or_default(),
            requests: self.requests(),
            failed: self.failed.load(Relaxed),
            busy: self.busy(),
            queued: Duration::from_nanos(self.queued.load(Relaxed)),
            method: take(method.into()),
            request_id: take(id.into()),
            uri: take(u16::from_le_bytes([low, high]).into()),
        }
    }

    fn write_label(&self, label: Label<'_>) {
        let mut text = [0; TEXT_WORDS * WORD];
        let mut length = 0;
        let mut put = |part: &[u8], longest: usize| {
            let part = &part[..part.len().min(longest).min(text.len() - length)];
            text[length..length + part.len()].copy_from_slice(part);
            length += part.len();
            part.len()
        };
        let method = put(label.method, MAX_METHOD) as u64;
        let id = put(label.request_id, MAX_ID) as u64;
        let uri = put(label.uri, usize::MAX) as u64;
        for (bytes, word) in text[..length.next_multiple_of(WORD)]
            .chunks_exact(WORD)
            .zip(&self.text)
        {
            let mut value = [0; WORD];
            value.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(value), Relaxed);
        }
        self.lengths.store(method | id << 8 | uri << 16, Relaxed);
    }
}

impl<'a> Label<'a> {
    /// The label of a request.
    pub(crate) fn of(head: &'a RequestHead) -> Self {
        Self {
            method: head.param(Param::Method).unwrap_or_default(),
            uri: head.uri().unwrap_or_default(),
            request_id: head.request_id.as_bytes(),
        }
    }
}

impl From<u32> for Phase {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Running,
            2 => Self::TimedOut,
            _ => Self::Idle,
        }
    }
}

/// Adds to a counter that has a single writer.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

const WORD: usize = size_of::<u64>();

/// Room for a label: 320 bytes. Few in the model, which explores every way to read each word.
const TEXT_WORDS: usize = if cfg!(all(test, feature = "loom")) {
    2
} else {
    40
};
const MAX_METHOD: usize = 16;
const MAX_ID: usize = 64;

#[cfg(all(test, feature = "loom"))]
mod model;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::*;
    use crate::ipc::scoreboard::Scoreboard;

    #[test]
    fn long_labels_are_truncated_and_shorter_ones_leave_no_trace() {
        let board = Scoreboard::create(1).unwrap();
        let cell = &board.cells()[0];
        cell.begin(
            Label {
                method: &[b'M'; 99],
                uri: &[b'u'; 9_999],
                request_id: &[b'i'; 99],
            },
            None,
        );
        let seen = cell.read();
        assert_eq!(
            [&seen.method, &seen.request_id, &seen.uri].map(String::len),
            [16, 64, 240]
        );
        cell.begin(Label::default(), None);
        let seen = cell.read();
        assert_eq!((&*seen.method, &*seen.uri, &*seen.request_id), ("", "", ""));
    }

    #[test]
    fn label_of_a_worker_killed_while_writing_is_empty() {
        let board = Scoreboard::create(1).unwrap();
        let cell = &board.cells()[0];
        let label = Label {
            method: b"GET",
            uri: b"/",
            request_id: b"1",
        };
        cell.begin(label, None);
        cell.end(200);
        let killed = catch_unwind(AssertUnwindSafe(|| {
            cell.lock
                .write(|| resume_unwind(Box::new("no message needed")));
        }));
        assert!(killed.is_err());
        let seen = cell.read();
        assert_eq!((seen.phase, seen.requests), (Phase::Idle, 1));
        assert_eq!((&*seen.method, &*seen.uri, &*seen.request_id), ("", "", ""));
    }

    #[test]
    fn only_a_running_request_times_out() {
        let board = Scoreboard::create(1).unwrap();
        let cell = &board.cells()[0];
        cell.time_out();
        assert_eq!(cell.phase(), Phase::Idle);
        cell.begin(Label::default(), None);
        cell.time_out();
        assert_eq!(cell.phase(), Phase::TimedOut);
        cell.end(504);
        assert_eq!(cell.phase(), Phase::Idle);
    }
}
