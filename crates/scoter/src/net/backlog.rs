//! How many connections wait in the kernel to be accepted, and how many may.

use std::io;
use std::os::fd::AsFd;

use super::family::Family;
use super::unix_diag::queue_lengths;
use crate::sys::tcp_info::tcp_info;

/// The kernel's queue of a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Connections that wait.
    pub(crate) waiting: u32,
    /// How many may: one more than the backlog of listen(2), because the kernel refuses the next
    /// connection only when more than that wait (`sk_acceptq_is_full`, `unix_recvq_full`).
    pub(crate) capacity: u32,
}

impl Backlog {
    /// Asks the kernel about a listening socket.
    ///
    /// # Errors
    ///
    /// System errors: a kernel or a container may not offer it.
    pub(super) fn of(listener: impl AsFd, family: Family) -> io::Result<Self> {
        let (waiting, backlog) = match family {
            Family::Unix => queue_lengths(listener)?,
            Family::Tcp => {
                // Of a listening socket these two are its queue's length and its backlog
                // (`tcp_get_info`).
                let info = tcp_info(listener)?;
                (info.tcpi_unacked, info.tcpi_sacked)
            }
        };
        Ok(Self {
            waiting,
            capacity: backlog.saturating_add(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use rustix::net::listen;

    use super::*;

    fn assert_counts(listener: impl AsFd, family: Family, mut connect: impl FnMut()) {
        listen(&listener, 4).unwrap();
        for waiting in 0..=3 {
            let backlog = Backlog::of(&listener, family).unwrap();
            let capacity = 5;
            assert_eq!(backlog, Backlog { waiting, capacity });
            connect();
        }
    }

    #[test]
    fn connections_that_wait_are_counted_on_every_kind_of_socket() {
        let mut clients = Vec::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_counts(&listener, Family::Tcp, || {
            clients.push(TcpStream::connect(address).unwrap());
        });

        let mut clients = Vec::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert_counts(&listener, Family::Unix, || {
            clients.push(UnixStream::connect(&path).unwrap());
        });

        let name = format!("scoter-test-{}", path.display());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        assert_counts(&listener, Family::Unix, || {
            clients.push(UnixStream::connect_addr(&address).unwrap());
        });
    }

    #[test]
    fn full_unix_socket_holds_its_capacity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listen(&listener, 2).unwrap();
        let connect = || {
            let client = super::super::socket_file::stream_socket().unwrap();
            let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
            rustix::io::ioctl_fionbio(&client, true).unwrap();
            rustix::net::connect(&client, &address).map(|()| client)
        };
        let clients: Vec<_> = std::iter::repeat_with(connect)
            .map_while(Result::ok)
            .collect();
        let backlog = Backlog::of(&listener, Family::Unix).unwrap();
        assert_eq!(clients.len(), backlog.capacity as usize);
        assert_eq!(backlog.waiting, backlog.capacity);
    }

    #[test]
    fn socket_that_does_not_listen_has_no_unix_queue_to_speak_of() {
        let file = tempfile::tempfile().unwrap();
        assert!(Backlog::of(&file, Family::Unix).is_err());
        assert!(Backlog::of(&file, Family::Tcp).is_err());
    }
}
