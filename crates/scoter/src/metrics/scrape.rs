//! What there is to tell at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::Status;
use crate::ipc::scoreboard::Counts;

/// The server at one moment. Sums include workers that have ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape {
    pub(crate) status: Status,
    pub(crate) counts: Counts,
    /// Replaced workers by reason.
    pub(crate) restarts: Vec<(&'static str, u64)>,
    pub(crate) reloads: Reloads,
    /// What workers use, by their number. During a reload two may have the same.
    pub(crate) workers: BTreeMap<u32, Usage>,
    pub(crate) master: Usage,
    /// The version of Python.
    pub(crate) python: String,
}

/// What processes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// CPU time so far, of their predecessors as well.
    pub(crate) cpu: Option<Duration>,
    /// Resident memory now.
    pub(crate) rss_bytes: Option<u64>,
}

/// Reloads that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reloads {
    /// The new code serves.
    pub(crate) succeeded: u64,
    /// The old code still does.
    pub(crate) failed: u64,
}

impl Usage {
    /// Adds what another process uses.
    pub(crate) fn add(&mut self, other: Self) {
        if let Some(cpu) = other.cpu {
            self.cpu = Some(self.cpu.unwrap_or_default() + cpu);
        }
        if let Some(bytes) = other.rss_bytes {
            self.rss_bytes = Some(self.rss_bytes.unwrap_or_default() + bytes);
        }
    }
}
