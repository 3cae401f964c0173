//! The socket of `--metrics`, and who may use it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::net::{
    Address, AllowList, BindError, Description, Family, Listener, Settings, SocketFile,
};

/// A bound socket from which metrics and status can be read, and nothing can be changed. The file of
/// a Unix socket stays until [`MetricsListener::close`], as that of the control socket does.
#[derive(Debug)]
pub(crate) struct MetricsListener {
    listener: Listener,
    /// Who may connect over TCP.
    allow: AllowList,
}

/// Why metrics cannot be read from an address.
#[derive(Debug, Error)]
pub(crate) enum MetricsError {
    /// It could not be bound.
    #[error("--metrics: {0}")]
    Bind(#[from] BindError),
    /// Other machines could connect, and --metrics-allow names none of them.
    #[error(
        "--metrics: cannot listen on {0}: it is reachable from other machines, and whoever connects \
         can read the URIs of running requests\nhint: name those who may with --metrics-allow CIDR, \
         or listen on 127.0.0.1 or a Unix socket"
    )]
    NotLoopback(SocketAddr),
}

/// The socket within a runtime.
#[derive(Debug)]
pub(super) enum RegisteredSocket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Accepted {
    Unix(UnixStream),
    Tcp(TcpStream, SocketAddr),
}

impl MetricsListener {
    /// Binds the socket. A Unix socket has the permissions of those that are served.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] says what is in the way, and what to do about it.
    pub(crate) fn bind(address: &Address, settings: &Settings) -> Result<Self, MetricsError> {
        require_admission(address, &settings.allow)?;
        let listener = Listener::bind(address, settings)?;
        Ok(Self {
            listener,
            allow: settings.allow.clone(),
        })
    }

    /// Checks whether [`MetricsListener::bind`] would succeed. A running server at the address is not
    /// an error.
    ///
    /// # Errors
    ///
    /// As [`MetricsListener::bind`].
    pub(crate) fn check(address: &Address, settings: &Settings) -> Result<(), MetricsError> {
        require_admission(address, &settings.allow)?;
        Ok(Listener::check(address, settings)?)
    }

    /// Takes over the socket that this process, before an upgrade, has bound.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Bind`] if `fd` is not a listening socket.
    pub(crate) fn adopt(
        fd: OwnedFd,
        description: Description,
        allow: AllowList,
    ) -> Result<Self, MetricsError> {
        let adopted = Listener::adopt(fd, description, &allow);
        Ok(Self {
            listener: adopted.map_err(BindError::from)?,
            allow,
        })
    }

    /// What the next release needs in order to adopt it.
    pub(crate) fn describe(&self) -> Description {
        self.listener.describe()
    }

    /// The address as bound.
    pub(crate) fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Its socket file.
    pub(crate) fn file(&self) -> Option<&SocketFile> {
        self.listener.file()
    }

    /// Removes its file, if it still belongs to this socket.
    pub(crate) fn close(&self) {
        // No shutdown(2): tokio would report the listener as ready forever.
        if let Some(file) = self.file() {
            file.clear();
        }
    }

    /// Whether a peer may connect.
    pub(super) fn admits(&self, peer: SocketAddr) -> bool {
        self.allow.admits(peer.ip())
    }

    /// Registers the socket with the current runtime.
    pub(super) fn register(&self) -> io::Result<RegisteredSocket> {
        let fd = self.listener.as_fd().try_clone_to_owned()?;
        Ok(match self.listener.family() {
            Family::Unix => {
                RegisteredSocket::Unix(UnixListener::from_std(StdUnixListener::from(fd))?)
            }
            Family::Tcp => RegisteredSocket::Tcp(TcpListener::from_std(StdTcpListener::from(fd))?),
        })
    }
}

impl AsFd for MetricsListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl RegisteredSocket {
    /// # Cancel safety
    ///
    /// No connection is lost if it is dropped.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Accepted::Tcp(stream, peer)
            }
        })
    }
}

/// Refuses an address that other machines can reach if --metrics-allow is not set.
fn require_admission(address: &Address, allow: &AllowList) -> Result<(), MetricsError> {
    match address {
        Address::Tcp(address) if !address.ip().to_canonical().is_loopback() && allow.is_empty() => {
            Err(MetricsError::NotLoopback(*address))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::net::Permissions;

    fn settings(allow: &[&str]) -> Settings {
        let networks = allow.iter().map(|network| network.parse().unwrap());
        Settings {
            permissions: Permissions::private(None),
            backlog: 16,
            allow: AllowList::new(networks.collect()),
        }
    }

    fn tcp(text: &str) -> Address {
        Address::Tcp(text.parse().unwrap())
    }

    #[test]
    fn other_machines_are_only_admitted_by_name() {
        let error = MetricsListener::bind(&tcp("0.0.0.0:0"), &settings(&[])).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("--metrics: cannot listen on 0.0.0.0:0: "),
            "{error}"
        );
        assert!(error.contains("--metrics-allow CIDR"), "{error}");
        assert!(MetricsListener::check(&tcp("[::]:0"), &settings(&[])).is_err());
        let settings = settings(&["192.0.2.0/24"]);
        let listener = MetricsListener::bind(&tcp("0.0.0.0:0"), &settings).unwrap();
        for (peer, expected) in [
            ("127.0.0.1:1", true),
            ("192.0.2.7:1", true),
            ("[::ffff:192.0.2.7]:1", true),
            ("198.51.100.1:1", false),
        ] {
            assert_eq!(listener.admits(peer.parse().unwrap()), expected, "{peer}");
        }
    }

    #[test]
    fn address_in_use_is_explained() {
        let settings = settings(&[]);
        let first = MetricsListener::bind(&tcp("127.0.0.1:0"), &settings).unwrap();
        let error = MetricsListener::bind(first.address(), &settings).unwrap_err();
        let expected = format!("--metrics: cannot listen on {}: another", first.address());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(MetricsListener::check(first.address(), &settings).is_ok());
    }

    #[test]
    fn file_goes_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.sock");
        let bind = |path: &Path| MetricsListener::bind(&Address::Unix(path.into()), &settings(&[]));
        let before = bind(&path).unwrap();
        assert!(bind(&path).is_err());
        let fd = before.as_fd().try_clone_to_owned().unwrap();
        let description = before.describe();
        drop(before);
        let after = MetricsListener::adopt(fd, description, AllowList::new(Vec::new())).unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        after.close();
        assert!(!path.exists());
    }
}
