//! How long a place that lost its process stays empty: not at all, until it loses one after
//! the other.

use std::time::{Duration, Instant};

/// What one place has been through.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Notes the end of a process that lived for `lifetime`, and returns how long its place
    /// stays empty.
    pub(super) fn failed(&mut self, lifetime: Duration) -> Duration {
        if lifetime >= LONG_ENOUGH {
            self.failures = 0;
        }
        self.failures += 1;
        let doublings = self.failures.saturating_sub(2).min(MOST_DOUBLINGS);
        let pause = match self.failures {
            1 => Duration::ZERO,
            _ => (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE),
        };
        self.until = Some(Instant::now() + pause);
        pause
    }

    /// When the place may be filled again, where that is still to come.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}

/// A process that lived for this long was no failed attempt.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const MOST_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_loss_is_made_good_at_once_and_a_loop_is_slowed_down() {
        let mut place = Backoff::default();
        let quick = Duration::from_millis(5);
        let pauses: Vec<_> = (0..12).map(|_| place.failed(quick).as_millis()).collect();
        assert_eq!(pauses[..5], [0, 100, 200, 400, 800]);
        assert_eq!(pauses[11], 30_000);
        assert!(place.until().is_some());
    }

    #[test]
    fn a_process_that_lived_is_no_part_of_a_loop() {
        let mut place = Backoff::default();
        for _ in 0..5 {
            place.failed(Duration::ZERO);
        }
        assert_eq!(place.failed(Duration::from_secs(60)), Duration::ZERO);
    }
}
