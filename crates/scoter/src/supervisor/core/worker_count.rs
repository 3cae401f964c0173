//! The wanted number of workers.

use std::time::Instant;

use super::plan::Plan;
use crate::config::Workers;

/// The number of workers, and who decides it.
#[derive(Debug)]
pub(crate) struct WorkerCount {
    pub(super) wanted: u32,
    pub(super) range: Option<(u32, u32)>,
    /// How many consecutive times a request was waiting while every slot was busy.
    pub(super) pressure: u32,
    /// Since when one worker less would have been enough.
    pub(super) slack: Option<Instant>,
}

impl WorkerCount {
    pub(super) fn new(plan: &Plan) -> Self {
        let (wanted, range) = match plan.workers {
            Workers::Auto => (plan.cpus.clamp(1, MAX_WORKERS), None),
            Workers::Fixed(number) => (u32::from(number), None),
            Workers::Range { min, max } => (u32::from(min), Some((u32::from(min), u32::from(max)))),
        };
        Self {
            wanted,
            range,
            pressure: 0,
            slack: None,
        }
    }

    pub(super) fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Whether several workers are meant to run at the same time. A replacement does not count.
    pub(super) fn is_multiprocess(&self) -> bool {
        self.wanted > 1 || self.range.is_some()
    }

    pub(super) fn range(&self) -> Option<(u32, u32)> {
        self.range
    }

    /// Restores the number that `scoter scale` or the load set with the same configuration.
    pub(super) fn set(&mut self, wanted: u32) {
        self.wanted = match self.range {
            Some((min, max)) => wanted.clamp(min, max),
            None => wanted.clamp(1, MAX_WORKERS),
        };
    }
}

/// The maximum of `--workers`.
pub(super) const MAX_WORKERS: u32 = 1_024;
