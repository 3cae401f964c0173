use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::error::{ClientError, Wait};
use crate::Address;
use crate::peek::peek;

/// A connection to a uwsgi server.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects to a server. [`Duration::MAX`] is no limit.
    ///
    /// If the backlog of a Unix socket is full, the kernel refuses at once; this tries
    /// again until there is room.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], and [`ClientError::Timeout`] after `limit`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(address: &Address, limit: Duration) -> Result<Self, ClientError> {
        let connecting = async {
            match address {
                Address::Unix(path) => connect_unix(path).await.map(Self::from),
                Address::Tcp(host_and_port) => {
                    TcpStream::connect(host_and_port).await.map(Self::from)
                }
            }
        };
        match timeout(limit, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(ClientError::Connect {
                address: address.clone(),
                error,
            }),
            Err(_) => Err(ClientError::Timeout {
                wait: Wait::Connect,
                limit,
            }),
        }
    }

    /// Returns whether a connection that waits for the next request can still be used:
    /// `KEEPALIVE.md`, "Between two requests". Bytes or an end have no place there.
    ///
    /// Asks the system, and takes nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let peeked = match &self.0 {
            Kind::Unix(stream) => peek(stream.into()),
            Kind::Tcp(stream) => peek(stream.into()),
        };
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Makes the close that follows a reset, where there is such a thing: on TCP.
    #[cfg(feature = "gateway")]
    pub(crate) fn reset_at_close(&self) {
        if let Kind::Tcp(stream) = &self.0 {
            // It fails if the connection has ended.
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Ready when the connection is no longer [idle](Self::is_idle).
    pub(super) fn poll_disturbed(&self, cx: &mut Context<'_>) -> Poll<()> {
        // So that tokio asks the system again.
        let unless_idle = || match self.is_idle() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        };
        loop {
            let ready = match &self.0 {
                Kind::Unix(stream) => stream.poll_read_ready(cx),
                Kind::Tcp(stream) => stream.poll_read_ready(cx),
            };
            if ready!(ready).is_err() {
                return Poll::Ready(());
            }
            let disturbed = match &self.0 {
                Kind::Unix(stream) => stream.try_io(Interest::READABLE, unless_idle),
                Kind::Tcp(stream) => stream.try_io(Interest::READABLE, unless_idle),
            };
            if disturbed.is_ok() {
                return Poll::Ready(());
            }
        }
    }
}

/// unix(7): a socket that must not block gets `EAGAIN` if the backlog is full, and
/// nothing says when there is room.
async fn connect_unix(path: &std::path::Path) -> io::Result<UnixStream> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            connected => return connected,
        }
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self(Kind::Unix(stream))
    }
}

impl From<TcpStream> for Stream {
    /// Sends small writes at once (`TCP_NODELAY`).
    fn from(stream: TcpStream) -> Self {
        // It fails if the connection has ended, which the first read will tell.
        let _ = stream.set_nodelay(true);
        Self(Kind::Tcp(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
