//! Time in which this process has been running: while the container is frozen or the machine
//! suspended, nobody in it can do anything either.

use std::time::{Duration, Instant};

/// Measures that time by looks at regular intervals. One that comes late was kept from it, and
/// counts little more than one in time.
#[derive(Debug)]
pub(crate) struct RunningTime {
    looked: Instant,
    longest: Duration,
}

impl RunningTime {
    /// Begins to measure, by looks at this `interval`.
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            looked: now,
            // Under load a look may well come late, although the process runs.
            longest: interval * 2,
        }
    }

    /// For how long the process has been running since the last look.
    pub(crate) fn step(&mut self, now: Instant) -> Duration {
        let looked = std::mem::replace(&mut self.looked, now);
        now.saturating_duration_since(looked).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_that_comes_late_counts_as_two() {
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
