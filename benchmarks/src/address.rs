use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// Where a server listens: `unix:/path` or `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket's path.
    Unix(PathBuf),
    /// An address and a port of TCP.
    Tcp(SocketAddr),
}

impl Address {
    /// Returns the family of sockets that reach this address.
    #[must_use]
    pub fn family(&self) -> AddressFamily {
        match self {
            Self::Unix(_) => AddressFamily::UNIX,
            Self::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
        }
    }

    /// Returns the address as the kernel takes it.
    ///
    /// # Errors
    ///
    /// Those of [`SocketAddrUnix::new`]: the path is too long for a socket.
    pub fn to_socket_address(&self) -> rustix::io::Result<SocketAddrAny> {
        match self {
            Self::Unix(path) => SocketAddrUnix::new(path).map(SocketAddrAny::from),
            Self::Tcp(address) => Ok(SocketAddrAny::from(*address)),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads what stands on the command line; a name is looked up.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(AddressError::NoPath);
            }
            return Ok(Self::Unix(path.into()));
        }
        let found: Vec<_> = text
            .to_socket_addrs()
            .map_err(|source| AddressError::Unknown { source })?
            .collect();
        // `localhost` is `::1` first on many machines, where most servers do not listen.
        let first = found.iter().find(|address| address.is_ipv4());
        let Some(address) = first.or_else(|| found.first()) else {
            return Err(AddressError::Nowhere);
        };
        Ok(Self::Tcp(*address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// Why a text is no [`Address`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing follows `unix:`.
    #[error("a path is missing after unix:")]
    NoPath,
    /// The name has no address.
    #[error("the name has no address")]
    Nowhere,
    /// It is neither `HOST:PORT` nor does the name exist.
    #[error("neither unix:/path nor HOST:PORT: {source}")]
    Unknown {
        /// What the look-up said.
        source: std::io::Error,
    },
}
