//! The scheduling policy of a sleeping slot.

use nix::libc;
use tracing::{debug, warn};

use crate::sys::scheduling::{policy, set_policy};

/// Keeps a slot from interrupting the front end, where both share a core.
///
/// nginx connects, then writes, and goes on to its next client. An ordinary thread that
/// sleeps until there is a connection takes the core from it in between, and finds nothing
/// to read yet: two context switches for nothing, many times a batch. A thread of
/// SCHED_BATCH waits until the core is free (sched(7)), and finds what nginx has sent
/// meanwhile for many clients.
///
/// But it waits for whoever has the core, and that may be somebody who keeps it. So a slot
/// is SCHED_BATCH only while it sleeps, not while the application runs, and only where it
/// was too early several times and where there is more than one request for it when it
/// comes.
#[derive(Debug, Default)]
pub(crate) struct WakePolicy {
    /// Whether the next sleep is to be one of SCHED_BATCH.
    batch: bool,
    /// Sleeps in a row that ended before the waker had written.
    too_early: u32,
    /// Requests and connections taken since the last sleep.
    taken: u32,
}

/// The thread is SCHED_BATCH as long as this lives.
struct Batch;

impl WakePolicy {
    /// Takes note of a connection, and whether the peer had written when it was accepted.
    pub(crate) fn accepted(&mut self, written: bool) {
        if self.taken == 0 {
            self.too_early = if written { 0 } else { self.too_early + 1 };
        }
        self.request_taken();
    }

    /// Takes note of a request that the reactor has completed.
    pub(crate) fn request_taken(&mut self) {
        self.taken = self.taken.saturating_add(1);
    }

    /// Sleeps until `wait` returns.
    pub(crate) fn sleep<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.batch = if self.batch {
            // None at all: something else has woken it.
            self.taken != 1
        } else {
            self.too_early >= MIN_EARLY_WAKES
        };
        self.taken = 0;
        if !self.batch {
            return wait();
        }
        self.too_early = 0;
        let _batch = Batch::begin();
        wait()
    }
}

impl Batch {
    /// What an operator has chosen instead of the ordinary policy (`chrt`, systemd's
    /// `CPUSchedulingPolicy=`) is kept.
    fn begin() -> Option<Self> {
        if policy() != libc::SCHED_OTHER {
            return None;
        }
        set_policy(libc::SCHED_BATCH)
            // A filter of system calls may refuse it.
            .inspect_err(|error| debug!(%error, "the scheduling policy cannot be changed"))
            .ok()
            .map(|()| Self)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if policy() == libc::SCHED_BATCH {
            if let Err(error) = set_policy(libc::SCHED_OTHER) {
                warn!(%error, "a thread stays SCHED_BATCH");
            }
        }
    }
}

/// Too early so often in a row it was no accident.
const MIN_EARLY_WAKES: u32 = 8;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Whether the thread is SCHED_BATCH while it sleeps.
    fn sleeps_as_batch(waking: &mut WakePolicy) -> bool {
        let asleep = waking.sleep(policy);
        assert_eq!(policy(), libc::SCHED_OTHER, "after the sleep");
        asleep == libc::SCHED_BATCH
    }

    fn too_early(waking: &mut WakePolicy, times: u32) {
        for time in 0..times {
            waking.accepted(false);
            assert_eq!(
                sleeps_as_batch(waking),
                time + 1 == MIN_EARLY_WAKES,
                "{time}"
            );
        }
    }

    #[test]
    fn slot_that_was_too_early_often_enough_is_batch_while_that_pays() {
        let mut waking = WakePolicy::default();
        assert!(!sleeps_as_batch(&mut waking));
        too_early(&mut waking, MIN_EARLY_WAKES);
        for _ in 0..3 {
            waking.accepted(true);
            waking.accepted(true);
            assert!(sleeps_as_batch(&mut waking), "two at once");
            assert!(sleeps_as_batch(&mut waking), "woken by something else");
        }
        waking.accepted(true);
        assert!(!sleeps_as_batch(&mut waking), "one alone");
        too_early(&mut waking, MIN_EARLY_WAKES);
        waking.request_taken();
        assert!(!sleeps_as_batch(&mut waking), "one alone, of the reactor");
    }

    #[test]
    fn accident_is_no_reason() {
        let mut waking = WakePolicy::default();
        too_early(&mut waking, MIN_EARLY_WAKES - 1);
        waking.accepted(true);
        // Nor is one that came when nobody slept.
        waking.accepted(false);
        assert!(!sleeps_as_batch(&mut waking));
        too_early(&mut waking, MIN_EARLY_WAKES - 1);
    }

    #[test]
    fn other_policies_are_kept() {
        // A thread of its own: there may be no way back from SCHED_IDLE.
        let idle = thread::spawn(|| {
            set_policy(libc::SCHED_IDLE).unwrap();
            let mut waking = WakePolicy::default();
            for _ in 0..2 * MIN_EARLY_WAKES {
                waking.accepted(false);
                assert_eq!(waking.sleep(policy), libc::SCHED_IDLE);
                assert_eq!(policy(), libc::SCHED_IDLE);
            }
        });
        idle.join().unwrap();
    }

    #[test]
    fn policy_that_is_chosen_during_a_sleep_is_kept() {
        let chosen = thread::spawn(|| {
            let mut waking = WakePolicy::default();
            too_early(&mut waking, MIN_EARLY_WAKES);
            waking.sleep(|| set_policy(libc::SCHED_IDLE).unwrap());
            assert_eq!(policy(), libc::SCHED_IDLE);
        });
        chosen.join().unwrap();
    }
}
