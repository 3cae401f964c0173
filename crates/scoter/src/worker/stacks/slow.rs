//! Requests that become slow: where they are is logged while they still run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::examination::{Wanted, examine};
use crate::control::{ThreadStack, ThreadStacks};
use crate::log::say;
use crate::python::stacks::of_thread;
use crate::request_head::RequestHead;
use crate::sys::durations::millis;
use crate::worker::Shared;

/// A request that has just become slow.
#[derive(Debug)]
pub(crate) struct SlowRequest {
    pub(crate) slot: usize,
    /// Which of the slot's requests it is: their number so far.
    pub(crate) number: u64,
    pub(crate) head: Arc<RequestHead>,
    /// What its duration is measured from.
    pub(crate) accepted: Instant,
}

/// Finds requests that become slow, and has the stacks of some of them logged.
#[derive(Debug)]
pub(crate) struct SlowRequests {
    quota: Quota,
}

/// Allows so many stacks a second, because under an overload all requests are slow.
#[derive(Debug)]
struct Quota {
    /// When the current second began.
    begun: Instant,
    used: u32,
    left_out: u64,
}

impl SlowRequests {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            quota: Quota {
                begun: now,
                used: 0,
                left_out: 0,
            },
        }
    }

    /// Looks for requests that have taken as long as `--slow-request`, and are not over yet.
    pub(crate) async fn check(&mut self, shared: &Arc<Shared>, now: Instant) {
        let Some(limit) = shared.slow_request else {
            return;
        };
        if let Some(left_out) = self.quota.take_left_out(now) {
            say(move || log_left_out(left_out)).await;
        }
        let slots = shared.monitor.slots().iter().zip(shared.board.cells());
        let slow = slots.filter_map(|(slot, cell)| slot.become_slow(cell, limit, now));
        let slow: Vec<_> = slow.filter(|_| self.quota.take()).collect();
        if !slow.is_empty() {
            tokio::spawn(report(Arc::clone(shared), slow));
        }
    }
}

impl Quota {
    /// Begins the next second if it is time. Returns how many stacks were left out in the last one.
    fn take_left_out(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.begun) < QUOTA_TIME {
            return None;
        }
        let left_out = self.left_out;
        *self = Self {
            begun: now,
            used: 0,
            left_out: 0,
        };
        Some(left_out).filter(|left_out| *left_out > 0)
    }

    /// Whether another stack may be logged now.
    fn take(&mut self) -> bool {
        let is_allowed = self.used < MAX_STACKS;
        match is_allowed {
            true => self.used += 1,
            false => self.left_out += 1,
        }
        is_allowed
    }
}

async fn report(shared: Arc<Shared>, slow: Vec<SlowRequest>) {
    let slots = slow.iter().map(|request| request.slot).collect();
    let stacks = examine(&shared, Wanted::Slots(slots)).await;
    say(move || {
        for request in &slow {
            // Otherwise it is over, and the log will say how long it took.
            if let Some(thread) = thread_of(request, &stacks) {
                request.log(thread, stacks.problem.as_deref());
            }
        }
    })
    .await;
}

/// The thread of a request, if that still ran when the stacks were read.
fn thread_of<'a>(request: &SlowRequest, stacks: &'a ThreadStacks) -> Option<&'a ThreadStack> {
    stacks.threads.iter().find(|thread| {
        thread.slot.as_ref().is_some_and(|slot| {
            let is_its = slot.slot as usize == request.slot && slot.requests == request.number;
            is_its && slot.is_busy()
        })
    })
}

impl SlowRequest {
    fn log(&self, thread: &ThreadStack, problem: Option<&str>) {
        let head = &self.head;
        let stack = (!thread.calls.is_empty()).then(|| {
            let text = of_thread(thread, None);
            format!("\n{}", text.trim_end())
        });
        warn!(
            method = head.method_text(),
            uri = head.uri_text(),
            request_id = head.request_id.as_str(),
            slot = self.slot,
            duration_ms = millis(self.accepted.elapsed()),
            problem,
            stack = stack.map(tracing::field::display),
            "slow request is still running"
        );
    }
}

fn log_left_out(count: u64) {
    warn!(
        count,
        "more requests have become slow: only {MAX_STACKS} stacks are logged per second and worker"
    );
}

/// Stacks per second.
const MAX_STACKS: u32 = 5;

/// The time that the number is for.
const QUOTA_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_stacks_a_second_are_logged_and_the_rest_is_counted_once() {
        let begun = Instant::now();
        let mut quota = SlowRequests::new(begun).quota;
        let at = |millis| begun + Duration::from_millis(millis);
        for (name, now, slow, allowed, left_out) in [
            ("few", at(0), 3, 3, None),
            ("too many", at(100), 1_000, 2, None),
            ("still the same second", at(999), 1, 0, None),
            ("the next one", at(1_000), 5, 5, Some(999)),
            ("much later", at(60_000), 5, 5, None),
            ("nothing", at(61_000), 0, 0, None),
        ] {
            assert_eq!(quota.take_left_out(now), left_out, "{name}");
            let taken = (0..slow).filter(|_| quota.take()).count();
            assert_eq!(taken, allowed, "{name}");
        }
    }
}
