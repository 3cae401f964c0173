//! How a task of the reactor waits for a connection.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::time::Instant;

use super::connection::Connection;
use super::stop::{Ending, Stop};

/// A connection that the reactor can wait on.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    fd: ManuallyDrop<AsyncFd<Arc<Connection>>>,
    interest: Interest,
    stop: &'a Stop,
}

/// What ended a wait.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// The operation, done.
    Done(io::Result<T>),
    /// The deadline.
    TimedOut,
    /// The stop: the peer had stalled for as long as a stop waits.
    Stopping,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(
        connection: Arc<Connection>,
        interest: Interest,
        stop: &'a Stop,
    ) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays")]
        // SAFETY: a connection owns its descriptor, keeps it until it is dropped and never
        // exchanges it; the AsyncFd keeps the connection.
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
            () = self.stop_patience(), if self.interest.is_readable() => Waited::Stopping,
        }
    }

    /// Waits until the connection is ready; `None` when the deadline is over. Who finds it
    /// not ready after all clears the guard.
    pub(crate) async fn ready(
        &self,
        deadline: Instant,
    ) -> Option<AsyncFdReadyGuard<'_, Arc<Connection>>> {
        let ready = tokio::time::timeout_at(deadline, self.fd.ready(self.interest));
        ready.await.ok()?.ok()
    }

    async fn stop_patience(&self) {
        self.stop.begun().await;
        let patience = match self.stop.ending() {
            Some(Ending::Retire) => RETIRE_PATIENCE,
            Some(Ending::Drain) | None => STOP_PATIENCE,
        };
        tokio::time::sleep(patience).await;
    }
}

impl Drop for Waiter<'_> {
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
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// How long a worker does that is replaced by another one: nobody is in a hurry then.
const RETIRE_PATIENCE: Duration = Duration::from_secs(3);
