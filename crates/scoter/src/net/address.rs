//! Addresses to listen on, as written on the command line.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// One `--bind`: `unix:/path`, `unix:@name`, `host:port` or `fd://N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A name in Linux's abstract namespace: no file, no permissions.
    Abstract(String),
    /// A TCP address; port 0 asks the kernel for a free one.
    Tcp(SocketAddr),
    /// An inherited descriptor that is bound and listening.
    Inherited(RawFd),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(number) = text.strip_prefix("fd://") {
            return inherited(number);
        }
        match text.strip_prefix("unix:") {
            Some("" | "@") => Err(AddressError::EmptyPath),
            Some(path) => unix(path),
            None if text.starts_with(['/', '.', '@']) => Err(AddressError::NoScheme {
                text: text.to_owned(),
            }),
            None => tcp(text),
        }
    }
}

impl Address {
    /// Whether the kernel chooses the port, so that two equal addresses are different sockets.
    pub(crate) fn is_any_port(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Tcp(address) => address.fmt(f),
            Self::Inherited(fd) => write!(f, "fd://{fd}"),
        }
    }
}

/// Why a `--bind` could not be parsed.
#[derive(Debug, Error)]
pub(crate) enum AddressError {
    /// Nothing follows `unix:`.
    #[error("a path or @name must follow `unix:`")]
    EmptyPath,
    /// It looks like a path without `unix:`.
    #[error("write `unix:{text}` for a Unix socket")]
    NoScheme {
        /// The address as given.
        text: String,
    },
    /// The kernel has room for 107 bytes (`sun_path` in unix(7)).
    #[error("the path has {length} bytes; a Unix socket's path can have at most {MAX_PATH}")]
    PathTooLong {
        /// Bytes of the path or the name.
        length: usize,
    },
    /// The text after `fd://` is not a descriptor to listen on.
    #[error("a descriptor from 3 up must follow `fd://`; 0, 1 and 2 are the standard streams")]
    NoDescriptor,
    /// There is no port.
    #[error("expected unix:/path, unix:@name, host:port or fd://N")]
    NoPort,
    /// There is a port, and no host before it.
    #[error("no host: write 127.0.0.1:{port}, or 0.0.0.0:{port} with --allow")]
    NoHost {
        /// The port as given.
        port: u16,
    },
    /// The host has no address.
    #[error("cannot resolve it: {0}")]
    Unresolved(std::io::Error),
}

/// Bytes of `sun_path`, without the terminating NUL.
pub(crate) const MAX_PATH: usize = 107;

fn unix(path: &str) -> Result<Address, AddressError> {
    if path.len() > MAX_PATH {
        return Err(AddressError::PathTooLong { length: path.len() });
    }
    Ok(match path.strip_prefix('@') {
        Some(name) => Address::Abstract(name.to_owned()),
        None => Address::Unix(PathBuf::from(path)),
    })
}

fn inherited(number: &str) -> Result<Address, AddressError> {
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let fd = number.parse().ok().filter(|fd| is_number && *fd > 2);
    fd.map(Address::Inherited).ok_or(AddressError::NoDescriptor)
}

fn tcp(text: &str) -> Result<Address, AddressError> {
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
    let port = port.parse().map_err(|_| AddressError::NoPort)?;
    if host.is_empty() {
        return Err(AddressError::NoHost { port });
    }
    let mut addresses = text.to_socket_addrs().map_err(AddressError::Unresolved)?;
    addresses
        .next()
        .map(Address::Tcp)
        .ok_or(AddressError::NoPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_written() {
        for text in [
            "unix:/run/app.sock",
            "unix:relative.sock",
            "unix:@name",
            "127.0.0.1:8000",
            "[::1]:0",
            "fd://3",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, reason) in [
            (
                "/run/app.sock",
                "write `unix:/run/app.sock` for a Unix socket",
            ),
            ("@name", "write `unix:@name` for a Unix socket"),
            (
                ":9000",
                "no host: write 127.0.0.1:9000, or 0.0.0.0:9000 with --allow",
            ),
            ("unix:", "a path or @name must follow `unix:`"),
            (
                "localhost",
                "expected unix:/path, unix:@name, host:port or fd://N",
            ),
            (
                "127.0.0.1:http",
                "expected unix:/path, unix:@name, host:port or fd://N",
            ),
            (
                "fd://2",
                "a descriptor from 3 up must follow `fd://`; 0, 1 and 2 are the standard streams",
            ),
            (
                "fd://+5",
                "a descriptor from 3 up must follow `fd://`; 0, 1 and 2 are the standard streams",
            ),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), reason);
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert_eq!(
            long.parse::<Address>().unwrap_err().to_string(),
            "the path has 108 bytes; a Unix socket's path can have at most 107"
        );
    }
}
