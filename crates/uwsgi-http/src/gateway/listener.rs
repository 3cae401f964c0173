use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
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
                Ok((stream.into(), connection_info(Some(remote), *port)))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), ConnectionInfo::new()))
            }
        }
    }

    /// Takes a connection that the system has, without waiting: tokio knows only of what
    /// the system had when it last asked.
    pub(super) fn accept_now(&self) -> io::Result<(Stream, ConnectionInfo)> {
        match &self.0 {
            Kind::Tcp(listener, port) => {
                let (socket, remote) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                let stream = TcpStream::from_std(socket.into())?;
                Ok((stream.into(), connection_info(remote.as_socket(), *port)))
            }
            Kind::Unix(listener) => {
                let (socket, _) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                let stream = UnixStream::from_std(socket.into())?;
                Ok((stream.into(), ConnectionInfo::new()))
            }
        }
    }
}

fn connection_info(remote: Option<SocketAddr>, port: Option<u16>) -> ConnectionInfo {
    let mut connection = ConnectionInfo::new();
    if let Some(remote) = remote {
        // An IPv4 client of an IPv6 socket: its address as it is known elsewhere.
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        connection = connection.with_remote(remote);
    }
    match port {
        Some(port) => connection.with_server_port(port),
        None => connection,
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
