//! Channels between our processes: whole messages, with descriptors.
//!
//! A channel is a SEQPACKET socket pair. Both ends belong to the same release of scoter, so
//! the messages are private; the first message of a launcher reveals another release.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::net::{Description, SocketFile};
use crate::program::SearchPath;
use crate::request_head::MissingVars;
use crate::sys::fork::{self, Own};

/// What the master tells a launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToLauncher {
    /// First of all. With it come a [`Configuration`] in memory, for it may be larger than a
    /// message, the listening sockets in its order, and the memory for a report of its crash.
    Configure,
    /// Fork a worker. With it come its line to the master, its scoreboard and the memory for a
    /// report of its crash.
    Fork {
        worker: u32,
        serial: u64,
        /// `wsgi.multiprocess`: whether others are wanted beside it.
        multiprocess: bool,
    },
    /// There will be nothing more to fork.
    End,
}

/// What a generation of workers serves, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// The resolved configuration, as [`crate::config::Settings::to_json`] writes it.
    pub(crate) settings: String,
    pub(crate) listeners: Vec<Description>,
    /// The file of the control socket, for whoever outlives the master.
    pub(crate) control: Option<SocketFile>,
    /// `sys.path` of the Python that started the server.
    pub(crate) path: SearchPath,
    /// The soft limit of open files that the server was started with.
    #[serde(default)]
    pub(crate) file_limit: Option<u64>,
}

impl Configuration {
    /// Puts it into memory that can be sent.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no memory or no descriptors to give.
    pub(crate) fn to_memory(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("scoter-configuration", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file.into())
    }

    /// Reads what [`Configuration::to_memory`] has written.
    ///
    /// # Errors
    ///
    /// `InvalidData` for something else.
    pub(crate) fn from_memory(memory: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(memory);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// What a launcher tells the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromLauncher {
    /// First of all.
    Hello {
        version: String,
    },
    /// It can fork: with `--preload` the application is loaded.
    Prepared,
    /// With `--preload`: there is nothing to fork for.
    Failed(Failed),
    Forked {
        serial: u64,
        pid: i32,
    },
    ForkFailed {
        serial: u64,
        /// No longer than that of a [`Failed`].
        error: String,
    },
    /// A worker has ended, with this status of wait(2).
    Exited {
        pid: i32,
        status: i32,
    },
}

/// What the master tells a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Take no more connections, finish what has been taken, and end.
    Retire,
    /// Take what waits in the kernel's queues too, then end: nobody else will.
    Drain,
    /// End now: what still runs is cut.
    Leave,
    /// The files of the logs have been renamed.
    ReopenLogs,
}

/// What a worker tells the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// It serves.
    Ready {
        pid: i32,
        /// `module:callable`.
        application: String,
        import_ms: u64,
    },
    /// It cannot serve, and ends.
    Failed(Failed),
    /// A request came without what every request has.
    MissingVars { missing: MissingVars },
    /// It has been told to end, and takes no more connections.
    NotAccepting,
    /// It wants to be replaced, and serves until it is told to retire.
    Replace { reason: String },
    /// It serves no more: a request that cannot be ended keeps it.
    Stuck { reason: String },
}

/// Why a launcher or a worker cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The exit code that the server ends with when it happens at its start.
    pub(crate) code: u8,
    /// Lines for people, a traceback perhaps.
    pub(crate) message: String,
}

/// One end of a line.
#[derive(Debug)]
pub(crate) struct Line(Own);

/// What arrived.
#[derive(Debug)]
pub(crate) enum Received<M> {
    Message(M, Vec<Own>),
    /// The other end is gone.
    End,
}

impl Line {
    /// Makes a line; neither end blocks.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(one.into()), Self(other.into())))
    }

    /// Another handle of the same end.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Lets a runtime wait for messages. To be called within one.
    ///
    /// # Errors
    ///
    /// Those of registering it.
    pub(crate) fn watch(self) -> io::Result<AsyncFd<Self>> {
        #[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays")]
        // SAFETY: a line owns its descriptor, keeps it until it is dropped and never
        // exchanges it.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        Ok(watched?)
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the other end does not read, `BrokenPipe` when it is gone.
    pub(crate) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        loop {
            let parts = [IoSlice::new(&bytes)];
            match sendmsg(&self.0, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Takes the next message.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none, `InvalidData` for one that is not understood.
    pub(crate) fn receive<M: DeserializeOwned>(&self) -> io::Result<Received<M>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let (received, fds) = fork::held_off(|| {
            let received = loop {
                let parts = &mut [IoSliceMut::new(&mut bytes)];
                match recvmsg(&self.0, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                    Ok(received) => break received,
                    // The other end has gone with messages of ours unread. That is said once,
                    // and first; its own last messages are still there.
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
}

impl Failed {
    /// A failure whose text fits into a message: of a very long one the middle is left out.
    pub(crate) fn new(code: u8, message: &str) -> Self {
        if message.len() <= LONGEST_TEXT {
            return Self {
                code,
                message: message.to_owned(),
            };
        }
        let mut head = LONGEST_TEXT / 2;
        while !message.is_char_boundary(head) {
            head -= 1;
        }
        let mut tail = message.len() - LONGEST_TEXT / 2;
        while !message.is_char_boundary(tail) {
            tail += 1;
        }
        Self {
            code,
            message: format!("{}\n[…]\n{}", &message[..head], &message[tail..]),
        }
    }
}

impl From<Own> for Line {
    fn from(fd: Own) -> Self {
        Self(fd)
    }
}

impl From<OwnedFd> for Line {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<Line> for OwnedFd {
    fn from(line: Line) -> Self {
        line.0.into()
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Line {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Bytes of the longest message: half of what a socket buffers by default.
const LONGEST: usize = 96 * 1_024;

/// Bytes of a text within it, which JSON may make six times as long in the worst case, and
/// hardly longer in a usual one.
const LONGEST_TEXT: usize = 15 * 1_024;

/// SCM_MAX_FD of Linux.
const MOST_FDS: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_in_order_and_with_their_descriptors() {
        let (master, worker) = Line::pair().unwrap();
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
    fn end_is_seen_even_where_messages_were_left_unread() {
        let (master, worker) = Line::pair().unwrap();
        worker
            .send(&FromWorker::Replace { reason: "x".into() }, &[])
            .unwrap();
        drop(master);
        assert!(matches!(worker.receive::<ToWorker>(), Ok(Received::End)));
    }

    #[test]
    fn last_message_of_an_end_that_left_ours_unread_arrives() {
        let (master, launcher) = Line::pair().unwrap();
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

    #[test]
    fn configuration_of_any_size_arrives() {
        let (master, launcher) = Line::pair().unwrap();
        let sent = Configuration {
            settings: "x".repeat(64 * LONGEST),
            listeners: Vec::new(),
            control: None,
            path: SearchPath::default(),
            file_limit: None,
        };
        let memory = sent.to_memory().unwrap();
        master
            .send(&ToLauncher::Configure, &[memory.as_fd()])
            .unwrap();
        let Ok(Received::Message(ToLauncher::Configure, mut fds)) = launcher.receive() else {
            panic!("the message arrives");
        };
        let received = Configuration::from_memory(fds.remove(0).into()).unwrap();
        assert_eq!(received.settings, sent.settings);
    }

    #[test]
    fn long_texts_lose_their_middle() {
        let text = format!("first {} last", "é\n".repeat(LONGEST_TEXT));
        let failed = Failed::new(3, &text);
        assert!(failed.message.starts_with("first "));
        assert!(failed.message.ends_with(" last"));
        let (master, worker) = Line::pair().unwrap();
        worker.send(&FromWorker::Failed(failed), &[]).unwrap();
        assert!(matches!(
            master.receive::<FromWorker>(),
            Ok(Received::Message(FromWorker::Failed(_), _))
        ));
    }
}
