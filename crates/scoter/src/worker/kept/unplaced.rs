//! Connections that are to be kept, but not in a place of this worker.
//!
//! The head of a response has promised to keep them, so the front end may send the next request at
//! any time, and does not repeat a POST (`ngx_http_upstream_next`). But the worker retires and the
//! queue is full, or it has taken them from the queue and has no free place. The reactor then looks
//! for somebody who takes them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::warn;

use crate::worker::connection::Connection;
use crate::worker::kept::KeptConnections;

/// Leaves such connections to the reactor.
#[derive(Debug, Default)]
pub(crate) struct Unplaced {
    connections: Mutex<Vec<Arc<Connection>>>,
    added: Notify,
    /// Connections closed in the end, which have not been reported yet.
    closed: AtomicU64,
}

/// Connections that no other worker has taken in time, reported together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotTaken {
    connections: u64,
}

impl Unplaced {
    pub(super) fn add(&self, connections: impl IntoIterator<Item = Arc<Connection>>) {
        self.lock().extend(connections);
        self.added.notify_one();
    }

    /// Waits until there are some.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    pub(crate) fn take(&self) -> Vec<Arc<Connection>> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptConnections {
    pub(crate) fn unplaced(&self) -> &Unplaced {
        &self.unplaced
    }

    /// Closes a connection that no other worker has taken. It comes back if its next request is
    /// there.
    pub(crate) fn close_not_taken(&self, connection: Arc<Connection>) -> Option<Arc<Connection>> {
        let readable = connection.close_unless_readable();
        if readable.is_none() {
            self.unplaced.closed.fetch_add(1, Relaxed);
        }
        readable
    }

    /// Returns how many have been closed since the last call, if any.
    pub(crate) fn take_not_taken(&self) -> Option<NotTaken> {
        let connections = self.unplaced.closed.swap(0, Relaxed);
        (connections > 0).then_some(NotTaken { connections })
    }
}

impl NotTaken {
    pub(crate) fn log(self) {
        let Self { connections } = self;
        warn!(
            connections,
            "kept connections closed: this worker has ended, and the queue from which others take \
             them has been full all the time (a request that crosses the close becomes a 502 \
             unless nginx may repeat it)"
        );
    }
}
