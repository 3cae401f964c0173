//! The facts about a request that the access log needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::request_head::RequestHead;

/// The contents of a line.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) head: Arc<RequestHead>,
    pub(crate) status: u16,
    /// Bytes after the head.
    pub(crate) body_bytes: u64,
    pub(crate) accepted: Instant,
    /// How long it waited for the application to start, or until that took too long, if known.
    pub(crate) queued: Option<Duration>,
    /// The slot that served it, from 0; `None` for a request that was refused.
    pub(crate) slot: Option<usize>,
}
