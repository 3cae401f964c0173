//! The pause before a lost process is started again.
//!
//! It applies only to processes that end before they have served. A process that has served is
//! replaced at once, however often that happens: a request ended it, and the next request
//! needs a worker.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The history of one place.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Consecutive processes that ended before they had served.
    failures: u32,
    /// When the last one ended.
    failed: Option<Instant>,
}

/// What a process did before it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Service {
    /// How long it was ready; `None` if it never was.
    pub(super) ready_for: Option<Duration>,
    /// How many requests it has finished.
    pub(super) finished: u64,
}

impl Service {
    /// Whether its start counts as a success: it has finished a request, or was ready for a while.
    /// Having become ready is not enough, because a thread of the application may end every process
    /// a moment later.
    fn has_served(self) -> bool {
        self.ready_for
            .is_some_and(|time| self.finished > 0 || time >= LONG_ENOUGH)
    }
}

/// The state for the next release.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct BackoffState {
    failures: u32,
    /// How long ago the last one ended.
    since: Option<Duration>,
}

impl Backoff {
    pub(super) fn state(&self, now: Instant) -> BackoffState {
        BackoffState {
            failures: self.failures,
            since: self.failed.map(|at| now.saturating_duration_since(at)),
        }
    }

    /// Records the end of a process.
    pub(super) fn note(&mut self, service: Service, now: Instant) {
        if service.has_served() {
            *self = Self::default();
        } else {
            self.failures = self.failures.saturating_add(1);
            self.failed = Some(now);
        }
    }

    /// Records that a process could not be started.
    pub(super) fn note_failed_start(&mut self, now: Instant) {
        self.note(Service::default(), now);
    }

    /// Whether so many have failed in a row that code that has not proven itself is given up.
    pub(super) fn keeps_failing(&self) -> bool {
        self.failures >= MANY_FAILURES
    }

    /// How long the place stays empty after the last end.
    pub(super) fn pause(&self, is_anybody_ready: bool) -> Duration {
        pause(self.failures, is_anybody_ready)
    }

    /// When the place may be filled again, if that is in the future.
    pub(super) fn until(&self, is_anybody_ready: bool, now: Instant) -> Option<Instant> {
        let until = self.failed? + self.pause(is_anybody_ready);
        (until > now).then_some(until)
    }
}

impl BackoffState {
    pub(super) fn resume(self, now: Instant) -> Backoff {
        Backoff {
            failures: self.failures,
            failed: self
                .since
                .map(|since| now.checked_sub(since).unwrap_or(now)),
        }
    }
}

/// The first lost process is replaced immediately; then the pause doubles. While no worker serves,
/// waiting protects nothing.
fn pause(failures: u32, is_anybody_ready: bool) -> Duration {
    let longest = if is_anybody_ready {
        MAX_PAUSE
    } else {
        MAX_OUTAGE
    };
    match failures {
        0 | 1 => Duration::ZERO,
        _ => (FIRST_PAUSE * (1 << (failures - 2).min(MAX_DOUBLINGS))).min(longest),
    }
}

/// One or two may have been ended by chance, a request or a kill.
const MANY_FAILURES: u32 = 3;

/// A process that was ready for this long does not count as a failure.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(30);
const MAX_OUTAGE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_loss_is_replaced_at_once_and_a_loop_is_slowed_down() {
        for (failures, serving, alone) in [
            (0, 0, 0),
            (1, 0, 0),
            (2, 100, 100),
            (3, 200, 200),
            (4, 400, 400),
            (5, 800, 800),
            (6, 1_600, 1_000),
            (10, 25_600, 1_000),
            (11, 30_000, 1_000),
            (u32::MAX, 30_000, 1_000),
        ] {
            for (is_anybody_ready, expected) in [(true, serving), (false, alone)] {
                let pause = pause(failures, is_anybody_ready).as_millis();
                assert_eq!(pause, expected, "{failures}, {is_anybody_ready}");
            }
        }
    }

    #[test]
    fn process_that_finished_a_request_or_was_ready_for_a_while_has_served() {
        for (name, ready_ms, finished, expected) in [
            ("never ready", None, 0, false),
            ("ready for a moment", Some(5), 0, false),
            ("died in its first request", Some(9_999), 0, false),
            ("died in its second request", Some(5), 1, true),
            ("waited for requests", Some(10_000), 0, true),
        ] {
            let service = Service {
                ready_for: ready_ms.map(Duration::from_millis),
                finished,
            };
            assert_eq!(service.has_served(), expected, "{name}");
        }
    }

    #[test]
    fn process_that_served_ends_a_loop() {
        let now = Instant::now();
        let mut place = Backoff::default();
        for _ in 0..9 {
            place.note_failed_start(now);
        }
        assert!(place.until(true, now).is_some());
        let service = Service {
            ready_for: Some(Duration::ZERO),
            finished: 1,
        };
        place.note(service, now);
        assert_eq!(place.until(true, now), None);
        place.note_failed_start(now);
        assert_eq!(place.pause(true), Duration::ZERO);
    }
}
