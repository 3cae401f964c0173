//! Whether the next request should still run.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::worker::request::intake::Request;

/// Turns away what has waited for too long, and counts what it turns away.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    queue_timeout: Option<Duration>,
    /// Requests refused since they were reported.
    late: AtomicU64,
    /// The longest wait of theirs, in milliseconds.
    longest_ms: AtomicU64,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is run, having waited for so long.
    Run(Duration),
    /// No client waits for it any more.
    PeerGone,
    /// It waited for longer than `--queue-timeout`.
    Late(Duration),
}

/// Refusals that are reported together: an overload must not flood the log too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LateRequests {
    pub(crate) count: u64,
    pub(crate) longest_wait_ms: u64,
}

impl Admission {
    pub(crate) fn new(queue_timeout: Option<Duration>) -> Self {
        Self {
            queue_timeout,
            ..Self::default()
        }
    }

    /// Decides about the next request of a slot. It may have waited, in the kernel's queue,
    /// for `behind`: a wait that only the front end can tell.
    pub(crate) fn decide(&self, request: &Request, now: Instant, behind: Duration) -> Decision {
        let waited = request.waited(now);
        // A system call, which is not worth it where there was hardly time to go away.
        if waited.max(behind) >= MIN_WAIT_TO_CHECK_PEER && request.connection.peer_is_gone() {
            return Decision::PeerGone;
        }
        if self.queue_timeout.is_some_and(|longest| waited > longest) {
            self.late.fetch_add(1, Relaxed);
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            self.longest_ms.fetch_max(waited_ms, Relaxed);
            return Decision::Late(waited);
        }
        Decision::Run(waited)
    }

    /// What has been refused since the last call, if anything.
    pub(crate) fn take_late(&self) -> Option<LateRequests> {
        // First a look: this is called all the time, and nearly always in vain.
        if self.late.load(Relaxed) == 0 {
            return None;
        }
        Some(LateRequests {
            count: self.late.swap(0, Relaxed),
            longest_wait_ms: self.longest_ms.swap(0, Relaxed),
        })
    }
}

impl LateRequests {
    pub(crate) fn log(self) {
        let Self {
            count,
            longest_wait_ms,
        } = self;
        tracing::warn!(
            count,
            longest_wait_ms,
            "requests refused: they waited longer than --queue-timeout"
        );
    }
}

/// The wait after which the peer is looked at.
const MIN_WAIT_TO_CHECK_PEER: Duration = Duration::from_millis(50);
