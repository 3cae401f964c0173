//! What the server sees of a connection beyond reading and writing.

use std::any::Any;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::peek::peek;

/// A connection of any kind.
#[derive(Debug)]
pub(super) struct Socket<I> {
    pub(super) io: I,
    hang_up: HangUp,
}

/// What the system says of the bytes that are to be read next.
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
    /// Takes a connection. TCP sends each piece of a response at once.
    pub(super) fn new(io: I) -> Self {
        let tcp: &dyn Any = &io;
        if let Some(stream) = tcp.downcast_ref::<TcpStream>() {
            // It fails only if the peer has gone, which shows soon enough.
            let _ = stream.set_nodelay(true);
        }
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

    /// Asks the system whether something has arrived, without taking it.
    pub(super) fn peek(&self) -> Peek {
        match self.with_socket(peek) {
            None => Peek::Unknown,
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Peek::Quiet,
            Some(Ok(1..)) => Peek::Bytes,
            Some(_) => Peek::Ended,
        }
    }

    /// Refuses what the peer may still send, on a Unix socket. What it has sent can be
    /// read. Returns whether that is so.
    pub(super) fn shut_down_read(&self) -> bool {
        let shut_down = |socket: SockRef<'_>| socket.shutdown(Shutdown::Read).is_ok();
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

    fn is_unix(&self) -> bool {
        let io: &dyn Any = &self.io;
        io.is::<UnixStream>()
    }

    fn with_socket<T>(&self, then: impl FnOnce(SockRef<'_>) -> T) -> Option<T> {
        let io: &dyn Any = &self.io;
        if let Some(stream) = io.downcast_ref::<TcpStream>() {
            return Some(then(SockRef::from(stream)));
        }
        let stream = io.downcast_ref::<UnixStream>()?;
        Some(then(SockRef::from(stream)))
    }
}

/// Whether the peer still waits for the end of a response, which cannot be seen by reading: a direction that it has
/// shut down stays readable, and a body that nobody asks for must not be read.
#[derive(Debug, Default)]
enum HangUp {
    #[default]
    Unwatched,
    /// A second descriptor of the socket, whatever kind of socket it is: only its events
    /// are used. They come in edges, and are not to be taken away from those that read
    /// and write.
    Watched(UnixStream),
    Unknown,
}

impl HangUp {
    fn watch(socket: SockRef<'_>) -> Self {
        let copy = socket.as_fd().try_clone_to_owned();
        let copy = copy
            .map(net::UnixStream::from)
            .and_then(UnixStream::from_std);
        copy.map_or(Self::Unknown, Self::Watched)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
