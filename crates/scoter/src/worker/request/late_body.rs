//! Bodies of which nothing has arrived when the application starts.
//!
//! nginx sends the length of the client's body with a subrequest that has none (auth_request,
//! mirror), and nothing shows that. So the application is started although the body has not
//! begun to arrive, and can answer if it does not read. If it reads, its slot waits for the
//! peer; the number of such slots is limited, so that the others continue to serve.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wsgi_environ::Transport;

use crate::config::BufferBody;
use crate::worker::connection::Connection;

/// The permits of slots that may wait for a body of which nothing has arrived.
#[derive(Debug)]
pub(crate) struct LateBodies(Arc<Semaphore>);

/// One of them, for as long as the request runs: a body that begins may stall all the same.
#[derive(Debug)]
pub(crate) struct MayWait(
    #[expect(unused, reason = "dropping it is its use")] OwnedSemaphorePermit,
);

/// The way to a body of which nothing had arrived when the application started.
#[derive(Debug)]
pub(crate) struct LateBody {
    connection: Arc<Connection>,
    permit: Option<MayWait>,
}

impl LateBodies {
    /// Half of the slots, and none where there is one or where no application is to wait.
    pub(crate) fn new(slots: usize, buffer_body: BufferBody) -> Self {
        let permits = match buffer_body {
            BufferBody::Auto => slots / 2,
            BufferBody::All => 0,
        };
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Completes when a slot may wait, in the order of the calls.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any time, and loses its place then.
    pub(crate) async fn permit(&self) -> MayWait {
        match Arc::clone(&self.0).acquire_owned().await {
            Ok(permit) => MayWait(permit),
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }
}

impl LateBody {
    /// Without a permit nothing waits: what is not there is late.
    pub(crate) fn new(connection: Arc<Connection>, permit: Option<MayWait>) -> Self {
        Self { connection, permit }
    }
}

impl Transport for LateBody {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.try_send(parts)
    }

    fn wait_writable(&self) -> io::Result<()> {
        self.connection.wait_writable()
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.permit {
            Some(_) => self.connection.recv(buffer),
            None => self.connection.recv_within(buffer, Duration::ZERO),
        }
    }

    fn interrupt(&self) {
        self.connection.interrupt();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;
    use crate::net::Family;
    use crate::worker::connection::ConnectionTimeouts;

    #[test]
    fn half_of_the_slots_may_wait_and_never_the_only_one() {
        for (slots, buffer_body, expected) in [
            (1, BufferBody::Auto, 0),
            (2, BufferBody::Auto, 1),
            (3, BufferBody::Auto, 1),
            (4, BufferBody::Auto, 2),
            (1_024, BufferBody::Auto, 512),
            (4, BufferBody::All, 0),
        ] {
            let LateBodies(permits) = LateBodies::new(slots, buffer_body);
            let name = format!("{slots} {buffer_body:?}");
            assert_eq!(permits.available_permits(), expected, "{name}");
        }
    }

    #[test]
    fn without_a_permit_only_what_is_there_is_received() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let timeouts = ConnectionTimeouts {
            body: Duration::from_secs(60),
            write: Duration::ZERO,
        };
        let connection = Connection::new(OwnedFd::from(socket), Family::Unix, timeouts);
        let late = LateBody::new(Arc::new(connection), None);
        let start = Instant::now();
        let mut buffer = [0; 8];
        let error = late.recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(30));
        io::Write::write_all(&mut peer, b"abc").unwrap();
        assert_eq!(late.recv(&mut buffer).unwrap(), 3);
    }
}
