//! Tells all parts of a worker to stop.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, write};
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
