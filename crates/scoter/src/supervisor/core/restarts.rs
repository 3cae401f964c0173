//! Why workers were replaced.

use serde::{Deserialize, Serialize};

/// Replaced workers by reason. What a reload or a change of their number replaces is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Restarts {
    /// They ended unexpectedly.
    pub(super) crash: u64,
    pub(super) max_requests: u64,
    pub(super) max_lifetime: u64,
    pub(super) max_rss: u64,
    /// They had a request that could not be ended.
    pub(super) request_timeout: u64,
    /// They sent no heartbeat.
    pub(super) unresponsive: u64,
}

impl Restarts {
    /// Counts a worker that was replaced because of a limit. The reason begins with the limit's name.
    pub(super) fn note_limit(&mut self, reason: &str) {
        let count = match reason.split(':').next() {
            Some("max-lifetime") => &mut self.max_lifetime,
            Some("max-rss") => &mut self.max_rss,
            _ => &mut self.max_requests,
        };
        *count += 1;
    }

    /// Each reason, with its count.
    pub(crate) fn by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("crash", self.crash),
            ("max-requests", self.max_requests),
            ("max-lifetime", self.max_lifetime),
            ("max-rss", self.max_rss),
            ("request-timeout", self.request_timeout),
            ("unresponsive", self.unresponsive),
        ]
    }
}
