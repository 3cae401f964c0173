use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, UnixListener};
use uwsgi_codec::http::ConnectionInfo;

use crate::client::Stream;

/// A socket that a [`Gateway`](super::Gateway) accepts connections on.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener, Option<u16>),
    Unix(UnixListener),
}

impl Listener {
    /// Waits for a connection. Says what is known of it.
    pub(super) async fn accept(&self) -> io::Result<(Stream, ConnectionInfo)> {
        match &self.0 {
            Kind::Tcp(listener, port) => {
                let (stream, remote) = listener.accept().await?;
                // An IPv4 client of an IPv6 socket: its address as it is known elsewhere.
                let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                let connection = ConnectionInfo::new().with_remote(remote);
                let connection = match port {
                    Some(port) => connection.with_server_port(*port),
                    None => connection,
                };
                Ok((stream.into(), connection))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), ConnectionInfo::new()))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        let port = listener.local_addr().ok().map(|address| address.port());
        Self(Kind::Tcp(listener, port))
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self(Kind::Unix(listener))
    }
}
