//! Channels between our processes: whole messages, with descriptors.
//!
//! A channel is a SEQPACKET socket pair. Both ends belong to the same release of scoter, so
//! the messages are private. Only a launcher may be newer than its master, which learns that from
//! the launcher's first message.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys::async_fd::readable;
use crate::sys::fork::{self, Own};

/// One end of a channel.
#[derive(Debug)]
pub(crate) struct Channel(Own);

/// One end of a channel, for tasks that wait for messages.
#[derive(Debug)]
pub(crate) struct AsyncChannel(AsyncFd<Own>);

/// The result of receiving.
#[derive(Debug)]
pub(crate) enum Received<M> {
    Message(M, Vec<Own>),
    /// The other end is closed.
    End,
}

impl Channel {
    /// Makes a channel, both ends of which are non-blocking.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(one.into()), Self(other.into())))
    }

    /// Another handle to the same end.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Registers the channel with the current runtime.
    ///
    /// # Errors
    ///
    /// Those of registering it.
    pub(crate) fn watch(self) -> io::Result<AsyncChannel> {
        readable(self.0).map(AsyncChannel)
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the other end does not read, `BrokenPipe` if it is closed.
    pub(crate) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(&self.0, message, fds)
    }

    /// Receives the next message.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none, `InvalidData` for one that cannot be parsed.
    pub(crate) fn receive<M: DeserializeOwned>(&self) -> io::Result<Received<M>> {
        receive(&self.0)
    }
}

impl AsyncChannel {
    /// As [`Channel::send`].
    pub(crate) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(self.0.get_ref(), message, fds)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// `InvalidData` for one that cannot be parsed, and system errors.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn receive<M: DeserializeOwned>(&self) -> io::Result<Received<M>> {
        self.0.async_io(Interest::READABLE, receive).await
    }
}

fn send(fd: &Own, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    loop {
        let parts = [IoSlice::new(&bytes)];
        match sendmsg(fd, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn receive<M: DeserializeOwned>(fd: &Own) -> io::Result<Received<M>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let (received, fds) = fork::held_off(|| {
        let received = loop {
            let parts = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(fd, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                // The other end was closed with unread messages of ours. The kernel reports that
                // once, before the other end's last messages.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(errno) => return Err(errno),
            }
        };
        let fds = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        Ok((received, fds.flatten().map(Own::from).collect::<Vec<_>>()))
    })?;
    if received.bytes == 0 {
        return Ok(Received::End);
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "message truncated",
        ));
    }
    let message = serde_json::from_slice(&bytes[..received.bytes])?;
    Ok(Received::Message(message, fds))
}

impl From<Own> for Channel {
    fn from(fd: Own) -> Self {
        Self(fd)
    }
}

impl From<OwnedFd> for Channel {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0.into()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for AsyncChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

/// Bytes of the longest message: half of a socket's default buffer.
const MAX_MESSAGE: usize = 96 * 1_024;

/// Linux's SCM_MAX_FD.
const MAX_FDS: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::messages::{FromLauncher, FromWorker, ToLauncher, ToWorker};

    #[test]
    fn messages_arrive_whole_in_order_and_with_their_descriptors() {
        let (master, worker) = Channel::pair().unwrap();
        master.send(&ToWorker::ReopenLogs, &[]).unwrap();
        master
            .send(&ToWorker::Retire, &[master.as_fd(), worker.as_fd()])
            .unwrap();
        let Ok(Received::Message(ToWorker::ReopenLogs, fds)) = worker.receive() else {
            panic!("the first message came first");
        };
        assert!(fds.is_empty());
        let Ok(Received::Message(ToWorker::Retire, fds)) = worker.receive() else {
            panic!("the second message came second");
        };
        assert_eq!(fds.len(), 2);
        let empty = worker.receive::<ToWorker>().unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn end_is_seen_even_if_messages_were_left_unread() {
        let (master, worker) = Channel::pair().unwrap();
        worker
            .send(&FromWorker::Replace { reason: "x".into() }, &[])
            .unwrap();
        drop(master);
        assert!(matches!(worker.receive::<ToWorker>(), Ok(Received::End)));
    }

    #[test]
    fn last_message_of_an_end_that_left_ours_unread_arrives() {
        let (master, launcher) = Channel::pair().unwrap();
        launcher.send(&FromLauncher::Prepared, &[]).unwrap();
        master.send(&ToLauncher::End, &[]).unwrap();
        drop(master);
        assert!(matches!(
            launcher.receive(),
            Ok(Received::Message(ToLauncher::End, _))
        ));
        assert!(matches!(
            launcher.receive::<ToLauncher>(),
            Ok(Received::End)
        ));
    }
}
