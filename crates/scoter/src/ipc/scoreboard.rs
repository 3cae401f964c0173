//! What every slot is doing, in memory that the master shares with a worker.
//!
//! One mapping per worker and one cell per slot, written with atomics alone: it can be read
//! at any time, also after the worker was killed in the middle of a request.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::request_head::{Param, RequestHead};
use crate::sys::fork::Own;

/// A worker's scoreboard.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    fd: Own,
    base: NonNull<Totals>,
    slots: usize,
}

/// What concerns the worker as a whole.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Totals {
    /// When the reactor last showed that it runs, on the clock of [`now`].
    pub(crate) heartbeat: AtomicU64,
    /// Connections that were refused with a reply of the server's own.
    pub(crate) refused: AtomicU64,
    /// Peers that went away before their response was complete.
    pub(crate) peers_gone: AtomicU64,
    /// Requests that ran into `--request-timeout`.
    pub(crate) timeouts: AtomicU64,
}

/// One slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Cell {
    phase: AtomicU32,
    /// Odd while the label is written.
    version: AtomicU32,
    started: AtomicU64,
    requests: AtomicU64,
    busy: AtomicU64,
    queued: AtomicU64,
    /// Requests answered with a status of 500 or more.
    failed: AtomicU64,
    /// 1 once the slot takes no more connections.
    left: AtomicU32,
    lengths: AtomicU64,
    text: [AtomicU64; TEXT_WORDS],
}

/// What a slot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for a request.
    Idle,
    /// The application runs.
    Running,
    /// The application runs, and its client has been told that it took too long.
    TimedOut,
}

/// How a request is named to people. Each part is kept as far as there is room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Label<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) request_id: &'a [u8],
}

impl<'a> Label<'a> {
    /// The request as people know it.
    pub(crate) fn of(head: &'a RequestHead) -> Self {
        Self {
            method: head.param(Param::Method).unwrap_or_default(),
            uri: head.uri().unwrap_or_default(),
            request_id: head.request_id.as_bytes(),
        }
    }
}

/// A cell at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) phase: Phase,
    /// How long the request has been running; nothing for an idle slot.
    pub(crate) age: Duration,
    /// Requests begun.
    pub(crate) requests: u64,
    /// Requests answered with a status of 500 or more.
    pub(crate) failed: u64,
    /// Time spent in the application, finished requests only.
    pub(crate) busy: Duration,
    /// Time that requests have waited before their application began.
    pub(crate) queued: Duration,
    /// The request that runs, or ran last.
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) request_id: String,
}

/// The monotonic clock in nanoseconds: the same for all processes of a machine.
pub(crate) fn now() -> u64 {
    // It fails for clocks that do not exist, and this one always does (clock_gettime(2)).
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl Scoreboard {
    /// Makes a scoreboard for a worker of `slots` slots.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no memory or no descriptors to give.
    pub(crate) fn create(slots: usize) -> io::Result<Self> {
        let fd = memfd_create(
            "scoter-scoreboard",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&fd, byte_length(slots) as u64)?;
        // Nobody who gets hold of it can make it shorter than the mappings believe.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        Self::attach(fd)
    }

    /// Maps a scoreboard that another process has made.
    ///
    /// # Errors
    ///
    /// Those of the system, and `InvalidData` for a file that is none.
    pub(crate) fn attach(fd: impl Into<Own>) -> io::Result<Self> {
        let fd = fd.into();
        let length = usize::try_from(fstat(&fd)?.st_size).unwrap_or_default();
        let slots = length.saturating_sub(size_of::<Totals>()) / size_of::<Cell>();
        if slots == 0 || length != byte_length(slots) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: a new mapping at an address of the kernel's choice; nobody else has a
        // pointer into it.
        let base = unsafe {
            mmap(
                null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { fd, base, slots })
    }

    pub(crate) fn totals(&self) -> &Totals {
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: the mapping begins with a `Totals`, is aligned to a page, and lives as
        // long as `self`. All-zero and all other bytes are valid atomics, and other
        // processes write through atomics only.
        unsafe {
            self.base.as_ref()
        }
    }

    /// The slots' cells.
    pub(crate) fn cells(&self) -> &[Cell] {
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: as for `totals`: behind it come `slots` cells, as the length of the
        // sealed file says, and the size of a `Totals` is a multiple of their alignment.
        unsafe {
            std::slice::from_raw_parts(self.base.add(1).cast().as_ptr(), self.slots)
        }
    }

    /// What the slots are running now, or were when their process ended.
    pub(crate) fn running(&self) -> Vec<Snapshot> {
        let cells = self.cells().iter().map(Cell::read);
        cells.filter(|cell| cell.phase != Phase::Idle).collect()
    }
}

fn byte_length(slots: usize) -> usize {
    size_of::<Totals>() + slots * size_of::<Cell>()
}

impl AsFd for Scoreboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Scoreboard {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: mapped by `attach` with this length; references into it borrow `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), byte_length(self.slots)) };
    }
}

#[expect(unsafe_code, reason = "the pointer is to memory of atomics")]
// SAFETY: whatever the pointer leads to is an atomic.
unsafe impl Send for Scoreboard {}

#[expect(unsafe_code, reason = "the pointer is to memory of atomics")]
// SAFETY: whatever the pointer leads to is an atomic.
unsafe impl Sync for Scoreboard {}

impl Cell {
    /// Notes that the application begins to run for a request, which has waited for
    /// `queued`. Only the slot itself calls it.
    pub(crate) fn begin(&self, label: Label<'_>, queued: Duration) {
        let version = self.version.load(Relaxed);
        self.version.store(version | 1, Relaxed);
        fence(Release);
        self.write_label(label);
        self.started.store(now(), Relaxed);
        add(&self.requests, 1);
        add(&self.queued, nanos(queued));
        self.version.store((version | 1).wrapping_add(1), Release);
        self.phase.store(Phase::Running as u32, Release);
    }

    /// Notes that the application has ended, with this status. Returns how long it ran.
    pub(crate) fn end(&self, status: u16) -> Duration {
        let elapsed = now().saturating_sub(self.started.load(Relaxed));
        add(&self.busy, elapsed);
        if status >= 500 {
            add(&self.failed, 1);
        }
        self.phase.store(Phase::Idle as u32, Release);
        Duration::from_nanos(elapsed)
    }

    /// Notes that the slot takes no more connections.
    pub(crate) fn leave(&self) {
        self.left.store(1, Release);
    }

    /// Whether the slot takes no more connections, or has something else to do until it
    /// notices that it is not to.
    pub(crate) fn is_out(&self) -> bool {
        self.left.load(Acquire) == 1 || self.phase() != Phase::Idle
    }

    /// Notes that the running request's client has been told that it took too long.
    pub(crate) fn time_out(&self) {
        let running = Phase::Running as u32;
        let _ = self
            .phase
            .compare_exchange(running, Phase::TimedOut as u32, Release, Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from(self.phase.load(Acquire))
    }

    /// Requests begun: the number of the one that runs.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// How long the request has been running, if one is.
    pub(crate) fn age(&self) -> Option<Duration> {
        if self.phase() == Phase::Idle {
            return None;
        }
        let started = self.started.load(Relaxed);
        Some(Duration::from_nanos(now().saturating_sub(started)))
    }

    /// Reads everything. Of a worker that is alive it is what was true a moment ago.
    pub(crate) fn read(&self) -> Snapshot {
        let mut snapshot = self.read_once();
        for _ in 0..MOST_READS {
            let before = self.version.load(Acquire);
            snapshot = self.read_once();
            fence(Acquire);
            if before & 1 == 0 && before == self.version.load(Relaxed) {
                break;
            }
        }
        snapshot
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
            busy: Duration::from_nanos(self.busy.load(Relaxed)),
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
        let method = put(label.method, LONGEST_METHOD) as u64;
        let id = put(label.request_id, LONGEST_ID) as u64;
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

impl From<u32> for Phase {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Running,
            2 => Self::TimedOut,
            _ => Self::Idle,
        }
    }
}

/// Adds to a counter that has one writer.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

const WORD: usize = size_of::<u64>();

/// Room for a label: 320 bytes.
const TEXT_WORDS: usize = 40;
const LONGEST_METHOD: usize = 16;
const LONGEST_ID: usize = 64;

/// How often a reader tries to see a label that is not being written.
const MOST_READS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_read_back_through_another_mapping() {
        let ours = Scoreboard::create(3).unwrap();
        let theirs = Scoreboard::attach(ours.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(theirs.cells().len(), 3);
        let label = Label {
            method: b"PATCH",
            uri: b"/a?b=c",
            request_id: b"0123456789abcdef",
        };
        ours.cells()[2].begin(label, Duration::from_millis(5));
        let seen = theirs.cells()[2].read();
        assert_eq!(seen.phase, Phase::Running);
        assert_eq!(
            (&*seen.method, &*seen.uri, &*seen.request_id),
            ("PATCH", "/a?b=c", "0123456789abcdef")
        );
        assert_eq!(seen.queued, Duration::from_millis(5));
        ours.cells()[2].end(503);
        let seen = theirs.cells()[2].read();
        assert_eq!(
            (seen.phase, seen.requests, seen.failed),
            (Phase::Idle, 1, 1)
        );
        assert_eq!(theirs.cells()[0].read().requests, 0);
    }

    #[test]
    fn what_is_too_long_is_cut_and_shorter_labels_leave_no_trace() {
        let board = Scoreboard::create(1).unwrap();
        let cell = &board.cells()[0];
        cell.begin(
            Label {
                method: &[b'M'; 99],
                uri: &[b'u'; 9_999],
                request_id: &[b'i'; 99],
            },
            Duration::ZERO,
        );
        let seen = cell.read();
        assert_eq!(
            [&seen.method, &seen.request_id, &seen.uri].map(String::len),
            [16, 64, 240]
        );
        cell.begin(Label::default(), Duration::ZERO);
        let seen = cell.read();
        assert_eq!((&*seen.method, &*seen.uri, &*seen.request_id), ("", "", ""));
    }

    #[test]
    fn only_a_running_request_times_out() {
        let board = Scoreboard::create(1).unwrap();
        let cell = &board.cells()[0];
        cell.time_out();
        assert_eq!(cell.phase(), Phase::Idle);
        cell.begin(Label::default(), Duration::ZERO);
        cell.time_out();
        assert_eq!(cell.phase(), Phase::TimedOut);
        cell.end(504);
        assert_eq!(cell.phase(), Phase::Idle);
    }

    #[test]
    fn a_file_that_is_no_scoreboard_is_refused() {
        let fd = memfd_create("other", MemfdFlags::CLOEXEC).unwrap();
        assert!(Scoreboard::attach(fd).is_err());
    }
}
