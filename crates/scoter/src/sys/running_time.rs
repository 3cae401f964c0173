//! Time in which this process has been running: while the container is frozen or the machine
//! suspended, nobody in it can do anything either.

use std::time::{Duration, Instant};

/// Measures that time by calls at regular intervals. If a call is late the process was not running,
/// so it counts as hardly more than an interval.
#[derive(Debug)]
pub(crate) struct RunningTime {
    looked: Instant,
    longest: Duration,
}

impl RunningTime {
    /// Begins to measure with calls at this `interval`.
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            looked: now,
            // Under load a call may be late although the process is running.
            longest: interval * 2,
        }
    }

    /// How long the process has been running since the last call.
    pub(crate) fn step(&mut self, now: Instant) -> Duration {
        let looked = std::mem::replace(&mut self.looked, now);
        now.saturating_duration_since(looked).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_call_counts_as_two_intervals() {
        let interval = Duration::from_millis(100);
        let mut now = Instant::now();
        let mut time = RunningTime::new(interval, now);
        for (name, since_ms, expected_ms) in [
            ("in time", 100, 100),
            ("early", 30, 30),
            ("under load", 150, 150),
            ("after a night", 30_000_000, 200),
            ("in time again", 100, 100),
        ] {
            now += Duration::from_millis(since_ms);
            assert_eq!(time.step(now).as_millis(), expected_ms, "{name}");
        }
    }
}
