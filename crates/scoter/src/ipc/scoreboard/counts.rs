//! What scoreboards have counted together.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Scoreboard;
use super::cell::Cell;
use super::counters::{Counters, MethodClass, StatusClass};
use super::histogram::Distribution;
use super::refusal_reason::RefusalReason;

/// Sums over workers, those that have ended included. They only ever grow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    /// Finished requests by [`StatusClass`] and [`MethodClass`].
    pub(crate) responses: [[u64; MethodClass::COUNT]; StatusClass::COUNT],
    /// How long finished requests took.
    pub(crate) durations: Distribution,
    /// How long they had waited for a slot.
    pub(crate) waits: Distribution,
    /// Time that slots spent in the application, finished requests only.
    pub(crate) busy: Duration,
    /// Bytes of request bodies.
    pub(crate) request_bytes: u64,
    /// Bytes of response bodies.
    pub(crate) response_bytes: u64,
    /// By [`RefusalReason`]; a release that knows fewer of them leaves the last ones out.
    refused: Vec<u64>,
}

impl Counts {
    /// Adds what a worker has counted.
    pub(crate) fn add(&mut self, board: &Scoreboard) {
        let totals = board.totals();
        let cells = board.cells().iter().map(Cell::counters);
        self.busy += board.cells().iter().map(Cell::busy).sum::<Duration>();
        for counters in cells.chain([&totals.counters]) {
            self.add_finished(counters);
        }
        self.refused
            .resize(RefusalReason::COUNT.max(self.refused.len()), 0);
        for (count, counter) in self.refused.iter_mut().zip(&totals.refused_for) {
            *count += counter.load(Relaxed);
        }
    }

    /// How many connections were refused for a reason.
    pub(crate) fn refused(&self, reason: RefusalReason) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or(0)
    }

    fn add_finished(&mut self, counters: &Counters) {
        let rows = self.responses.iter_mut().zip(&counters.responses);
        for (count, counter) in rows.flat_map(|(counts, row)| counts.iter_mut().zip(row)) {
            *count += counter.load(Relaxed);
        }
        self.durations.add(&counters.durations);
        self.waits.add(&counters.waits);
        self.request_bytes += counters.request_bytes.load(Relaxed);
        self.response_bytes += counters.response_bytes.load(Relaxed);
    }

    /// Finished requests with a status of this class.
    pub(crate) fn responses(&self, class: StatusClass) -> u64 {
        self.responses[class as usize].iter().sum()
    }
}
