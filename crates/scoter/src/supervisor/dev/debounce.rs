//! When a burst of changes is over: an editor writes, renames and removes files at each save, and
//! `git checkout` changes many.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A burst of changes.
#[derive(Debug)]
pub(super) struct Burst {
    /// The first file that changed.
    first: PathBuf,
    begun: Instant,
    last: Instant,
}

impl Burst {
    /// Begins with a change.
    pub(super) fn begin(first: PathBuf, now: Instant) -> Self {
        Self {
            first,
            begun: now,
            last: now,
        }
    }

    /// Another change.
    pub(super) fn note(&mut self, now: Instant) {
        self.last = now;
    }

    /// When it is over unless there is another change: changes that never end are not waited for.
    pub(super) fn ends(&self) -> Instant {
        (self.last + QUIET).min(self.begun + LONGEST)
    }

    /// The file that names it.
    pub(super) fn into_first(self) -> PathBuf {
        self.first
    }
}

/// How long nothing changes after a burst.
const QUIET: Duration = Duration::from_millis(50);

/// How long a burst may be.
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_ends_when_it_is_quiet_but_not_never() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut burst = Burst::begin("a.py".into(), start);
        assert_eq!(burst.ends(), at(50));
        burst.note(at(40));
        assert_eq!(burst.ends(), at(90));
        for millis in (40..2_000).step_by(40) {
            burst.note(at(millis));
        }
        assert_eq!(burst.ends(), at(1_000));
        assert_eq!(burst.into_first(), PathBuf::from("a.py"));
    }
}
