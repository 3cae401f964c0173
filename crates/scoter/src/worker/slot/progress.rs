//! Whether the slots of a worker get on, as the reactor sees it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often each slot has looked for a request, and whether it sleeps. Each slot writes only its
/// own number, and nothing else depends on when others see it.
#[derive(Debug)]
pub(crate) struct Progress(Box<[Looks]>);

/// Even while the slot is awake. In a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Looks(AtomicU64);

impl Progress {
    /// All slots sleep: a worker that has not begun holds up nobody.
    pub(crate) fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| Looks(AtomicU64::new(ASLEEP))).collect())
    }

    /// A slot looks for a request.
    pub(super) fn looks(&self, slot: usize) {
        let Looks(looks) = &self.0[slot];
        looks.store((looks.load(Relaxed) | ASLEEP).wrapping_add(1), Relaxed);
    }

    /// A slot has found none, and sleeps.
    pub(super) fn sleeps(&self, slot: usize) {
        let Looks(looks) = &self.0[slot];
        looks.store(looks.load(Relaxed) | ASLEEP, Relaxed);
    }

    /// The numbers of all slots.
    pub(crate) fn seen(&self) -> Vec<u64> {
        self.0
            .iter()
            .map(|Looks(looks)| looks.load(Relaxed))
            .collect()
    }
}

/// For how long no slot has looked for a request.
#[derive(Debug, Default)]
pub(crate) struct Standstill {
    last: Vec<u64>,
    since: Option<Instant>,
}

/// What the slots do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// At least one sleeps: whatever arrives is taken.
    Sleep,
    /// All are busy, and none has looked for a request for this long.
    Busy(Duration),
}

impl Standstill {
    pub(crate) fn note(&mut self, seen: Vec<u64>, now: Instant) -> Slots {
        if seen.iter().any(|looks| looks & ASLEEP == ASLEEP) {
            self.since = None;
            return Slots::Sleep;
        }
        if self.last != seen {
            self.last = seen;
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        Slots::Busy(now.saturating_duration_since(since))
    }
}

/// The bit of a slot that sleeps.
const ASLEEP: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stand_still_while_none_sleeps_or_looks() {
        let (progress, mut standstill) = (Progress::new(2), Standstill::default());
        let start = Instant::now();
        let mut note = |progress: &Progress, second| {
            standstill.note(progress.seen(), start + Duration::from_secs(second))
        };
        let busy = |seconds| Slots::Busy(Duration::from_secs(seconds));
        assert_eq!(note(&progress, 0), Slots::Sleep, "before they begin");
        progress.looks(0);
        assert_eq!(note(&progress, 1), Slots::Sleep, "one has begun");
        progress.looks(1);
        assert_eq!(note(&progress, 2), busy(0));
        assert_eq!(note(&progress, 5), busy(3));
        progress.looks(1);
        assert_eq!(note(&progress, 6), busy(0), "one has looked");
        assert_eq!(note(&progress, 7), busy(1));
        progress.sleeps(0);
        assert_eq!(note(&progress, 8), Slots::Sleep);
        progress.looks(0);
        assert_eq!(note(&progress, 9), busy(0));
    }
}
