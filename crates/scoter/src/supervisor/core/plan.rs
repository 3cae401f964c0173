//! The part of a configuration that the supervisor needs.

use std::time::Duration;

use crate::config::{MaxRss, Percent, Workers};

/// The options of a generation that affect its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) workers: Workers,
    /// The number of workers for `auto`.
    pub(crate) cpus: u32,
    /// Threads per worker.
    pub(crate) slots: usize,
    pub(crate) preload: bool,
    pub(crate) start_timeout: Duration,
    pub(crate) graceful_timeout: Duration,
    pub(crate) drain_delay: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) recycle_jitter: Percent,
    pub(crate) max_rss: Option<MaxRss>,
}

impl Plan {
    /// Memory that a worker may hold, of `all` that the server may use, in bytes.
    pub(super) fn rss_limit(&self, all: Option<u64>) -> Option<u64> {
        match self.max_rss? {
            MaxRss::Bytes(bytes) => Some(bytes as u64),
            MaxRss::Percent(percent) => Some(all? / 100 * u64::from(percent.0)),
        }
    }
}
