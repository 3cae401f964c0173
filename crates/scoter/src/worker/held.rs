//! Connections that the reactor has accepted because every slot was busy, and that the first free
//! slot takes: for each listener at most one, the oldest.
//!
//! Only a request's packet says how long it has waited for, and only an accepted connection can be
//! looked at. So the reactor of one worker accepts, looks, and leaves the connection in a queue
//! that slots of all workers ask before the listener. It stays the first in its turn, whichever
//! worker has a free slot next, and it outlives the worker that has accepted it.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::ipc::connection_queue::{ConnectionQueue, Wait};
use crate::worker::connection::{Connection, ConnectionTimeouts};

/// A place for one connection of each listener, shared by all workers of all generations.
#[derive(Debug)]
pub(crate) struct HeldConnections {
    places: Vec<ConnectionQueue>,
    /// Whether this worker is the one that puts connections there.
    is_holder: AtomicBool,
}

impl HeldConnections {
    /// Takes over the places. Makes those that are missing of as many as are `needed`.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    pub(crate) fn new(mut places: Vec<ConnectionQueue>, needed: usize) -> io::Result<Self> {
        while places.len() < needed {
            places.push(ConnectionQueue::new()?);
        }
        Ok(Self {
            places: places.into_iter().map(ConnectionQueue::secured).collect(),
            is_holder: AtomicBool::new(false),
        })
    }

    /// The places, one for each listener.
    pub(crate) fn places(&self) -> &[ConnectionQueue] {
        &self.places
    }

    /// Whether a connection waits in a place or in `queue`, in this order.
    pub(crate) fn are_waiting(&self, queue: Option<&ConnectionQueue>) -> (bool, bool) {
        let queues = queue.into_iter().chain(&self.places);
        let mut fds: Vec<_> = queues
            .map(|queue| PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN))
            .collect();
        if !poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            return (false, false);
        }
        let has_one = |fd: &PollFd<'_>| fd.revents().contains(PollFlags::IN);
        let (queue, places) = fds.split_at(usize::from(queue.is_some()));
        (places.iter().any(has_one), queue.iter().any(has_one))
    }

    /// Takes a connection for a slot.
    pub(crate) fn take(&self, timeouts: ConnectionTimeouts) -> Option<Arc<Connection>> {
        let taken = self.places.iter().find_map(ConnectionQueue::receive)?;
        Some(Arc::new(Connection::taken(taken, timeouts)))
    }

    /// Takes the connection in one place, without waiting for descriptors.
    pub(crate) fn take_from(
        &self,
        place: usize,
        timeouts: ConnectionTimeouts,
    ) -> Option<Arc<Connection>> {
        let taken = self.places[place].receive_at_once()?;
        Some(Arc::new(Connection::taken(taken, timeouts)))
    }

    /// Since when the request in a place waits, if there is one.
    pub(crate) fn waiting_since(&self, place: usize) -> Option<Instant> {
        self.places[place].peek().map(Wait::since)
    }

    /// Puts a connection into a place.
    ///
    /// # Errors
    ///
    /// Those of sending it. The caller still has it.
    pub(crate) fn put(
        &self,
        place: usize,
        connection: &Connection,
        since: Instant,
    ) -> Result<(), Errno> {
        let wait = Wait::new(connection.accepted(), since);
        let (fd, family) = (connection.fd()?, connection.family());
        self.places[place].send_waiting(fd, family, connection.served(), wait)
    }

    /// Makes this worker the one that puts connections into the places, unless another one is: so
    /// there is never more than one connection in a place. The end of the process gives that up.
    pub(crate) fn become_holder(&self) -> bool {
        let Some(first) = self.places.first() else {
            return false;
        };
        if !self.is_holder.load(Relaxed) {
            // fcntl(2) locks belong to processes, and also work on sockets.
            let locked = fcntl_lock(first, FlockOperation::NonBlockingLockExclusive);
            self.is_holder.store(locked.is_ok(), Relaxed);
        }
        self.is_holder.load(Relaxed)
    }

    /// Lets another worker do so.
    pub(crate) fn give_up(&self) {
        if let Some(first) = self.places.first().filter(|_| self.is_holder.load(Relaxed)) {
            let _ = fcntl_lock(first, FlockOperation::Unlock);
            self.is_holder.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::ipc::connection_queue::PassedConnection;
    use crate::net::Family;

    const TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
        body: Duration::ZERO,
        write: Duration::ZERO,
    };

    #[test]
    fn connection_comes_out_as_it_was_accepted() {
        let held = HeldConnections::new(Vec::new(), 2).unwrap();
        assert_eq!(held.are_waiting(None), (false, false));
        let (ours, mut client) = UnixStream::pair().unwrap();
        client.write_all(b"request").unwrap();
        let accepted = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
        let since = Instant::now().checked_sub(Duration::from_secs(9)).unwrap();
        let passed = PassedConnection {
            fd: OwnedFd::from(ours).into(),
            family: Family::Unix,
            served: 0,
            wait: Wait::new(accepted, accepted),
        };
        let connection = Connection::taken(passed, TIMEOUTS);
        held.put(1, &connection, since).unwrap();
        drop(connection);

        assert_eq!(held.are_waiting(None), (true, false));
        assert!(held.waiting_since(0).is_none() && held.take_from(0, TIMEOUTS).is_none());
        let seen = held.waiting_since(1).unwrap();
        assert!((9..11).contains(&seen.elapsed().as_secs()), "{seen:?}");
        let taken = held.take(TIMEOUTS).unwrap();
        let age = taken.accepted().elapsed().as_secs();
        assert!((5..7).contains(&age) && taken.has_input(), "{taken:?}");
        assert!(held.take(TIMEOUTS).is_none() && held.waiting_since(1).is_none());
    }

    #[test]
    fn queue_and_places_are_told_apart() {
        let held = HeldConnections::new(Vec::new(), 1).unwrap();
        let queue = ConnectionQueue::new().unwrap();
        let (ours, _client) = UnixStream::pair().unwrap();
        queue.send(ours.as_fd(), Family::Unix, 1).unwrap();
        assert_eq!(held.are_waiting(Some(&queue)), (false, true));
        assert_eq!(held.are_waiting(None), (false, false));
        let connection = Connection::new(OwnedFd::from(ours), Family::Unix, TIMEOUTS);
        held.put(0, &connection, Instant::now()).unwrap();
        assert_eq!(held.are_waiting(Some(&queue)), (true, true));
    }
}
