//! How a task of the reactor waits on a connection.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::time::Instant;

use crate::worker::connection::Connection;
use crate::worker::stop::{Ending, Stop};

/// A connection that the reactor can wait on.
#[derive(Debug)]
pub(crate) struct AsyncConnection<'a> {
    fd: ManuallyDrop<AsyncFd<Arc<Connection>>>,
    interest: Interest,
    stop: &'a Stop,
}

/// What ended a wait.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// The operation has completed.
    Done(io::Result<T>),
    /// The deadline has passed.
    TimedOut,
    /// A stop has begun, and the peer has stalled for as long as a stop waits.
    Stopping,
}

impl<'a> AsyncConnection<'a> {
    /// Registers the connection with the reactor.
    ///
    /// # Errors
    ///
    /// EBADF once application code has closed the descriptor, and those of the system.
    pub(crate) fn new(
        connection: Arc<Connection>,
        interest: Interest,
        stop: &'a Stop,
    ) -> io::Result<Self> {
        // epoll goes by the number, and the connection that has it now could not be registered
        // any more.
        connection.fd()?;
        #[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays")]
        // SAFETY: a connection owns its descriptor, keeps it until it is dropped and never
        // exchanges it; the AsyncFd keeps the connection. Application code may close the number
        // all the same: the kernel withdraws it from epoll then (epoll(7)) and refuses to
        // register it (EBADF), and what is done with it goes through `Connection::fd`. See
        // `drop` for what has the number afterwards.
        let fd = unsafe { AsyncFd::register_with_interest(connection, interest)? };
        Ok(Self {
            fd: ManuallyDrop::new(fd),
            interest,
            stop,
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.fd.get_ref()
    }

    /// Repeats `operation` whenever the connection is ready, until it does not block.
    ///
    /// A stop cuts a wait for input short: peers that stall must not delay it.
    pub(crate) async fn wait<T>(
        &self,
        deadline: Instant,
        mut operation: impl FnMut(&Connection) -> io::Result<T>,
    ) -> Waited<T> {
        let ready = self
            .fd
            .async_io(self.interest, |connection| operation(connection));
        tokio::select! {
            biased;
            result = ready => Waited::Done(result),
            () = tokio::time::sleep_until(deadline) => Waited::TimedOut,
            () = self.stop_timeout(), if self.interest.is_readable() => Waited::Stopping,
        }
    }

    /// Waits until the connection is ready. Returns `None` at the deadline. A caller that finds it
    /// not ready after all clears the guard.
    pub(crate) async fn ready(
        &self,
        deadline: Instant,
    ) -> Option<AsyncFdReadyGuard<'_, Arc<Connection>>> {
        let ready = tokio::time::timeout_at(deadline, self.fd.ready(self.interest));
        ready.await.ok()?.ok()
    }

    async fn stop_timeout(&self) {
        self.stop.begun().await;
        let timeout = match self.stop.ending() {
            Some(Ending::Retire) => RETIRE_TIMEOUT,
            Some(Ending::Drain) | None => STOP_TIMEOUT,
        };
        tokio::time::sleep(timeout).await;
    }
}

impl Drop for AsyncConnection<'_> {
    fn drop(&mut self) {
        if self.fd.get_ref().is_claimed() {
            #[expect(unsafe_code, reason = "not always to be dropped")]
            // SAFETY: it is dropped here and nowhere else, and not used any more.
            unsafe {
                ManuallyDrop::drop(&mut self.fd);
            }
        }
        // Otherwise application code has closed it, and the kernel has forgotten it: to
        // withdraw the number from epoll would concern the connection that has it now.
    }
}

/// How long a stop waits for the next bytes of a request that has begun to arrive.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// The same for a worker that is replaced by another one, which is not urgent.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;

    use super::*;
    use crate::net::Family;
    use crate::worker::connection::ConnectionTimeouts;

    fn connection(fd: OwnedFd) -> Arc<Connection> {
        let timeouts = ConnectionTimeouts {
            body: Duration::ZERO,
            write: Duration::ZERO,
        };
        Arc::new(Connection::new(fd, Family::Unix, timeouts))
    }

    #[tokio::test]
    async fn number_that_another_connection_has_is_not_registered_for_the_first_one() {
        for interest in [Interest::READABLE, Interest::WRITABLE] {
            let ((one, _peer), (other, mut client)) =
                (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
            other.set_nonblocking(true).unwrap();
            let stop = Stop::new().unwrap();
            let first = connection(one.into());
            // As if the application had closed the number, and the kernel given it out again.
            let mut taken = crate::sys::raw_fd::own(first.as_raw_fd()).unwrap();
            rustix::io::dup2(&other, &mut taken).unwrap();
            let second = connection(taken);
            let refused = AsyncConnection::new(Arc::clone(&first), interest, &stop).map(drop);
            let errno = refused.unwrap_err().raw_os_error();
            assert_eq!(errno, Some(Errno::BADF.raw_os_error()));
            let peer = AsyncConnection::new(second, interest, &stop).unwrap();
            client.write_all(b"come").unwrap();
            let deadline = Instant::now() + Duration::from_secs(30);
            let ready = peer.ready(deadline).await;
            assert!(ready.is_some(), "{interest:?}");
            peer.connection().send(&[IoSlice::new(b"went")]).unwrap();
        }
    }
}
