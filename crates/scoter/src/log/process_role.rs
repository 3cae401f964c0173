//! Which process a line is from.

use std::sync::atomic::{AtomicU64, Ordering};

/// The role of a process, as shown in its log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessRole {
    /// The process that was started. Its lines have no prefix.
    Master,
    /// A worker. Its lines have its number and process ID.
    Worker {
        /// The number that `scoter status` shows.
        id: u32,
    },
}

/// Sets the role of this process. Call it after a fork, before anything is logged.
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
