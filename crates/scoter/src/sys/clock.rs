//! The monotonic clock as a number, which processes can leave to each other in shared memory, and the
//! wall clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::durations::nanos;

/// The clock in nanoseconds, the same for all processes of a machine.
pub(crate) fn now() -> u64 {
    // Fails only for a clock that does not exist, and this one always does (clock_gettime(2)).
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    time.map_or(0, nanos)
}

/// The wall clock: how long ago the Unix epoch was.
pub(crate) fn since_epoch() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from);
    time.unwrap_or_default()
}

/// What [`now`] said at `moment`. The clock is not read.
pub(crate) fn nanos_at(moment: Instant) -> u64 {
    let (read, nanos_read) = *read_together();
    match moment.checked_duration_since(read) {
        Some(later) => nanos_read.saturating_add(nanos(later)),
        None => nanos_read.saturating_sub(nanos(read - moment)),
    }
}

/// The moment at which [`now`] said that. The clock is not read.
pub(crate) fn instant_of(then: u64) -> Instant {
    let (read, nanos_read) = *read_together();
    let moment = match then.checked_sub(nanos_read) {
        Some(later) => read.checked_add(Duration::from_nanos(later)),
        None => read.checked_sub(Duration::from_nanos(nanos_read - then)),
    };
    moment.unwrap_or(read)
}

/// A reading of both: [`Instant`] is the same clock, and does not show its number.
fn read_together() -> &'static (Instant, u64) {
    static READ_TOGETHER: OnceLock<(Instant, u64)> = OnceLock::new();
    READ_TOGETHER.get_or_init(|| (Instant::now(), now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_moment_are_the_same() {
        let minute = Duration::from_secs(60);
        let (before, number) = (Instant::now(), now());
        for (moment, expected) in [
            (before, number),
            (before + minute, number + nanos(minute)),
            (before - minute, number - nanos(minute)),
        ] {
            let found = nanos_at(moment);
            assert!(found.abs_diff(expected) < nanos(minute / 60), "{found}");
            assert_eq!(instant_of(found), moment);
        }
    }
}
