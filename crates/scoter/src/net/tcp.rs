//! TCP sockets.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, getsockname, listen, socket_with,
    sockopt,
};
use socket2::SockRef;

use super::allow::AllowList;
use super::reason::reason;

/// Why a TCP address could not be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TcpError {
    /// Other machines could connect, and --allow names none of them.
    #[error(
        "cannot listen on {address}: it is reachable from other machines, and whoever connects \
         can set REMOTE_USER and REMOTE_ADDR\nhint: name the front ends with --allow CIDR, or \
         listen on 127.0.0.1 or a Unix socket"
    )]
    NotLoopback {
        /// The requested address.
        address: SocketAddr,
    },
    /// The port is taken.
    #[error(
        "cannot listen on {address}: another process already does\nhint: `ss -ltnp` shows which; \
         port 0 picks a free port"
    )]
    InUse {
        /// The requested address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Io {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
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

/// Makes the kernel refuse new connections (ECONNREFUSED). The queue stays as it is. Handshakes
/// that have begun complete, and their connections are queued.
///
/// shutdown(2) and close(2) reset both. So the socket is bound to an interface that does not exist
/// (SO_BINDTOIFINDEX in socket(7)): inet_lookup_listener() then no longer finds it.
///
/// # Errors
///
/// System errors; before Linux 5.7 it needs CAP_NET_RAW.
pub(super) fn refuse_newcomers(listener: impl AsFd) -> io::Result<()> {
    // Changing an interface that is already set needs CAP_NET_RAW, and another scoter process may
    // have set it on this socket.
    if refuses_newcomers(&listener) {
        return Ok(());
    }
    // The option is the same for IPv6.
    SockRef::from(&listener).bind_device_by_index_v4(Some(NO_INTERFACE))
}

/// Whether [`refuse_newcomers`] has been called for this socket, in any process.
pub(super) fn refuses_newcomers(listener: impl AsFd) -> bool {
    let interface = SockRef::from(&listener).device_index_v4();
    interface.is_ok_and(|interface| interface == Some(NO_INTERFACE))
}

/// Checks whether this machine has the address and this user may use the port. No client can
/// connect meanwhile, and a server that listens there is not disturbed.
pub(super) fn check(address: SocketAddr, allow: &AllowList) -> Result<(), TcpError> {
    require_admission(address, allow)?;
    match bound(address) {
        Ok(_) | Err(Errno::ADDRINUSE) => Ok(()),
        Err(errno) => Err(TcpError::Io {
            address,
            error: reason(errno),
        }),
    }
}

/// Refuses an address that other machines can reach if --allow is not set.
pub(super) fn require_admission(address: SocketAddr, allow: &AllowList) -> Result<(), TcpError> {
    if !address.ip().to_canonical().is_loopback() && allow.is_empty() {
        return Err(TcpError::NotLoopback { address });
    }
    Ok(())
}

fn try_bind(address: SocketAddr, backlog: i32) -> Result<(OwnedFd, SocketAddr), Errno> {
    let fd = bound(address)?;
    listen(&fd, backlog)?;
    let bound = SocketAddr::try_from(getsockname(&fd)?)?;
    Ok((fd, bound))
}

fn bound(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    // Accepted connections inherit it, so that every chunk of a streamed response is sent
    // immediately.
    sockopt::set_tcp_nodelay(&fd, true)?;
    bind_socket(&fd, &address)?;
    Ok(fd)
}

/// The highest interface number; the kernel assigns them from 1.
const NO_INTERFACE: NonZeroU32 = NonZeroU32::new(i32::MAX as u32).expect("not zero");

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn new_connections_are_refused_and_the_queue_is_kept() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let mut peer = listener.local_addr().unwrap();
            if peer.ip().is_unspecified() {
                peer.set_ip([127, 0, 0, 1].into());
            }
            let mut queued = TcpStream::connect(peer).unwrap();
            // Once for each process that has the socket.
            for _ in 0..2 {
                refuse_newcomers(&listener).unwrap();
                assert!(refuses_newcomers(&listener));
                let refused = TcpStream::connect(peer).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{address}");
            }
            let (mut accepted, _) = listener.accept().unwrap();
            accepted.write_all(b"served").unwrap();
            drop(accepted);
            let mut text = String::new();
            queued.read_to_string(&mut text).unwrap();
            assert_eq!(text, "served", "{address}");
        }
    }
}
