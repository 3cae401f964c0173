//! The queues through which workers pass connections to each other.
//!
//! Each is one SEQPACKET socket pair, shared by all workers of all generations. Each worker has both
//! ends: a free slot of any worker takes the oldest connection, as from a listener.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use tracing::warn;

use crate::net::Family;
use crate::sys::clock::{instant_of, nanos_at, now};
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
    pub(crate) wait: Wait,
}

/// Since when a connection and its request wait, by the clock of [`now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// When the connection was accepted, or left here for its next request.
    accepted: u64,
    /// When its request began to wait, as far as anybody knows.
    since: u64,
}

impl Wait {
    /// Of a connection that was accepted, and a request that has waited, since these times.
    pub(crate) fn new(accepted: Instant, since: Instant) -> Self {
        Self {
            accepted: nanos_at(accepted),
            since: nanos_at(since),
        }
    }

    pub(crate) fn accepted(self) -> Instant {
        instant_of(self.accepted)
    }

    pub(crate) fn since(self) -> Instant {
        instant_of(self.since)
    }
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
        let now = now();
        let wait = Wait {
            accepted: now,
            since: now,
        };
        self.send_waiting(fd, family, served, wait)
    }

    /// The same for a connection whose request has waited since before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub(crate) fn send_waiting(
        &self,
        fd: BorrowedFd<'_>,
        family: Family,
        served: u32,
        wait: Wait,
    ) -> Result<(), Errno> {
        let message = written(family, served, wait);
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

    /// Since when the oldest connection waits, which stays where it is.
    pub(crate) fn peek(&self) -> Option<Wait> {
        let mut message = [0; MESSAGE];
        // Its descriptor is left out, without room for it (MSG_CTRUNC in recvmsg(2)).
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let (received, _) = recv(&self.receiver, &mut message, flags).ok()?;
        (received == MESSAGE).then(|| read(&message).2)
    }

    /// Another descriptor of the oldest connection, which stays where it is.
    pub(crate) fn peek_connection(&self) -> Option<PassedConnection> {
        self.receive_with(RecvFlags::PEEK).unwrap_or(None)
    }

    /// Takes the oldest connection, if there is one.
    ///
    /// If the process has no descriptors left, taking pauses briefly, as with
    /// [`Listener::accept`](crate::net::Listener::accept): the connection stays in the queue.
    pub(crate) fn receive(&self) -> Option<PassedConnection> {
        self.receive_with(RecvFlags::empty())
            .unwrap_or_else(|Starved| {
                std::thread::sleep(STARVED_PAUSE);
                None
            })
    }

    /// The same without a pause.
    pub(crate) fn receive_at_once(&self) -> Option<PassedConnection> {
        self.receive_with(RecvFlags::empty()).unwrap_or(None)
    }

    fn receive_with(&self, flags: RecvFlags) -> Result<Option<PassedConnection>, Starved> {
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
                    RecvFlags::CMSG_CLOEXEC | flags,
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
                return Ok(None);
            }
            Ok((_, None)) | Err(Failure::Receive(Errno::AGAIN)) => return Ok(None),
            Ok((received, Some(fd))) => (received, fd),
            Err(Failure::Starved(errno)) => {
                fatal::examine(NAME, errno);
                return Err(Starved);
            }
            Err(Failure::Receive(errno)) => {
                fatal::examine(NAME, errno);
                return Ok(None);
            }
        };
        let (family, served, wait) = read(&message);
        let passed = PassedConnection {
            fd,
            family,
            served,
            wait,
        };
        Ok((received.bytes == MESSAGE).then_some(passed))
    }
}

fn written(family: Family, served: u32, wait: Wait) -> [u8; MESSAGE] {
    let mut message = [0; MESSAGE];
    let (numbers, rest) = message.split_at_mut(SERVED);
    rest[0] = match family {
        Family::Unix => UNIX,
        Family::Tcp => TCP,
    };
    rest[1..].copy_from_slice(&served.to_ne_bytes());
    let (accepted, since) = numbers.split_at_mut(SERVED / 2);
    accepted.copy_from_slice(&wait.accepted.to_ne_bytes());
    since.copy_from_slice(&wait.since.to_ne_bytes());
    message
}

fn read(message: &[u8; MESSAGE]) -> (Family, u32, Wait) {
    let number = |at: usize| {
        let bytes = message[at..at + SERVED / 2].try_into();
        bytes.map_or(0, u64::from_ne_bytes)
    };
    let family = match message[SERVED] {
        UNIX => Family::Unix,
        _ => Family::Tcp,
    };
    let served = message[SERVED + 1..].try_into().map(u32::from_ne_bytes);
    let wait = Wait {
        accepted: number(0),
        since: number(SERVED / 2),
    };
    (family, served.unwrap_or(u32::MAX), wait)
}

impl AsFd for ConnectionQueue {
    /// The end that is readable while a connection waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// No descriptor is free for a connection.
struct Starved;

/// Why no connection has been taken.
enum Failure {
    /// No descriptor is free.
    Starved(Errno),
    Receive(Errno),
}

const UNIX: u8 = 0;
const TCP: u8 = 1;

/// The size of a message: two times, the family and the number of requests.
const MESSAGE: usize = SERVED + 1 + size_of::<u32>();

/// Where the family is, and behind it the number of requests.
const SERVED: usize = 2 * size_of::<u64>();

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
    fn look_at_the_oldest_connection_leaves_it_there() {
        let queue = ConnectionQueue::new().unwrap();
        assert!(queue.peek().is_none() && queue.peek_connection().is_none());
        let (ours, mut client) = UnixStream::pair().unwrap();
        client.write_all(b"request").unwrap();
        let wait = Wait {
            accepted: u64::MAX,
            since: 1 << 40,
        };
        let sent = queue.send_waiting(ours.as_fd(), Family::Tcp, 7, wait);
        sent.unwrap();
        drop(ours);
        for _ in 0..3 {
            assert_eq!(queue.peek(), Some(wait));
            let seen = queue.peek_connection().unwrap();
            assert_eq!((seen.family, seen.served), (Family::Tcp, 7));
            let (peeked, _) = recv(&seen.fd, &mut [0; 16], RecvFlags::PEEK).unwrap();
            assert_eq!(peeked, 7);
        }
        let taken = queue.receive().unwrap();
        assert_eq!(taken.wait, wait);
        let mut received = [0; 7];
        let mut ours = UnixStream::from(OwnedFd::from(taken.fd));
        ours.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"request");
        assert!(queue.peek().is_none());
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
