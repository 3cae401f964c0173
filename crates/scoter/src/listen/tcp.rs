//! TCP sockets.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, getsockname, listen, socket_with,
    sockopt,
};

use super::{AllowList, reason};

/// Why a TCP address could not be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TcpError {
    /// Others could connect, and nobody said who may.
    #[error(
        "cannot listen on {address}: it is reachable from other machines, and whoever connects \
         decides REMOTE_USER and REMOTE_ADDR\nhint: name the front ends with --allow CIDR, or \
         listen on 127.0.0.1 or a Unix socket"
    )]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The port is taken.
    #[error(
        "cannot listen on {address}: another process does\nhint: `ss -ltnp` shows which; port 0 \
         takes a free one"
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

pub(super) fn bind(
    address: SocketAddr,
    allow: &AllowList,
    backlog: i32,
) -> Result<(OwnedFd, SocketAddr), TcpError> {
    require_admission(address, allow)?;
    try_bind(address, backlog).map_err(|errno| match errno {
        Errno::ADDRINUSE => TcpError::InUse { address },
        errno => TcpError::Io {
            address,
            error: reason(errno),
        },
    })
}

/// Refuses an address that others reach where nobody said who may connect.
pub(super) fn require_admission(address: SocketAddr, allow: &AllowList) -> Result<(), TcpError> {
    if !address.ip().to_canonical().is_loopback() && allow.is_empty() {
        return Err(TcpError::NotLoopback { address });
    }
    Ok(())
}

fn try_bind(address: SocketAddr, backlog: i32) -> Result<(OwnedFd, SocketAddr), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    // Accepted connections inherit it; every chunk of a streamed response is to leave at once.
    sockopt::set_tcp_nodelay(&fd, true)?;
    bind_socket(&fd, &address)?;
    listen(&fd, backlog)?;
    let bound = SocketAddr::try_from(getsockname(&fd)?)?;
    Ok((fd, bound))
}
