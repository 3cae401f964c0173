use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Accepts connections for [`Server::serve`](super::Server::serve).
///
/// Implemented for tokio's [`UnixListener`] and [`TcpListener`]; implement it to accept
/// something else, or to look at connections first.
///
/// # Examples
///
/// Counting connections:
///
/// ```
/// use std::io;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use uwsgi_http::server::Listener;
///
/// struct Counted<L> {
///     inner: L,
///     accepted: Arc<AtomicU64>,
/// }
///
/// impl<L: Listener> Listener for Counted<L> {
///     type Io = L::Io;
///
///     async fn accept(&mut self) -> io::Result<L::Io> {
///         let io = self.inner.accept().await?;
///         self.accepted.fetch_add(1, Ordering::Relaxed);
///         Ok(io)
///     }
/// }
/// ```
pub trait Listener: Send {
    /// A connection. For tokio's own [`UnixStream`] and [`TcpStream`] the server sees more
    /// than others can tell: see
    /// [`serve_connection`](super::Server::serve_connection).
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of a single connection (`ConnectionAborted`, `ConnectionReset`,
    /// `ConnectionRefused`, `Interrupted`): the server goes on with the next one. All
    /// others: it logs them, and tries again after a pause.
    ///
    /// # Cancel safety
    ///
    /// Must lose no connection if it is dropped while it waits.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        let (stream, _) = Self::accept(self).await?;
        Ok(stream)
    }
}
