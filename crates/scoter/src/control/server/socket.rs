//! A listening socket of the master within a runtime, of either kind.

use std::io;
use std::net::{IpAddr, TcpListener as StdTcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdUnixListener;

use nix::unistd::Uid;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use crate::net::Family;

/// The socket.
#[derive(Debug)]
pub(super) enum RegisteredSocket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection, with what is known of its peer.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
}

/// A stream of either kind.
pub(super) type Stream = Either<UnixStream, TcpStream>;

/// Who has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A process of this user, if the kernel can tell.
    User(Option<Uid>),
    Host(IpAddr),
}

impl RegisteredSocket {
    /// Registers a listening socket, which does not block, with the current runtime.
    pub(super) fn new(fd: OwnedFd, family: Family) -> io::Result<Self> {
        Ok(match family {
            Family::Unix => Self::Unix(UnixListener::from_std(StdUnixListener::from(fd))?),
            Family::Tcp => Self::Tcp(TcpListener::from_std(StdTcpListener::from(fd))?),
        })
    }

    /// # Cancel safety
    ///
    /// No connection is lost if it is dropped.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred().ok();
                let user = credentials.map(|credentials| Uid::from_raw(credentials.uid()));
                Accepted {
                    stream: Either::Left(stream),
                    peer: Peer::User(user),
                }
            }
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Accepted {
                    stream: Either::Right(stream),
                    peer: Peer::Host(peer.ip()),
                }
            }
        })
    }
}
