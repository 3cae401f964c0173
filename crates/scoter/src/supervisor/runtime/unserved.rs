//! Connections that no worker is left to serve.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::{copy, sink};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use crate::ipc::connection_queue::{ConnectionQueue, PassedConnection};
use crate::net::Family;

/// Empties the queue between the workers: a request is answered 503, and an idle connection is
/// closed.
///
/// To be called when every worker has ended: as long as one is left, it may serve them.
pub(super) async fn refuse_unserved(queue: &ConnectionQueue) {
    let deadline = Instant::now() + TIMEOUT;
    let mut refused = 0;
    let mut refusals = JoinSet::new();
    while let Some(PassedConnection { fd, family, .. }) = queue.receive() {
        let fd = OwnedFd::from(fd);
        if !has_request(&fd, family) {
            continue;
        }
        refused += 1;
        if let Err(error) = answer(&fd) {
            debug!(%error, "a refusal cannot be sent");
            continue;
        }
        if refusals.len() >= MAX_OPEN {
            let _ = refusals.join_next().await;
        }
        let until = deadline.min(Instant::now() + PEER_TIMEOUT);
        refusals.spawn(timeout_at(until, discard_rest(fd, family)));
    }
    while refusals.join_next().await.is_some() {}
    if refused > 0 {
        warn!(
            refused,
            "requests refused: the last worker ended before it could serve them"
        );
    }
}

/// Whether a request has begun to arrive. If not, none will that the peer believes it has sent: on
/// a Unix socket it cannot write after the shutdown of the reading side (`unix_stream_sendmsg`:
/// EPIPE).
fn has_request(connection: &OwnedFd, family: Family) -> bool {
    let has_input = || {
        let peeked = recv(
            connection,
            &mut [0_u8; 1],
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        peeked.is_ok_and(|(received, _)| received > 0)
    };
    // First, because the shutdown would cut off a body that does not fit into the socket.
    if has_input() {
        return true;
    }
    if family == Family::Unix {
        let _ = shutdown(connection, Shutdown::Read);
    }
    has_input()
}

/// Sends the response. It is so short that it fits into any socket whose peer reads.
fn answer(connection: &OwnedFd) -> Result<(), Errno> {
    send(
        connection,
        RESPONSE,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    shutdown(connection, Shutdown::Write)
}

/// Receives what is left of the request: closing a socket with unread input would reset the
/// connection, and the peer might not see the response.
async fn discard_rest(connection: OwnedFd, family: Family) -> io::Result<u64> {
    match family {
        Family::Unix => copy(&mut UnixStream::from_std(connection.into())?, &mut sink()).await,
        Family::Tcp => copy(&mut TcpStream::from_std(connection.into())?, &mut sink()).await,
    }
}

/// Without a body, because the method is not known: HEAD has none (RFC 9110, 9.3.2).
const RESPONSE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// How long a stop waits for one peer to end its request.
const PEER_TIMEOUT: Duration = Duration::from_millis(100);

/// How long it waits for all of them.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that are open at the same time, so that few descriptors are enough.
const MAX_OPEN: usize = 64;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn unix_pair() -> (UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (ours, theirs)
    }

    /// Has a queue with these connections emptied.
    fn empty(connections: impl IntoIterator<Item = (OwnedFd, Family)>) {
        let queue = ConnectionQueue::new().unwrap();
        for (connection, family) in connections {
            queue.send(connection.as_fd(), family, 1).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(refuse_unserved(&queue));
        assert!(queue.peek().is_none());
    }

    fn answer_of(mut peer: impl Read) -> String {
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn request_is_answered_and_idle_connection_closed() {
        let ((idle, mut idle_peer), (asking, mut asking_peer)) = (unix_pair(), unix_pair());
        asking_peer.write_all(b"\0\x02\0\0\0\0").unwrap();
        asking_peer.shutdown(std::net::Shutdown::Write).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut tcp_peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_nonblocking(true).unwrap();
        tcp_peer.write_all(b"\0").unwrap();
        tcp_peer.shutdown(std::net::Shutdown::Write).unwrap();
        // Once it has arrived.
        tcp.set_nonblocking(false).unwrap();
        tcp.peek(&mut [0]).unwrap();
        tcp.set_nonblocking(true).unwrap();
        empty([
            (idle.into(), Family::Unix),
            (asking.into(), Family::Unix),
            (tcp.into(), Family::Tcp),
        ]);
        assert_eq!(answer_of(&idle_peer), "");
        assert!(idle_peer.write_all(b"late").is_err());
        for answer in [answer_of(asking_peer), answer_of(tcp_peer)] {
            assert_eq!(answer.as_bytes(), RESPONSE);
        }
    }

    #[test]
    fn peers_that_send_nothing_more_hold_up_nobody() {
        let (connections, peers): (Vec<_>, Vec<_>) = (0..3 * MAX_OPEN).map(|_| unix_pair()).unzip();
        for mut peer in &peers {
            peer.write_all(b"\0").unwrap();
        }
        empty(
            connections
                .into_iter()
                .map(|one| (OwnedFd::from(one), Family::Unix)),
        );
        for peer in peers {
            assert_eq!(answer_of(peer).as_bytes(), RESPONSE);
        }
    }
}
