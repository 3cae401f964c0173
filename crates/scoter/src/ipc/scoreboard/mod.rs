//! The state of every slot, in memory that the master shares with a worker.
//!
//! One mapping per worker and one cell per slot, written only with atomics: it can be read at
//! any time, even after the worker was killed in the middle of a request.

mod cell;
mod counters;
mod counts;
mod histogram;
mod refusal_reason;
mod seqlock;
mod writer;

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::sys::fork::Own;

pub(crate) use cell::{Cell, Label, Phase, Snapshot};
pub(crate) use counters::{Finished, MethodClass, StatusClass};
pub(crate) use counts::Counts;
pub(crate) use histogram::Distribution;
pub(crate) use refusal_reason::RefusalReason;
pub(crate) use writer::Writer;

use counters::Counters;

/// A worker's scoreboard.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    fd: Own,
    base: NonNull<Totals>,
    slots: usize,
}

/// Values of the worker as a whole.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Totals {
    /// When the reactor last ran, by the clock of [`now`].
    pub(crate) heartbeat: AtomicU64,
    /// Connections that the server refused with a response of its own.
    pub(crate) refused: AtomicU64,
    /// Peers that disconnected before their response was complete.
    pub(crate) peers_gone: AtomicU64,
    /// Requests that exceeded `--request-timeout`.
    pub(crate) timeouts: AtomicU64,
    /// Requests in which the application raised an exception.
    pub(crate) exceptions: AtomicU64,
    /// Connections that are kept and wait for their next request now.
    pub(crate) kept: AtomicU64,
    /// Requests on connections that had served one before.
    pub(crate) reused: AtomicU64,
    /// Connections that were left to another worker.
    pub(crate) passed_on: AtomicU64,
    /// Connections on which something else came than the front end had announced.
    pub(crate) out_of_step: AtomicU64,
    /// [`LAYOUT`], so that no other release takes the memory for what it is not.
    layout: AtomicU64,
    /// Those of `refused`, by [`RefusalReason`].
    pub(crate) refused_for: [AtomicU64; RefusalReason::COUNT],
    /// Requests whose response was not finished by a slot that ran them.
    pub(crate) counters: Counters,
}

impl Scoreboard {
    /// Makes a scoreboard for a worker with `slots` slots.
    ///
    /// # Errors
    ///
    /// System errors, if no memory or descriptors are available.
    pub(crate) fn create(slots: usize) -> io::Result<Self> {
        let fd = memfd_create(
            "scoter-scoreboard",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&fd, byte_length(slots) as u64)?;
        // Prevents any process with the descriptor from making the file shorter than the mappings.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        let board = Self::map(fd.into())?;
        board.totals().layout.store(LAYOUT, Relaxed);
        Ok(board)
    }

    /// Maps a scoreboard that another process has made.
    ///
    /// # Errors
    ///
    /// System errors, and `InvalidData` for a file that is not a scoreboard of this release's
    /// layout.
    pub(crate) fn attach(fd: impl Into<Own>) -> io::Result<Self> {
        let board = Self::map(fd.into())?;
        match board.totals().layout.load(Relaxed) {
            LAYOUT => Ok(board),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn map(fd: Own) -> io::Result<Self> {
        let length = usize::try_from(fstat(&fd)?.st_size).unwrap_or_default();
        let slots = length.saturating_sub(size_of::<Totals>()) / size_of::<Cell>();
        if slots == 0 || length != byte_length(slots) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: a new mapping at an address of the kernel's choice; no other pointer into it
        // exists.
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
        // Those of a model hold loom's atomics, but are never in a mapping.
        unsafe {
            std::slice::from_raw_parts(self.base.add(1).cast().as_ptr(), self.slots)
        }
    }

    /// The requests that are running, or were when the process ended.
    pub(crate) fn running(&self) -> Vec<Snapshot> {
        let cells = self.cells().iter().map(Cell::read);
        cells.filter(|cell| cell.phase != Phase::Idle).collect()
    }
}

/// Differs in each release that lays the memory out differently.
const LAYOUT: u64 = u64::from_le_bytes(*b"scoter\x00\x02");

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
// SAFETY: everything behind the pointer is atomic.
unsafe impl Send for Scoreboard {}

#[expect(unsafe_code, reason = "the pointer is to memory of atomics")]
// SAFETY: everything behind the pointer is atomic.
unsafe impl Sync for Scoreboard {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::clock::now;
    use crate::sys::durations::nanos;

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
        let queued = Duration::from_millis(5);
        let seen_by_slot = ours.cells()[2].begin(label, Some(now() - nanos(queued)));
        let seen = theirs.cells()[2].read();
        assert_eq!(seen.phase, Phase::Running);
        assert_eq!(
            (&*seen.method, &*seen.uri, &*seen.request_id),
            ("PATCH", "/a?b=c", "0123456789abcdef")
        );
        assert!(seen.queued >= queued && seen_by_slot == Some(seen.queued));
        ours.cells()[2].end(503);
        let seen = theirs.cells()[2].read();
        assert_eq!(
            (seen.phase, seen.requests, seen.failed),
            (Phase::Idle, 1, 1)
        );
        assert_eq!(theirs.cells()[0].read().requests, 0);
    }

    #[test]
    fn file_that_is_not_a_scoreboard_is_refused() {
        let fd = memfd_create("other", MemfdFlags::CLOEXEC).unwrap();
        assert!(Scoreboard::attach(fd).is_err());
        // Another release's may have the same length.
        let fd = memfd_create("other", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, byte_length(2) as u64).unwrap();
        assert!(Scoreboard::attach(fd).is_err());
    }

    #[test]
    fn counts_are_the_sum_of_what_slots_and_the_reactor_have_finished() {
        let board = Scoreboard::create(2).unwrap();
        let finished = Finished {
            method: MethodClass::Post,
            status: 503,
            duration: Duration::from_millis(30),
            queued: Some(Duration::from_millis(2)),
            request_bytes: 5,
            response_bytes: 7,
        };
        board.cells()[0].counters().note(&finished, Writer::Only);
        let get = Finished {
            method: MethodClass::Get,
            status: 200,
            queued: None,
            ..finished
        };
        board.cells()[1].counters().note(&get, Writer::Only);
        board.totals().counters.note(&finished, Writer::Any);
        board.totals().refused_for[RefusalReason::MaxBody as usize].store(3, Relaxed);
        let mut counts = Counts::default();
        for round in 1..=2 {
            counts.add(&board);
            let responses = StatusClass::ALL.map(|class| counts.responses(class));
            assert_eq!(responses, [0, round, 0, 0, 2 * round]);
            let posted = counts.responses[StatusClass::ServerError as usize];
            assert_eq!(posted[MethodClass::Post as usize], 2 * round);
            let counted = [&counts.durations, &counts.waits].map(Distribution::count);
            assert_eq!(counted, [3 * round, 2 * round]);
            let bytes = (counts.request_bytes, counts.response_bytes);
            assert_eq!(bytes, (15 * round, 21 * round));
            assert_eq!(counts.refused(RefusalReason::MaxBody), 3 * round);
            assert_eq!(counts.refused(RefusalReason::Spool), 0);
        }
    }

    #[test]
    fn counts_of_a_release_that_knows_fewer_reasons_are_taken_over() {
        let mut counts: Counts = serde_json::from_str(r#"{"refused": [4]}"#).unwrap();
        counts.add(&Scoreboard::create(1).unwrap());
        assert_eq!(counts.refused(RefusalReason::BadPacket), 4);
        assert_eq!(counts.refused(RefusalReason::OutOfMemory), 0);
    }
}
