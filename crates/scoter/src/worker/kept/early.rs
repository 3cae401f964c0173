//! Keeping a connection as soon as the client has the whole response, while the application still
//! runs.
//!
//! With the last byte that the head has announced the front end is done with the request, and may
//! send the next one on the same connection: perhaps of somebody else. What the application does
//! after that, for as long as it likes, must neither delay that request nor end its connection.

use std::io::{self, IoSlice};
use std::sync::Arc;

use wsgi_environ::Transport;

use crate::worker::Shared;
use crate::worker::connection::Connection;

/// The connection of a request, which is given back before the application has finished.
pub(crate) struct EarlyTransport {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
}

impl EarlyTransport {
    pub(crate) fn new(connection: &Arc<Connection>, shared: &Arc<Shared>) -> Self {
        Self {
            connection: Arc::clone(connection),
            shared: Arc::clone(shared),
        }
    }
}

impl Transport for EarlyTransport {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.try_send(parts)
    }

    fn wait_writable(&self) -> io::Result<()> {
        self.connection.wait_writable()
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.recv(buffer)
    }

    fn is_quiet(&self) -> bool {
        self.connection.is_quiet()
    }

    fn take_back(&self) -> bool {
        let Some(next) = self.connection.succeed() else {
            return false;
        };
        // The slot is still busy with the application: the reactor receives what is there already,
        // for the slot that is free first.
        if let Some(readable) = self.shared.kept.put(Arc::new(next)) {
            self.shared.receive_in_reactor(readable);
        }
        true
    }

    fn interrupt(&self) {
        self.connection.interrupt();
    }
}
