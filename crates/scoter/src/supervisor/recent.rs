//! What the last seconds were like.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::control::Percentiles;
use crate::ipc::scoreboard::{Counts, Distribution};

/// Sums as they were, about once a second for the last ten.
#[derive(Debug, Default)]
pub(super) struct Recent {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    /// Requests started.
    requests: u64,
    durations: Distribution,
    waits: Distribution,
}

impl Recent {
    /// Notes the sums at a time.
    pub(super) fn note(&mut self, requests: u64, counts: &Counts, now: Instant) {
        let age = |sample: &Sample| now.saturating_duration_since(sample.at);
        // A watchdog may have it called more often.
        if self.samples.back().is_some_and(|last| age(last) < MIN_STEP) {
            return;
        }
        // One stays that is as old as the window.
        while self.samples.get(1).is_some_and(|next| age(next) >= WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            at: now,
            requests,
            durations: counts.durations.clone(),
            waits: counts.waits.clone(),
        });
    }

    /// Requests started over the last second, per second.
    pub(super) fn requests_per_second(&self) -> f64 {
        let mut samples = self.samples.iter().rev();
        let (Some(last), Some(before)) = (samples.next(), samples.next()) else {
            return 0.0;
        };
        let seconds = last.at.saturating_duration_since(before.at).as_secs_f64();
        last.requests.saturating_sub(before.requests) as f64 / seconds
    }

    /// How long requests took, and how long they waited, over the last ten seconds. `counts` are the
    /// sums now.
    pub(super) fn percentiles(&self, counts: &Counts) -> (Percentiles, Percentiles) {
        let Some(first) = self.samples.front() else {
            return Default::default();
        };
        (
            Percentiles::of(&counts.durations.since(&first.durations)),
            Percentiles::of(&counts.waits.since(&first.waits)),
        )
    }
}

/// The time that the percentiles are about.
const WINDOW: Duration = Duration::from_secs(10);

/// The least time between two samples.
const MIN_STEP: Duration = Duration::from_millis(900);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(durations: &[Duration]) -> Counts {
        let mut counts = Counts::default();
        counts.durations = Distribution::of(durations);
        counts
    }

    #[test]
    fn percentiles_are_those_of_the_last_ten_seconds() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut recent = Recent::default();
        let mut durations = Vec::new();
        assert_eq!(recent.percentiles(&counts(&[second])).0.p50_ms, None);
        // One slow request a second for twenty seconds, then a fast one a second.
        for elapsed in 0..40 {
            recent.note(
                elapsed.into(),
                &counts(&durations),
                start + elapsed * second,
            );
            durations.push(if elapsed < 20 {
                3 * second
            } else {
                second / 50
            });
        }
        let (latency, queue) = recent.percentiles(&counts(&durations));
        assert_eq!(latency.p50_ms, Some(20.0));
        assert!(latency.p99_ms < Some(25.0), "{latency:?}");
        assert_eq!(queue, Percentiles::default());
        assert_eq!(recent.samples.len(), 11);
    }

    #[test]
    fn rate_is_that_of_the_last_second_however_often_it_is_noted() {
        let start = Instant::now();
        let mut recent = Recent::default();
        assert_eq!(recent.requests_per_second(), 0.0);
        for (elapsed_ms, requests) in [(0, 0), (1_000, 700), (1_500, 900), (2_000, 950)] {
            let at = start + Duration::from_millis(elapsed_ms);
            recent.note(requests, &Counts::default(), at);
        }
        assert_eq!(recent.requests_per_second(), 250.0);
    }
}
