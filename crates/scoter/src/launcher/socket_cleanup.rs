//! The sockets of a master that is gone.

use tracing::error;

use crate::net::{Listener, SocketFile};
use crate::worker::{MASTER_GONE, is_first_to_miss_master};

/// The sockets that a dead master has left.
#[derive(Debug)]
pub(super) struct SocketCleanup {
    pub(super) listeners: Vec<Listener>,
    pub(super) control: Option<SocketFile>,
}

impl SocketCleanup {
    /// Refuses new connections, and removes the socket files.
    pub(super) fn clear(&self) {
        let first = is_first_to_miss_master(&self.listeners);
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        if let Some(control) = &self.control {
            let _ = control.unlink();
        }
        if first {
            error!("{MASTER_GONE}");
        }
    }
}
