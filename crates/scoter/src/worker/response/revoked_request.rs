//! A request whose response the slot no longer owns.

use std::sync::Arc;
use std::time::Duration;

use crate::request_head::RequestHead;
use crate::sys::durations::millis;
use crate::worker::connection::Connection;
use crate::worker::connection::owner::Revoked;

/// A request that the reactor answers in the slot's place: it timed out, or the process ends.
#[derive(Debug)]
pub(crate) struct RevokedRequest {
    pub(crate) slot: usize,
    pub(crate) connection: Arc<Connection>,
    pub(crate) head: Arc<RequestHead>,
    /// How long the application has run.
    pub(crate) age: Duration,
    /// How long the request had waited for that, if it has begun.
    pub(crate) queued: Option<Duration>,
    pub(crate) part: Revoked,
    /// Whether the GIL could be had since the request timed out.
    pub(crate) examined: bool,
}

impl RevokedRequest {
    pub(crate) fn age_ms(&self) -> u64 {
        millis(self.age)
    }
}
