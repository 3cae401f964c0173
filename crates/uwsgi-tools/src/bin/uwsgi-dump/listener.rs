use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};
use uwsgi_http::Address;

use crate::stream::Stream;

/// A listening socket. The file of a Unix socket is removed when it is dropped.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix { socket: UnixListener, path: PathBuf },
    Tcp(TcpListener),
}

impl Listener {
    /// Listens. Replaces the file of a Unix socket that nobody listens on any more. `mode` is that of the file.
    pub(crate) async fn bind(address: &Address, mode: Option<u32>) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                remove_stale(path);
                let socket = UnixListener::bind(path)?;
                let path = path.clone();
                let listener = Self::Unix { socket, path };
                if let (Self::Unix { path, .. }, Some(mode)) = (&listener, mode) {
                    fs::set_permissions(path, Permissions::from_mode(mode))?;
                }
                Ok(listener)
            }
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns the address as a web server is told it: with the port that was chosen for port 0.
    pub(crate) fn address(&self) -> io::Result<String> {
        match self {
            Self::Unix { path, .. } => Ok(Address::Unix(path.clone()).to_string()),
            Self::Tcp(socket) => Ok(socket.local_addr()?.to_string()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok(Stream::Unix(stream))
            }
            Self::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            // It may be gone.
            let _ = fs::remove_file(path);
        }
    }
}

fn remove_stale(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    if !is_socket {
        return;
    }
    let connected = std::os::unix::net::UnixStream::connect(path);
    if connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        // If it stays, binding says so.
        let _ = fs::remove_file(path);
    }
}
