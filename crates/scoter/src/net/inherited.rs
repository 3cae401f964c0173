//! Inherited sockets: from systemd's socket activation, or as `fd://N`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname, sockopt};

use super::address::Address;
use super::family::Family;
use super::reason::reason;
use super::tcp::TcpError;
use crate::sys::fork::Mark;
use crate::sys::raw_fd::with_borrowed;

/// Why an inherited socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritedError {
    /// The descriptor is not open.
    #[error(
        "cannot listen on fd://{number}: there is no such descriptor\nhint: the process that \
         starts scoter must pass it open"
    )]
    NotOpen {
        /// The number of the descriptor.
        number: RawFd,
    },
    /// It is not a socket, of another kind, or not listening.
    #[error(
        "cannot listen on fd://{number}: it is not a listening stream socket\nhint: systemd \
         passes one for ListenStream= with Accept=no"
    )]
    NotListening {
        /// The number of the descriptor.
        number: RawFd,
    },
    /// Other machines could connect, and --allow names none of them.
    #[error(transparent)]
    Tcp(#[from] TcpError),
    /// Anything else.
    #[error("cannot listen on an inherited socket: {0}")]
    Io(#[from] io::Error),
}

/// Takes descriptor `number`. The process keeps the original too, but its children do not.
pub(super) fn take(number: RawFd) -> Result<(OwnedFd, Address, Family), InheritedError> {
    let copy = with_borrowed(number, |original| {
        fcntl_getfd(original)?;
        fcntl_setfd(original, FdFlags::CLOEXEC)?;
        Mark::for_good(original);
        fcntl_dupfd_cloexec(original, 3)
    });
    let fd = copy.map_err(|_| InheritedError::NotOpen { number })?;
    if !is_listening(fd.as_fd()) {
        return Err(InheritedError::NotListening { number });
    }
    // systemd passes blocking sockets unless told otherwise (NonBlocking=, systemd.socket(5)).
    let flags = fcntl_getfl(&fd).map_err(reason)?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).map_err(reason)?;
    let (address, family) = identify(&fd)?;
    Ok((fd, address, family))
}

/// Checks whether descriptor `number` could be taken, without changing it.
pub(super) fn check(number: RawFd) -> Result<(), InheritedError> {
    let is_listening = with_borrowed(number, |original| {
        fcntl_getfd(original).map(|_| is_listening(original))
    });
    match is_listening {
        Ok(true) => Ok(()),
        Ok(false) => Err(InheritedError::NotListening { number }),
        Err(_) => Err(InheritedError::NotOpen { number }),
    }
}

/// Finds out which address a socket listens on.
pub(super) fn identify(fd: impl AsFd) -> Result<(Address, Family), InheritedError> {
    if sockopt::socket_domain(&fd).map_err(reason)? == AddressFamily::UNIX {
        let name = SocketAddrUnix::try_from(getsockname(&fd).map_err(reason)?).map_err(reason)?;
        return Ok((unix_address(&name), Family::Unix));
    }
    let name = SocketAddr::try_from(getsockname(&fd).map_err(reason)?).map_err(reason)?;
    Ok((Address::Tcp(name), Family::Tcp))
}

fn is_listening(fd: BorrowedFd<'_>) -> bool {
    let listens = || {
        let listens = sockopt::socket_acceptconn(fd)?;
        Ok::<_, Errno>(listens && sockopt::socket_type(fd)? == SocketType::STREAM)
    };
    listens().unwrap_or(false)
}

fn unix_address(name: &SocketAddrUnix) -> Address {
    match name.abstract_name() {
        Some(name) => Address::Abstract(String::from_utf8_lossy(name).into_owned()),
        None => {
            let path = name.path_bytes().unwrap_or_default();
            Address::Unix(PathBuf::from(String::from_utf8_lossy(path).into_owned()))
        }
    }
}
