//! Counts requests and connections that were turned away for lack of room.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counts it until it is reported: a crowd must not flood the log too.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    refused: AtomicU64,
    idle: AtomicU64,
}

/// What is reported together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnedAway {
    /// Requests that were refused.
    refused: u64,
    /// Connections without a byte that were closed.
    idle: u64,
}

impl Overload {
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn idle_closed(&self) {
        self.idle.fetch_add(1, Relaxed);
    }

    /// What has been turned away since the last call, if anything.
    pub(crate) fn take(&self) -> Option<TurnedAway> {
        // First a look: this is called all the time, and nearly always in vain.
        if self.refused.load(Relaxed) == 0 && self.idle.load(Relaxed) == 0 {
            return None;
        }
        Some(TurnedAway {
            refused: self.refused.swap(0, Relaxed),
            idle: self.idle.swap(0, Relaxed),
        })
    }
}

impl TurnedAway {
    pub(crate) fn log(self) {
        let Self { refused, idle } = self;
        if refused > 0 {
            tracing::warn!(
                refused,
                "requests refused: --max-pending incomplete ones are already waiting"
            );
        }
        if idle > 0 {
            tracing::warn!(
                idle,
                "idle connections closed, the oldest first: more than --max-pending had sent \
                 nothing"
            );
        }
    }
}
