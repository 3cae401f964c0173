//! The service manager's watchdog.

use std::time::{Duration, Instant};

use crate::supervisor::core::TICK;

/// The watchdog's notifications, and whether they are true.
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

    /// Records a notification of the watchdog. Returns whether it is true.
    pub(super) fn notify(&mut self, now: Instant) -> bool {
        self.notified = now;
        let since = now.duration_since(self.progress);
        self.timeout.is_some_and(|it| since <= it.max(TICK) + LATE)
    }

    /// Whether the watchdog, if there is one, was notified recently.
    pub(super) fn is_content(&self, now: Instant) -> bool {
        self.timeout.is_none() || now.duration_since(self.notified) <= LATE
    }
}

/// By how much a check, or its measurement, may be late.
const LATE: Duration = Duration::from_secs(2);
