//! Which process a line is from.

use std::sync::atomic::{AtomicU64, Ordering};

/// The role of a process, as those who read its log see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessRole {
    /// The one that was started. Its lines carry nothing.
    Master,
    /// One of those that serve. Its lines carry its number and its process id.
    Worker {
        /// As `scoter status` shows it.
        id: u32,
    },
}

/// Sets the role of this process: to be called after a fork, before anything is logged.
pub(crate) fn set_process_role(role: ProcessRole) {
    let id = match role {
        ProcessRole::Master => MASTER,
        ProcessRole::Worker { id } => u64::from(id),
    };
    CURRENT.store(id, Ordering::Relaxed);
}

/// The role of this process.
pub(super) fn current() -> ProcessRole {
    match u32::try_from(CURRENT.load(Ordering::Relaxed)) {
        Ok(id) => ProcessRole::Worker { id },
        Err(_) => ProcessRole::Master,
    }
}

/// The worker's number, or [`MASTER`].
static CURRENT: AtomicU64 = AtomicU64::new(MASTER);

const MASTER: u64 = u64::MAX;
