//! Sockets that whoever started scoter has bound: `fd://N`.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, getsockname, sockopt};

use super::tcp::{TcpError, require_admission};
use super::{Address, AllowList, reason};

/// Why a descriptor cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritError {
    /// Nothing is open there.
    #[error(
        "cannot listen on fd://{fd}: no such descriptor is open\nhint: whoever starts scoter must \
         leave the socket open (close-on-exec off) under that number"
    )]
    NotOpen {
        /// The descriptor as named.
        fd: RawFd,
    },
    /// It is open, and something else.
    #[error("cannot listen on fd://{fd}: it is not a listening stream socket, Unix or TCP")]
    NotListening {
        /// The descriptor as named.
        fd: RawFd,
    },
    /// Anybody could connect.
    #[error(transparent)]
    Tcp(#[from] TcpError),
    /// Anything else.
    #[error("cannot listen on fd://{fd}: {error}")]
    Io {
        /// The descriptor as named.
        fd: RawFd,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Makes a descriptor of our own for the socket, and returns it with the address that the
/// socket is bound to. The one that was inherited stays open, but not across exec: children
/// of the application must not keep the socket alive.
pub(super) fn take(number: RawFd, allow: &AllowList) -> Result<(OwnedFd, Address), InheritError> {
    let (fd, address) = duplicate(number).map_err(|errno| match errno {
        Errno::BADF => InheritError::NotOpen { fd: number },
        Errno::NOTSOCK | Errno::NOPROTOOPT | Errno::OPNOTSUPP => {
            InheritError::NotListening { fd: number }
        }
        errno => InheritError::Io {
            fd: number,
            error: reason(errno),
        },
    })?;
    if let Address::Tcp(address) = address {
        require_admission(address, allow)?;
    }
    Ok((fd, address))
}

fn duplicate(number: RawFd) -> Result<(OwnedFd, Address), Errno> {
    #[expect(unsafe_code, reason = "the descriptor is known by its number only")]
    // SAFETY: numbers of --bind are not negative. Where none is open the calls below say so,
    // and nothing in the process closes one that it has not opened itself.
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    let fd = fcntl_dupfd_cloexec(inherited, 3)?;
    let is_listening = sockopt::socket_acceptconn(&fd)?;
    if !is_listening || sockopt::socket_type(&fd)? != SocketType::STREAM {
        return Err(Errno::OPNOTSUPP);
    }
    let address = address_of(getsockname(&fd)?)?;
    if matches!(address, Address::Tcp(_)) {
        sockopt::set_tcp_nodelay(&fd, true)?;
    }
    ioctl_fionbio(&fd, true)?;
    let flags = fcntl_getfd(inherited)?;
    fcntl_setfd(inherited, flags | FdFlags::CLOEXEC)?;
    Ok((fd, address))
}

fn address_of(bound: SocketAddrAny) -> Result<Address, Errno> {
    if bound.address_family() != AddressFamily::UNIX {
        return SocketAddr::try_from(bound).map(Address::Tcp);
    }
    let bound = SocketAddrUnix::try_from(bound)?;
    if let Some(name) = bound.abstract_name() {
        return Ok(Address::Abstract(
            String::from_utf8_lossy(name).into_owned(),
        ));
    }
    let path = bound.path_bytes().ok_or(Errno::OPNOTSUPP)?;
    Ok(Address::Unix(PathBuf::from(OsStr::from_bytes(path))))
}
