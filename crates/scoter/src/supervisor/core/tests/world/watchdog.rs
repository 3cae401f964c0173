//! The service manager's watchdog.

use std::time::{Duration, Instant};

use crate::supervisor::core::TICK;

/// What the service manager hears, and whether it is true.
#[derive(Debug)]
pub(super) struct Watchdog {
    timeout: Option<Duration>,
    notified: Instant,
    /// When some worker could last take a request, or began one.
    progress: Instant,
}

impl Watchdog {
    pub(super) fn new(timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            timeout,
            notified: now,
            progress: now,
        }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn note_progress(&mut self, now: Instant) {
        self.progress = now;
    }

    /// Notes that the service manager was told that all is well. Returns whether it is.
    pub(super) fn notify(&mut self, now: Instant) -> bool {
        self.notified = now;
        let since = now.duration_since(self.progress);
        self.timeout.is_some_and(|it| since <= it.max(TICK) + LATE)
    }

    /// Whether the service manager was told of late, if it wants to be.
    pub(super) fn is_content(&self, now: Instant) -> bool {
        self.timeout.is_none() || now.duration_since(self.notified) <= LATE
    }
}

/// By how much a look, or what it finds, may be late.
const LATE: Duration = Duration::from_secs(2);
