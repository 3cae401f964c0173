//! The scheduling policy of a sleeping slot.

use std::mem::take;

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
/// On a kept connection nginx only writes, so there is always something to read; but the slot
/// takes the core for each request alone, and gives it back to a front end that still has
/// clients to go on with.
///
/// But it waits for whoever has the core, and that may be somebody who keeps it. So a slot
/// is SCHED_BATCH only while it sleeps, not while the application runs. It tries that for one
/// sleep where it was too early several times, or where most sleeps have ended with a single
/// request, and goes on with it as long as there is more than one request for it when it comes.
/// Each try that finds a single one makes the next one rarer: a client that is alone does not
/// wait for somebody's core.
#[derive(Debug)]
pub(crate) struct WakePolicy {
    /// Whether the last sleep was one of SCHED_BATCH.
    batch: bool,
    /// Sleeps in a row that ended before the waker had written.
    too_early: u32,
    /// Sleeps, and the requests that ended them, since they were last looked at.
    sleeps: u32,
    requests: u32,
    /// After how many sleeps they are looked at.
    patience: u32,
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
        self.decide();
        if !self.batch {
            return wait();
        }
        let _batch = Batch::begin();
        wait()
    }

    /// Decides on the next sleep by what was taken after the last one.
    fn decide(&mut self) {
        match take(&mut self.taken) {
            // Something else has woken it.
            0 => {}
            1 if self.batch => {
                self.batch = false;
                self.patience = (self.patience * 2).min(MAX_PATIENCE);
            }
            _ if self.batch => self.patience = MIN_PATIENCE,
            taken => {
                self.sleeps += 1;
                self.requests = self.requests.saturating_add(taken);
                self.batch = self.too_early >= MIN_EARLY_WAKES || self.takes_single_requests();
            }
        }
        if self.batch {
            self.too_early = 0;
        }
    }

    /// Whether most sleeps have ended with a single request.
    fn takes_single_requests(&mut self) -> bool {
        if self.sleeps < self.patience {
            return false;
        }
        let (sleeps, requests) = (take(&mut self.sleeps), take(&mut self.requests));
        requests < 2 * sleeps
    }
}

impl Default for WakePolicy {
    fn default() -> Self {
        Self {
            batch: false,
            too_early: 0,
            sleeps: 0,
            requests: 0,
            patience: MIN_PATIENCE,
            taken: 0,
        }
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

/// After how many sleeps SCHED_BATCH is tried, at first and after many vain tries. A try may cost
/// one request some milliseconds: the limit keeps that out of the 99.9th percentile.
const MIN_PATIENCE: u32 = 16;
const MAX_PATIENCE: u32 = 8_192;

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

    /// How many sleeps that end with a single request there are until one is SCHED_BATCH.
    fn single_requests_until_a_try(waking: &mut WakePolicy) -> u32 {
        for sleeps in 1..=2 * MAX_PATIENCE {
            waking.request_taken();
            if sleeps_as_batch(waking) {
                return sleeps;
            }
        }
        panic!("never tried");
    }

    #[test]
    fn slot_that_takes_one_request_at_a_time_tries_whether_there_are_more() {
        let mut waking = WakePolicy::default();
        assert_eq!(single_requests_until_a_try(&mut waking), MIN_PATIENCE);
        for _ in 0..3 {
            waking.request_taken();
            waking.request_taken();
            assert!(sleeps_as_batch(&mut waking), "two at once");
        }
        waking.request_taken();
        assert!(!sleeps_as_batch(&mut waking), "one alone");
    }

    #[test]
    fn vain_tries_become_rare_and_one_that_pays_makes_up_for_them() {
        let mut waking = WakePolicy::default();
        let mut patience = MIN_PATIENCE;
        for _ in 0..10 {
            assert_eq!(single_requests_until_a_try(&mut waking), patience);
            waking.request_taken();
            assert!(!sleeps_as_batch(&mut waking), "one alone");
            patience = (2 * patience).min(MAX_PATIENCE);
        }
        assert_eq!(patience, MAX_PATIENCE);
        assert_eq!(single_requests_until_a_try(&mut waking), MAX_PATIENCE);
        waking.request_taken();
        waking.request_taken();
        assert!(sleeps_as_batch(&mut waking), "two at once");
        waking.request_taken();
        assert!(!sleeps_as_batch(&mut waking), "one alone");
        assert_eq!(single_requests_until_a_try(&mut waking), 2 * MIN_PATIENCE);
    }

    #[test]
    fn requests_that_come_together_now_and_then_do_not_prevent_a_try() {
        let mut waking = WakePolicy::default();
        for sleep in 1..=MIN_PATIENCE {
            waking.request_taken();
            if sleep % 2 == 0 {
                waking.request_taken();
            }
            assert_eq!(
                sleeps_as_batch(&mut waking),
                sleep == MIN_PATIENCE,
                "{sleep}"
            );
        }
    }

    #[test]
    fn requests_that_come_together_anyway_are_no_reason_for_a_try() {
        let mut waking = WakePolicy::default();
        for sleep in 0..4 * MIN_PATIENCE {
            waking.request_taken();
            waking.request_taken();
            assert!(!sleeps_as_batch(&mut waking), "{sleep}");
        }
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
