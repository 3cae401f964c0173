//! How a counter is written.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Who writes a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// One thread, the same at all times: a load and a store are enough.
    Only,
    /// One of several.
    Any,
}

impl Writer {
    pub(super) fn add(self, counter: &AtomicU64, more: u64) {
        match self {
            Self::Only => counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed),
            Self::Any => drop(counter.fetch_add(more, Relaxed)),
        }
    }
}
