//! Which process a line is from.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a process is to those who read its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The one that was started. Its lines carry nothing.
    Master,
    /// One of those that serve. Its lines carry its number and its process id.
    Worker {
        /// As `scoter status` shows it.
        id: u32,
    },
}

/// Says what this process is; to be called after a fork, before anything is logged.
pub(crate) fn identify(identity: Identity) {
    let id = match identity {
        Identity::Master => MASTER,
        Identity::Worker { id } => u64::from(id),
    };
    CURRENT.store(id, Ordering::Relaxed);
}

/// What this process was said to be.
pub(super) fn current() -> Identity {
    match u32::try_from(CURRENT.load(Ordering::Relaxed)) {
        Ok(id) => Identity::Worker { id },
        Err(_) => Identity::Master,
    }
}

/// The worker's number, or [`MASTER`].
static CURRENT: AtomicU64 = AtomicU64::new(MASTER);

const MASTER: u64 = u64::MAX;
