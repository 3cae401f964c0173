//! Where a slot gets connections: from the listeners and from other workers.

use std::sync::Arc;
use std::time::Duration;

use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::slot::Slot;

impl Slot {
    /// Leaves new connections to others.
    pub(super) fn stop_accepting(&mut self) {
        let shared = &self.shared;
        self.poller.stop_accepting(shared);
        self.cell().leave();
        shared.report_not_accepting();
        shared.reactor.slot_drained(self.index);
    }

    /// Takes the next connection, from each listener in turn.
    pub(super) fn accept(&mut self) -> Option<Arc<Connection>> {
        let listeners = &self.shared.listeners;
        let open_sockets_over = self
            .shared
            .stop
            .begun_for()
            .is_some_and(|time| time > OPEN_SOCKET_TIMEOUT);
        for turn in 0..listeners.len() {
            let index = (self.next_listener + turn) % listeners.len();
            let listener = &listeners[index];
            if open_sockets_over && listener.stays_open() {
                continue;
            }
            if let Some(fd) = listener.accept() {
                self.next_listener = index + 1;
                let timeouts = self.shared.connection_timeouts;
                let connection = Connection::new(fd, listener.family(), timeouts);
                return Some(Arc::new(connection));
            }
        }
        None
    }

    /// Takes a connection that another worker has passed on.
    pub(super) fn receive_passed(&mut self, shared: &Shared) -> Option<Arc<Connection>> {
        let passed = shared.kept.receive_passed(shared.connection_timeouts);
        self.passed_turn = match passed {
            Some(_) => PassedTurn::Poller,
            None => PassedTurn::NoneSeen,
        };
        passed
    }

    /// The same in every second turn, for as long as there are any.
    pub(super) fn receive_passed_in_turn(&mut self, shared: &Shared) -> Option<Arc<Connection>> {
        match self.passed_turn {
            PassedTurn::NoneSeen => None,
            PassedTurn::Poller => {
                self.passed_turn = PassedTurn::Queue;
                None
            }
            PassedTurn::Queue => self.receive_passed(shared),
        }
    }

    /// Takes a connection that another worker has passed on and for which perhaps no slot was woken,
    /// after a nudge.
    pub(super) fn receive_overlooked(&mut self, shared: &Shared) -> Option<Arc<Connection>> {
        let passed = self
            .is_nudged
            .then(|| self.receive_passed(shared))
            .flatten();
        self.is_nudged = passed.is_some();
        passed
    }
}

/// Who is asked first for the next request.
///
/// In the poller the queue between workers is one of many descriptors, each of which has its turn,
/// so of many connections in it one would be taken while all kept ones of this worker are served
/// once. But they have waited for longer: at another worker, for a slot. Nor must they starve those
/// that are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum PassedTurn {
    /// The poller: nobody has passed a connection on lately.
    #[default]
    NoneSeen,
    /// The poller, and then the queue.
    Poller,
    /// The queue, and then the poller.
    Queue,
}

/// How long a stopping slot accepts from a socket that stays open to newcomers.
const OPEN_SOCKET_TIMEOUT: Duration = Duration::from_secs(1);
