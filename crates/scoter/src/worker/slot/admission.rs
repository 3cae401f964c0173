//! Whether the next request should still run.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use tracing::debug;

use crate::sys::clock::nanos_at;
use crate::sys::durations::{millis, nanos};
use crate::worker::request::intake::Request;
use crate::worker::response::refusal::{Refusal, Refused};
use crate::worker::slot::Slot;

/// Refuses requests that have waited too long, and counts them.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    queue_timeout: Option<Duration>,
    /// Refused requests that have not been reported yet.
    late: AtomicU64,
    /// Their longest wait, in milliseconds.
    longest_ms: AtomicU64,
    /// Requests without the front end's clock, until one has had it.
    clockless: AtomicU32,
    /// Whether the first requests have shown if there is such a clock.
    clock_is_known: AtomicBool,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It runs, after this wait, as far as that is known.
    Run(Option<Duration>),
    /// The client no longer waits for it.
    PeerGone,
    /// It waited for longer than `--queue-timeout`.
    Late(Duration),
}

/// Refusals that are reported together, so that an overload does not flood the log.
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

    /// Decides whether a slot runs its next request. It may have waited in the kernel's queue for
    /// `behind`, which only the front end can tell.
    pub(crate) fn decide(&self, request: &Request, now: Instant, behind: Duration) -> Decision {
        let known = request.waited(now);
        let waited = known.unwrap_or_else(|| request.waited_here(now));
        // Not worth a system call if the client hardly had time to leave.
        if waited.max(behind) >= MIN_WAIT_TO_CHECK_PEER && request.connection.peer_is_gone() {
            return Decision::PeerGone;
        }
        if self.queue_timeout.is_some_and(|longest| waited > longest) {
            self.note_late(waited);
            return Decision::Late(waited);
        }
        Decision::Run(known)
    }

    /// Notes whether a request has the front end's clock. Returns whether the lack of it is to be
    /// reported, which is so once.
    fn note_clock(&self, has_clock: bool) -> bool {
        if self.queue_timeout.is_none() || self.clock_is_known.load(Relaxed) {
            return false;
        }
        if !has_clock && self.clockless.fetch_add(1, Relaxed) + 1 < FIRST_REQUESTS {
            return false;
        }
        !self.clock_is_known.swap(true, Relaxed) && !has_clock
    }

    /// `--queue-timeout`.
    pub(crate) fn queue_timeout(&self) -> Option<Duration> {
        self.queue_timeout
    }

    /// Whether a request has waited for too long.
    pub(crate) fn is_late(&self, request: &Request, now: Instant) -> bool {
        self.queue_timeout
            .is_some_and(|longest| request.waited_at_least(now) > longest)
    }

    /// Counts a request that has waited for this long, and is refused.
    pub(crate) fn note_late(&self, waited: Duration) {
        self.late.fetch_add(1, Relaxed);
        let waited_ms = millis(waited);
        self.longest_ms.fetch_max(waited_ms, Relaxed);
    }

    /// Returns what has been refused since the last call, if anything.
    pub(crate) fn take_late(&self) -> Option<LateRequests> {
        // Loaded first, because this is called often and there is rarely anything.
        if self.late.load(Relaxed) == 0 {
            return None;
        }
        Some(LateRequests {
            count: self.late.swap(0, Relaxed),
            longest_wait_ms: self.longest_ms.swap(0, Relaxed),
        })
    }
}

impl Slot {
    /// Begins a request, unless its client has gone or it has waited too long.
    pub(super) fn admit(&mut self, mut request: Box<Request>) -> Option<Box<Request>> {
        let shared = &self.shared;
        let now = Instant::now();
        self.passed_unasked.begin(now);
        match shared.admission.decide(&request, now, self.longest_run) {
            Decision::Run(waited) => {
                if shared.admission.note_clock(waited.is_some()) {
                    shared.report_missing_clock();
                }
                request.queued_since =
                    waited.map(|waited| nanos_at(now).saturating_sub(nanos(waited)));
            }
            Decision::PeerGone => {
                shared.peer_gone();
                let request_id = request.head.request_id.as_str();
                debug!(
                    request_id,
                    status = 499,
                    "the peer disconnected before its turn"
                );
                return None;
            }
            Decision::Late(waited) => {
                let refused = Refused {
                    refusal: Refusal::QueueTimeout { waited },
                    head: Some(request.head),
                };
                self.refuse(request.connection, &refused);
                return None;
            }
        }
        if let Some(slot) = shared.monitor.slot(self.index) {
            slot.begin(&request);
        }
        Some(request)
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

/// Requests that may come from somewhere else than from nginx, such as a probe.
const FIRST_REQUESTS: u32 = 10;

/// The wait after which the peer is checked.
const MIN_WAIT_TO_CHECK_PEER: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lack_of_a_clock_is_reported_once_and_only_if_the_first_requests_have_none() {
        let limit = Some(Duration::from_secs(1));
        let most = FIRST_REQUESTS as usize;
        for (name, queue_timeout, with_clock, expected) in [
            ("none", limit, None, 1),
            ("the first", limit, Some(0), 0),
            ("the last of the first", limit, Some(most - 1), 0),
            ("a later one", limit, Some(most), 1),
            ("nobody needs it", None, None, 0),
        ] {
            let admission = Admission::new(queue_timeout);
            let reported = (0..5 * most).filter(|at| admission.note_clock(Some(*at) == with_clock));
            assert_eq!(reported.count(), expected, "{name}");
        }
    }
}
