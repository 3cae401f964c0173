//! The sockets of `--metrics` and `--uwsgi-stats`, and who may use them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use thiserror::Error;

use super::socket::RegisteredSocket;
use crate::control::uwsgi_stats::Transport;
use crate::net::{Address, AllowList, BindError, Description, Listener, Settings, SocketFile};

/// A bound socket from which something can be read, and through which nothing can be changed. The file
/// of a Unix socket stays until [`ReaderListener::close`], as that of the control socket does.
#[derive(Debug)]
pub(crate) struct ReaderListener {
    service: Service,
    listener: Listener,
    /// Who may connect over TCP.
    allow: AllowList,
}

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Metrics and status, over HTTP.
    Metrics,
    /// The statistics that uWSGI's stats server has.
    UwsgiStats(Transport),
}

/// Why something cannot be read from an address.
#[derive(Debug, Error)]
pub(crate) enum ReaderError {
    /// It could not be bound.
    #[error("--{0}: {1}")]
    Bind(Service, #[source] BindError),
    /// Other machines could connect, and --metrics-allow names none of them.
    #[error(
        "--{0}: cannot listen on {1}: it is reachable from other machines, and whoever connects can \
         read {what}\nhint: name those who may with --metrics-allow CIDR, or listen on 127.0.0.1 or \
         a Unix socket", what = .0.secret()
    )]
    NotLoopback(Service, SocketAddr),
}

impl ReaderListener {
    /// Binds the socket. A Unix socket has the permissions of those that are served.
    ///
    /// # Errors
    ///
    /// [`ReaderError`] says what is in the way, and what to do about it.
    pub(crate) fn bind(
        service: Service,
        address: &Address,
        settings: &Settings,
    ) -> Result<Self, ReaderError> {
        service.require_admission(address, &settings.allow)?;
        let listener = Listener::bind(address, settings);
        Ok(Self {
            service,
            listener: listener.map_err(|error| ReaderError::Bind(service, error))?,
            allow: settings.allow.clone(),
        })
    }

    /// Checks whether [`ReaderListener::bind`] would succeed. A running server at the address is not
    /// an error.
    ///
    /// # Errors
    ///
    /// As [`ReaderListener::bind`].
    pub(crate) fn check(
        service: Service,
        address: &Address,
        settings: &Settings,
    ) -> Result<(), ReaderError> {
        service.require_admission(address, &settings.allow)?;
        Listener::check(address, settings).map_err(|error| ReaderError::Bind(service, error))
    }

    /// Takes over the socket that this process, before an upgrade, has bound.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Bind`] if `fd` is not a listening socket.
    pub(crate) fn adopt(
        service: Service,
        fd: OwnedFd,
        description: Description,
        allow: AllowList,
    ) -> Result<Self, ReaderError> {
        let adopted = Listener::adopt(fd, description, &allow);
        Ok(Self {
            service,
            listener: adopted.map_err(|error| ReaderError::Bind(service, error.into()))?,
            allow,
        })
    }

    /// What the next release needs in order to adopt it.
    pub(crate) fn describe(&self) -> Description {
        self.listener.describe()
    }

    /// What can be read from it.
    pub(crate) fn service(&self) -> Service {
        self.service
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

    /// Whether a peer may connect over TCP.
    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.allow.admits(peer)
    }

    /// Registers the socket with the current runtime.
    pub(super) fn register(&self) -> io::Result<RegisteredSocket> {
        let fd = self.listener.as_fd().try_clone_to_owned()?;
        RegisteredSocket::new(fd, self.listener.family())
    }
}

impl AsFd for ReaderListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Service {
    /// Refuses an address that other machines can reach if --metrics-allow is not set.
    fn require_admission(self, address: &Address, allow: &AllowList) -> Result<(), ReaderError> {
        match address {
            Address::Tcp(address)
                if !address.ip().to_canonical().is_loopback() && allow.is_empty() =>
            {
                Err(ReaderError::NotLoopback(self, *address))
            }
            _ => Ok(()),
        }
    }

    /// What not everybody should read.
    fn secret(self) -> &'static str {
        match self {
            Self::Metrics => "the URIs of running requests",
            Self::UwsgiStats(_) => "where the application is and how busy it is",
        }
    }
}

impl fmt::Display for Service {
    /// Writes the name of the option.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metrics => "metrics",
            Self::UwsgiStats(_) => "uwsgi-stats",
        })
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
        let error =
            ReaderListener::bind(Service::Metrics, &tcp("0.0.0.0:0"), &settings(&[])).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("--metrics: cannot listen on 0.0.0.0:0: "),
            "{error}"
        );
        assert!(error.contains("--metrics-allow CIDR"), "{error}");
        assert!(ReaderListener::check(Service::Metrics, &tcp("[::]:0"), &settings(&[])).is_err());
        let settings = settings(&["192.0.2.0/24"]);
        let listener =
            ReaderListener::bind(Service::Metrics, &tcp("0.0.0.0:0"), &settings).unwrap();
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("198.51.100.1", false),
        ] {
            assert_eq!(listener.admits(peer.parse().unwrap()), expected, "{peer}");
        }
    }

    #[test]
    fn address_in_use_is_explained() {
        let settings = settings(&[]);
        let first = ReaderListener::bind(Service::Metrics, &tcp("127.0.0.1:0"), &settings).unwrap();
        let error = ReaderListener::bind(Service::Metrics, first.address(), &settings).unwrap_err();
        let expected = format!("--metrics: cannot listen on {}: another", first.address());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(ReaderListener::check(Service::Metrics, first.address(), &settings).is_ok());
    }

    #[test]
    fn file_goes_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.sock");
        let bind = |path: &Path| {
            ReaderListener::bind(
                Service::Metrics,
                &Address::Unix(path.into()),
                &settings(&[]),
            )
        };
        let before = bind(&path).unwrap();
        assert!(bind(&path).is_err());
        let fd = before.as_fd().try_clone_to_owned().unwrap();
        let description = before.describe();
        drop(before);
        let after = ReaderListener::adopt(
            Service::Metrics,
            fd,
            description,
            AllowList::new(Vec::new()),
        )
        .unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        after.close();
        assert!(!path.exists());
    }
}
