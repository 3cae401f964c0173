//! The numbers of workers: what the processes of one have been through, one after the other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::Work;

/// All numbers that a worker has ever had.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct WorkerNumbers(BTreeMap<u32, Number>);

/// The past of a number.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Number {
    /// How many processes it has had.
    pub(super) spawned: u64,
    /// When the last one was started, in seconds since 1970.
    pub(super) last_spawn: i64,
    /// What those that have ended have done.
    pub(super) gone: Work,
}

impl WorkerNumbers {
    /// Notes that a process was started.
    pub(super) fn begin(&mut self, id: u32, at: Timestamp) {
        let number = self.0.entry(id).or_default();
        number.spawned += 1;
        number.last_spawn = at.as_second();
    }

    /// Notes that a process has ended, and what it has done.
    pub(super) fn end(&mut self, id: u32, work: Work) {
        self.0.entry(id).or_default().gone += work;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Number)> {
        self.0.iter().map(|(id, number)| (*id, number))
    }
}
