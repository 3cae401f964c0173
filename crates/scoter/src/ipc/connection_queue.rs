//! The queue in which workers leave connections to each other.
//!
//! It is one SEQPACKET socket pair for all workers of all generations, of which each has both
//! ends: whoever is free takes what has come first, as from a listener.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::net::Family;
use crate::sys::descriptors::{move_up, watch_for_ever};
use crate::sys::fork::{self, Own};

/// Both ends of the queue.
#[derive(Debug)]
pub(crate) struct ConnectionQueue {
    sender: Own,
    receiver: Own,
}

/// A connection from another worker, and what that knows of it.
#[derive(Debug)]
pub(crate) struct PassedConnection {
    pub(crate) fd: Own,
    pub(crate) family: Family,
    /// Requests that have been served on it.
    pub(crate) served: u32,
}

impl ConnectionQueue {
    /// Makes a queue; neither end blocks.
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

    /// Takes both ends over from another process, in the order of
    /// [`ends`](ConnectionQueue::ends).
    pub(crate) fn of([sender, receiver]: [Own; 2]) -> Self {
        Self { sender, receiver }
    }

    pub(crate) fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.sender.as_fd(), self.receiver.as_fd()]
    }

    /// The same at high numbers. The process ends if one of them is lost.
    #[must_use]
    pub(crate) fn secured(self) -> Self {
        let [sender, receiver] = [self.sender, self.receiver].map(move_up::<Own>);
        watch_for_ever(NAME, &sender);
        watch_for_ever(NAME, &receiver);
        Self { sender, receiver }
    }

    /// Leaves a connection to whoever takes it. The caller's descriptor stays open.
    ///
    /// # Errors
    ///
    /// EAGAIN if the queue is full, ETOOMANYREFS if too many descriptors are on their way
    /// (unix(7)).
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

    /// Takes the next connection, if there is one.
    pub(crate) fn receive(&self) -> Option<PassedConnection> {
        let mut message = [0; MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = fork::held_off(|| {
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
            // Without a free descriptor the kernel drops it, and so ends the connection.
            let fd = fds.flatten().next().map(Own::from);
            received.ok().zip(fd)
        });
        let (received, fd) = received?;
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
    /// The end that becomes readable.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

const UNIX: u8 = 0;
const TCP: u8 = 1;

/// Bytes of a message: the family, and the number of requests.
const MESSAGE: usize = 1 + size_of::<u32>();

/// What an end is called where it is lost.
const NAME: &str = "queue of connections";

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
