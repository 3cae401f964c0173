//! Responses on their way out: the part that the application has nothing to do with any more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::debug;
use wsgi_environ::{Completed, End, HeadState, Transport};

use super::Shared;
use super::connection::Connection;
use super::outgoing::{Outgoing, Progress};
use super::waiter::{Waited, Waiter};
use crate::access_log::Entry;

/// A response that only has to be sent, and how its connection ends.
#[derive(Debug)]
pub(crate) struct Departure {
    connection: Arc<Connection>,
    outgoing: Outgoing,
    ending: Ending,
    /// Logged when the last byte is out, or known never to be.
    entry: Option<Entry>,
}

/// How a connection ends once its response is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The peer knows where the response ends, and sends nothing more.
    Close,
    /// The end of the connection is the end of the response, and has to be said: closing
    /// says nothing while a process that the application forked holds the same connection.
    Shutdown,
    /// The peer may still be sending: closing now would reset the connection, and nginx
    /// would lose the response (502, "recv() failed (104: Connection reset by peer)").
    Drain,
    /// The response is broken, and the peer is to notice.
    Abort,
    /// A thread of the application still waits for the request's body.
    Interrupt,
}

impl Departure {
    /// What is left of a response. After an `overrun` the peer may be sending still.
    pub(crate) fn new(
        connection: Arc<Connection>,
        completed: Completed,
        overrun: bool,
        entry: Entry,
    ) -> Self {
        let ending = match completed.end {
            End::PeerGone | End::PeerStalled => Ending::Close,
            End::CutShort => Ending::Abort,
            End::Complete if completed.input.busy => Ending::Interrupt,
            End::Complete if overrun || completed.input.unread > 0 => Ending::Drain,
            End::Complete if completed.head == HeadState::Sent => Ending::Shutdown,
            End::Complete => Ending::Close,
        };
        Self {
            connection,
            outgoing: completed.tail.into(),
            ending,
            entry: Some(entry),
        }
    }

    /// A reply of the server's own; whatever the peer still sends is discarded.
    pub(crate) fn reply(connection: Arc<Connection>, bytes: Vec<u8>) -> Self {
        let ending = if bytes.is_empty() {
            Ending::Close
        } else {
            Ending::Drain
        };
        Self {
            connection,
            outgoing: Outgoing::bytes(bytes),
            ending,
            entry: None,
        }
    }

    /// Sends what can be sent at once. What cannot goes to the reactor; the buffer of the
    /// head comes back if nothing needs it any more.
    pub(crate) fn start(mut self, shared: &Shared) -> Option<Vec<u8>> {
        match self.outgoing.send(&self.connection) {
            Ok(Progress::Done) if self.ending == Ending::Drain => {
                self.connection.shutdown_write();
            }
            Ok(Progress::Done) => return Some(self.end(shared)),
            Ok(Progress::Blocked) => {}
            Err(error) => {
                self.lose(&error);
                return Some(self.end(shared));
            }
        }
        if let Err(departure) = shared.reactor.finish(Box::new(self)) {
            departure.finish_here(shared);
        }
        None
    }

    /// Sends the rest, discards what the peer still sends, and closes.
    pub(crate) async fn finish(mut self, shared: Arc<Shared>, permit: OwnedSemaphorePermit) {
        if let Err(error) = self.send_rest(&shared).await {
            self.lose(&error);
        } else if self.ending == Ending::Drain {
            self.connection.shutdown_write();
            self.drain(&shared).await;
        }
        self.end(&shared);
        drop(permit);
    }

    async fn send_rest(&mut self, shared: &Shared) -> io::Result<()> {
        if self.outgoing.left() == 0 {
            return Ok(());
        }
        if self.outgoing.has_file() {
            return self.send_file().await;
        }
        let connection = Arc::clone(&self.connection);
        let peer = Waiter::new(connection, Interest::WRITABLE, &shared.stop)?;
        loop {
            let deadline = Instant::now() + shared.patience.write;
            let before = self.outgoing.left();
            let outgoing = &mut self.outgoing;
            // Every byte taken renews the deadline, as nginx's send_timeout does.
            let waited = peer.wait(deadline, |peer| match outgoing.send(peer)? {
                Progress::Blocked if outgoing.left() == before => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                progress => Ok(progress),
            });
            match waited.await {
                Waited::Done(Ok(Progress::Done)) => return Ok(()),
                Waited::Done(Ok(Progress::Blocked)) => {}
                Waited::Done(Err(error)) => return Err(error),
                Waited::TimedOut | Waited::Stopping => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// A file may have to be waited for as well, which must not hold up the reactor: a
    /// thread of its own sends it.
    async fn send_file(&mut self) -> io::Result<()> {
        let connection = Arc::clone(&self.connection);
        let mut outgoing = std::mem::take(&mut self.outgoing);
        let (outgoing, sent) = tokio::task::spawn_blocking(move || {
            let sent = send_waiting(&mut outgoing, &connection);
            (outgoing, sent)
        })
        .await
        .map_err(io::Error::other)?;
        self.outgoing = outgoing;
        sent
    }

    async fn drain(&self, shared: &Shared) {
        let connection = Arc::clone(&self.connection);
        let Ok(peer) = Waiter::new(connection, Interest::READABLE, &shared.stop) else {
            return;
        };
        let deadline = Instant::now() + DRAIN_TIME;
        let mut scratch = vec![0; DRAIN_STEP];
        while let Waited::Done(Ok(1..)) =
            peer.wait(deadline, |peer| peer.discard(&mut scratch)).await
        {}
    }

    /// The reactor has no room: the slot waits itself, with the same deadlines.
    fn finish_here(mut self, shared: &Shared) {
        if let Err(error) = send_waiting(&mut self.outgoing, &self.connection) {
            self.lose(&error);
        }
        self.end(shared);
    }

    /// A peer that went away is no error in anyone's log.
    fn lose(&mut self, error: &io::Error) {
        debug!(%error, unsent_bytes = self.outgoing.left(), "response not taken by the peer");
        self.ending = if error.kind() == io::ErrorKind::UnexpectedEof {
            Ending::Abort
        } else {
            Ending::Close
        };
    }

    fn end(self, shared: &Shared) -> Vec<u8> {
        if let Some(entry) = self.entry {
            shared.access_log.write(&entry, self.outgoing.left());
        }
        match self.ending {
            Ending::Abort => self.connection.abort(),
            Ending::Interrupt => self.connection.interrupt(),
            Ending::Shutdown => self.connection.shutdown_write(),
            Ending::Close | Ending::Drain => {}
        }
        self.outgoing.into_buffer()
    }
}

/// Sends everything, blocking with the write deadline.
fn send_waiting(outgoing: &mut Outgoing, connection: &Connection) -> io::Result<()> {
    while outgoing.send(connection)? == Progress::Blocked {
        connection.wait_writable()?;
    }
    Ok(())
}

/// For how long input that nobody reads is discarded.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Bytes discarded at once.
const DRAIN_STEP: usize = 16 * 1_024;
