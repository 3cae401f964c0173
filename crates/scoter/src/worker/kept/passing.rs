//! Passing connections on to other workers, and taking theirs.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tracing::debug;

use crate::ipc::connection_queue::ConnectionQueue;
use crate::worker::connection::{Connection, ConnectionTimeouts};
use crate::worker::kept::KeptConnections;

impl KeptConnections {
    pub(crate) fn queue(&self) -> Option<&ConnectionQueue> {
        self.queue.as_ref()
    }

    /// Takes a connection that another worker has passed on.
    pub(crate) fn receive_passed(&self, timeouts: ConnectionTimeouts) -> Option<Arc<Connection>> {
        let passed = self.queue.as_ref()?.receive()?;
        Some(Arc::new(Connection::taken(passed, timeouts)))
    }

    /// Passes on a connection that is the caller's. No slot sees its events any more, whether that
    /// succeeds or not.
    ///
    /// # Errors
    ///
    /// The connection comes back if there is no other worker, or if the queue is full.
    pub(crate) fn pass_on(&self, connection: Arc<Connection>) -> Result<(), Arc<Connection>> {
        let queue = self.queue.as_ref().filter(|_| self.can_pass_on());
        let (Some(queue), Ok(fd)) = (queue, connection.fd()) else {
            return Err(connection);
        };
        // Before it is sent: an event that woke a slot of this worker (EPOLLEXCLUSIVE) would wake
        // none of the others, and closing the descriptor here does not close the file.
        self.forget(&connection);
        match queue.send(fd, connection.family(), connection.served()) {
            Ok(()) => {
                self.board.totals().passed_on.fetch_add(1, Relaxed);
                Ok(())
            }
            Err(errno) => {
                debug!(%errno, "a connection cannot be passed on for now");
                Err(connection)
            }
        }
    }

    /// Whether another worker may take a connection.
    pub(crate) fn can_pass_on(&self) -> bool {
        self.queue.is_some() && !self.is_alone()
    }

    /// Passes nothing on from now on: all other workers end, too.
    pub(crate) fn be_alone(&self) {
        self.is_alone.store(true, Relaxed);
    }

    fn is_alone(&self) -> bool {
        self.is_alone.load(Relaxed)
    }
}
