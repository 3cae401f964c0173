//! The queue through which workers pass connections to each other.
//!
//! It is one SEQPACKET socket pair, shared by all workers of all generations. Each worker has both
//! ends: a free slot of any worker takes the oldest connection, as from a listener.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use tracing::warn;

use crate::net::Family;
use crate::sys::descriptors::{move_up, watch_for_ever};
use crate::sys::fatal;
use crate::sys::fork::{self, Own};

/// Both ends of the queue.
#[derive(Debug)]
pub(crate) struct ConnectionQueue {
    sender: Own,
    receiver: Own,
    /// Held by the thread of this process that takes a connection.
    taking: Mutex<()>,
    /// Connections that were lost on the way.
    lost: AtomicU64,
}

/// A connection from another worker, and what that worker knows about it.
#[derive(Debug)]
pub(crate) struct PassedConnection {
    pub(crate) fd: Own,
    pub(crate) family: Family,
    /// How many requests have been served on it.
    pub(crate) served: u32,
}

impl ConnectionQueue {
    /// Creates a queue. Neither end blocks.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    pub(crate) fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (sender, receiver) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(Self::of([sender.into(), receiver.into()]))
    }

    /// Takes over both ends from another process, in the order of
    /// [`ends`](ConnectionQueue::ends).
    pub(crate) fn of([sender, receiver]: [Own; 2]) -> Self {
        Self {
            sender,
            receiver,
            taking: Mutex::new(()),
            lost: AtomicU64::new(0),
        }
    }

    pub(crate) fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.sender.as_fd(), self.receiver.as_fd()]
    }

    /// Moves both ends to high numbers. The process ends if one of them is lost.
    #[must_use]
    pub(crate) fn secured(self) -> Self {
        let [sender, receiver] = [self.sender, self.receiver].map(move_up::<Own>);
        watch_for_ever(NAME, &sender);
        watch_for_ever(NAME, &receiver);
        Self::of([sender, receiver])
    }

    /// Adds a connection. The caller's descriptor stays open.
    ///
    /// # Errors
    ///
    /// EAGAIN if the queue is full, ETOOMANYREFS if too many descriptors are in flight (unix(7)).
    pub(crate) fn send(
        &self,
        fd: BorrowedFd<'_>,
        family: Family,
        served: u32,
    ) -> Result<(), Errno> {
        let mut message = [0; MESSAGE];
        message[0] = match family {
            Family::Unix => UNIX,
            Family::Tcp => TCP,
        };
        message[1..].copy_from_slice(&served.to_ne_bytes());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let fds = [fd];
        loop {
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&fds));
            let parts = [IoSlice::new(&message)];
            match sendmsg(&self.sender, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Whether a connection waits.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut fds = [PollFd::new(&self.receiver, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Takes the oldest connection, if there is one.
    ///
    /// If the process has no descriptors left, taking pauses briefly, as with
    /// [`Listener::accept`](crate::net::Listener::accept): the connection stays in the queue.
    pub(crate) fn receive(&self) -> Option<PassedConnection> {
        let mut message = [0; MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = fork::held_off(|| {
            // Without a free descriptor the kernel would drop the connection, and its request with
            // it (recvmsg(2), MSG_CTRUNC). Two threads must not count on the same free number.
            let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
            let free = fcntl_dupfd_cloexec(&self.receiver, 0).map_err(Failure::Starved)?;
            drop(free);
            let received = loop {
                let parts = &mut [IoSliceMut::new(&mut message)];
                match recvmsg(
                    &self.receiver,
                    parts,
                    &mut ancillary,
                    RecvFlags::CMSG_CLOEXEC,
                ) {
                    Err(Errno::INTR) => {}
                    received => break received,
                }
            };
            let fds = ancillary.drain().filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            });
            let fd = fds.flatten().next().map(Own::from);
            let received = received.map_err(Failure::Receive)?;
            Ok((received, fd))
        });
        let (received, fd) = match received {
            Ok((received, None)) if received.bytes > 0 => {
                // Another thread, of the application perhaps, took the last number in between.
                let lost = self.lost.fetch_add(1, Relaxed) + 1;
                warn!(
                    lost,
                    "a connection from another worker was lost, and its request with it: no file \
                     descriptor was free (raise the open file limit of the service)"
                );
                return None;
            }
            Ok((received, fd)) => (received, fd?),
            Err(Failure::Receive(Errno::AGAIN)) => return None,
            Err(Failure::Starved(errno)) => {
                fatal::examine(NAME, errno);
                std::thread::sleep(STARVED_PAUSE);
                return None;
            }
            Err(Failure::Receive(errno)) => {
                fatal::examine(NAME, errno);
                return None;
            }
        };
        let family = match message[0] {
            UNIX => Family::Unix,
            _ => Family::Tcp,
        };
        let served = message[1..].try_into().map(u32::from_ne_bytes);
        (received.bytes == MESSAGE).then_some(PassedConnection {
            fd,
            family,
            served: served.unwrap_or(u32::MAX),
        })
    }
}

impl AsFd for ConnectionQueue {
    /// The end that is readable while a connection waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// Why no connection has been taken.
enum Failure {
    /// No descriptor is free.
    Starved(Errno),
    Receive(Errno),
}

const UNIX: u8 = 0;
const TCP: u8 = 1;

/// The size of a message: the family and the number of requests.
const MESSAGE: usize = 1 + size_of::<u32>();

/// The name of an end in messages about a lost descriptor.
const NAME: &str = "queue of connections";

/// How long a slot pauses taking when no descriptors are available.
const STARVED_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn connections_come_out_in_order_with_their_counts() {
        let queue = ConnectionQueue::new().unwrap();
        assert!(queue.receive().is_none());
        let mut clients = Vec::new();
        for (family, served) in [(Family::Unix, 7), (Family::Tcp, 70_000)] {
            let (ours, client) = UnixStream::pair().unwrap();
            queue.send(ours.as_fd(), family, served).unwrap();
            clients.push(client);
        }
        for (mut client, expected) in clients
            .into_iter()
            .zip([(Family::Unix, 7), (Family::Tcp, 70_000)])
        {
            let passed = queue.receive().unwrap();
            assert_eq!((passed.family, passed.served), expected);
            let mut ours = UnixStream::from(OwnedFd::from(passed.fd));
            ours.write_all(b"x").unwrap();
            drop(ours);
            let mut received = String::new();
            client.read_to_string(&mut received).unwrap();
            assert_eq!(received, "x");
        }
        assert!(queue.receive().is_none());
    }

    #[test]
    fn full_queue_refuses() {
        let queue = ConnectionQueue::new().unwrap();
        let (ours, _client) = UnixStream::pair().unwrap();
        let sent = (0..100_000).map(|_| queue.send(ours.as_fd(), Family::Unix, 1));
        let refused = sent.filter_map(Result::err).next();
        assert_eq!(refused, Some(Errno::AGAIN));
        assert!(queue.receive().is_some());
    }
}
