//! What the server sees of a connection beyond reading and writing.

use std::any::Any;
use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection of any kind.
#[derive(Debug)]
pub(super) struct Socket<I> {
    pub(super) io: I,
    hang_up: HangUp,
}

/// Whether the peer still waits for the end of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peek {
    /// Nothing has arrived.
    Quiet,
    /// Something has.
    Bytes,
    /// The peer has ended its direction, or the connection has failed.
    Ended,
    /// Only reading would tell.
    Unknown,
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Socket<I> {
    pub(super) fn new(io: I) -> Self {
        Self {
            io,
            hang_up: HangUp::default(),
        }
    }

    /// Names the peer for log messages.
    pub(super) fn peer(&self) -> String {
        let io: &dyn Any = &self.io;
        match io.downcast_ref::<TcpStream>().map(TcpStream::peer_addr) {
            Some(Ok(address)) => address.to_string(),
            Some(Err(_)) => "gone".to_owned(),
            None if self.is_unix() => "unix".to_owned(),
            None => "other".to_owned(),
        }
    }

    /// Asks the system whether something has arrived, without taking it: tokio knows
    /// only of what had arrived when it last asked.
    pub(super) fn peek(&self) -> Peek {
        let peeked = self.with_socket(|socket| {
            let mut byte = [MaybeUninit::uninit()];
            loop {
                match socket.peek(&mut byte) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    peeked => break peeked,
                }
            }
        });
        match peeked {
            None => Peek::Unknown,
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Peek::Quiet,
            Some(Ok(1..)) => Peek::Bytes,
            Some(_) => Peek::Ended,
        }
    }

    /// Refuses what the peer may still send, on a Unix socket. What it has sent can be
    /// read. Returns whether that is so.
    pub(super) fn shut_down_read(&self) -> bool {
        let shut_down = |socket: SockRef<'_>| socket.shutdown(std::net::Shutdown::Read).is_ok();
        self.is_unix() && self.with_socket(shut_down) == Some(true)
    }

    /// Makes the close that follows a reset, where there is such a thing: on TCP.
    pub(super) fn reset_at_close(&self) {
        let io: &dyn Any = &self.io;
        if io.is::<TcpStream>() {
            self.with_socket(|socket| socket.set_linger(Some(Duration::ZERO)));
        }
    }

    /// Ready when both directions of the connection have ended, as far as the system
    /// tells: on a Unix socket when the peer has closed it, on TCP when it has reset it.
    pub(super) fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let HangUp::Unwatched = self.hang_up {
            let watched = self.with_socket(HangUp::watch);
            self.hang_up = watched.unwrap_or(HangUp::Unknown);
        }
        self.hang_up.poll(cx)
    }

    #[cfg(unix)]
    fn is_unix(&self) -> bool {
        let io: &dyn Any = &self.io;
        io.is::<tokio::net::UnixStream>()
    }

    #[cfg(not(unix))]
    fn is_unix(&self) -> bool {
        false
    }

    fn with_socket<T>(&self, then: impl FnOnce(SockRef<'_>) -> T) -> Option<T> {
        let io: &dyn Any = &self.io;
        if let Some(stream) = io.downcast_ref::<TcpStream>() {
            return Some(then(SockRef::from(stream)));
        }
        #[cfg(unix)]
        if let Some(stream) = io.downcast_ref::<tokio::net::UnixStream>() {
            return Some(then(SockRef::from(stream)));
        }
        None
    }
}

/// Whether the peer has gone, which cannot be seen by reading: a direction that it has
/// shut down stays readable, and a body that nobody asks for must not be read.
#[derive(Debug, Default)]
enum HangUp {
    #[default]
    Unwatched,
    /// A second descriptor of the socket, whatever kind of socket it is: only its events
    /// are used. They come in edges, and are not to be taken away from those that read
    /// and write.
    #[cfg(unix)]
    Watched(tokio::net::UnixStream),
    Unknown,
}

#[cfg(unix)]
impl HangUp {
    fn watch(socket: SockRef<'_>) -> Self {
        use std::os::fd::AsFd;
        use std::os::unix::net::UnixStream;

        let copy = socket.as_fd().try_clone_to_owned().map(UnixStream::from);
        let copy = copy.and_then(tokio::net::UnixStream::from_std);
        copy.map_or(Self::Unknown, Self::Watched)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        use std::pin::pin;
        use std::task::{Waker, ready};
        use tokio::io::Interest;

        let Self::Watched(socket) = self else {
            return Poll::Pending;
        };
        loop {
            if ready!(socket.poll_write_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let mut at_once = Context::from_waker(Waker::noop());
            let state = pin!(socket.ready(Interest::WRITABLE)).poll(&mut at_once);
            // EPOLLHUP: both directions have ended.
            if let Poll::Ready(Ok(state)) = state {
                if state.is_write_closed() {
                    return Poll::Ready(());
                }
            }
            let blocked = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = socket.try_io(Interest::WRITABLE, blocked);
        }
    }
}

#[cfg(not(unix))]
impl HangUp {
    fn watch(_: SockRef<'_>) -> Self {
        Self::Unknown
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
