//! The sockets of a master that is gone.

use tracing::error;

use crate::net::{Listener, SocketFile};
use crate::worker::{MASTER_GONE, is_first_to_miss_master};

/// The sockets that a dead master has left.
#[derive(Debug)]
pub(super) struct SocketCleanup {
    pub(super) listeners: Vec<Listener>,
    /// The files of the master's own.
    pub(super) files: Vec<SocketFile>,
}

impl SocketCleanup {
    /// Refuses new connections, and removes the socket files.
    pub(super) fn clear(&self) {
        let first = is_first_to_miss_master(&self.listeners);
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        for file in &self.files {
            let _ = file.unlink();
        }
        if first {
            error!("{MASTER_GONE}");
        }
    }
}
