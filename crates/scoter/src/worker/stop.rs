//! Tells all parts of a worker to stop.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, write};
use rustix::thread::{MembarrierCommand, membarrier};
use tokio_util::sync::CancellationToken;

use crate::sys::descriptors::move_up;
use crate::sys::fatal;
use crate::sys::fork::Own;

/// Seen by the slots through a descriptor that stays readable, by tasks through a token.
#[derive(Debug)]
pub(crate) struct Stop {
    begun: OnceLock<(Ending, Instant)>,
    token: CancellationToken,
    event: Own,
    forbids_requests: AtomicBool,
}

/// What happens to connections that have not been accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Other workers take them.
    Retire,
    /// There is no other worker: they are accepted before the end.
    Drain,
}

impl Stop {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            begun: OnceLock::new(),
            token: CancellationToken::new(),
            event: move_up(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?),
            forbids_requests: AtomicBool::new(false),
        })
    }

    /// Begins the stop. Idempotent.
    pub(crate) fn begin(&self, ending: Ending) {
        let _ = self.begun.set((ending, Instant::now()));
        self.token.cancel();
        // Nobody reads it, so the next waiters see it too.
        if let Err(errno) = write(&self.event, &1u64.to_ne_bytes()) {
            fatal::examine(NAME, errno);
        }
    }

    /// How long ago the stop began.
    pub(crate) fn begun_for(&self) -> Option<Duration> {
        self.begun.get().map(|(_, at)| at.elapsed())
    }

    /// How the worker ends, if it does.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.begun.get().map(|(ending, _)| *ending)
    }

    /// Lets no request begin any more, because the process is about to end. Those that the
    /// scoreboard shows from now on are all that run.
    pub(crate) fn forbid_requests(&self) {
        self.forbids_requests.store(true, Relaxed);
        // A slot marks itself as running and then asks: without a barrier on both sides each might
        // miss the other. This one is for both, so that requests need none. Where the kernel lacks
        // it, a request that begins at this very moment may be missed.
        let _ = membarrier(MembarrierCommand::Global);
    }

    /// Whether no request may begin. To be asked by a slot of a stopping worker that has marked
    /// itself as running.
    pub(crate) fn forbids_requests(&self) -> bool {
        self.forbids_requests.load(Relaxed)
    }

    /// Completes when the stop begins.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn begun(&self) {
        self.token.cancelled().await;
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// What it is called where it is lost.
pub(crate) const NAME: &str = "stop";
