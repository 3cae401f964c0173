//! The master's end of a channel to a launcher or a worker, and the task that reads it.

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use super::core::Event;
use crate::ipc::channel::{Line, Received};

/// What is received, until the runtime handles it.
pub(super) type Events = mpsc::Sender<Event>;

/// The master's end of a channel. It is read until it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    line: Arc<AsyncFd<Line>>,
    reader: JoinHandle<()>,
}

impl Link {
    /// Begins to read. `event` makes the event of a message. To be called within a runtime.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors to give.
    pub(super) fn new<M: DeserializeOwned + Debug + Send + 'static>(
        serial: u64,
        line: Line,
        events: Events,
        event: fn(u64, M) -> Event,
    ) -> io::Result<Self> {
        let line = Arc::new(line.watch()?);
        let reader = tokio::spawn(read(serial, Arc::clone(&line), events, event));
        Ok(Self { line, reader })
    }

    pub(super) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.line.get_ref().send(message, fds)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.get_ref().as_fd()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read<M: DeserializeOwned + Debug>(
    serial: u64,
    line: Arc<AsyncFd<Line>>,
    events: Events,
    event: fn(u64, M) -> Event,
) {
    loop {
        let received = line.async_io(Interest::READABLE, Line::receive::<M>).await;
        let event = match received {
            Ok(Received::Message(message, _)) => event(serial, message),
            Ok(Received::End) => Event::ChannelClosed(serial),
            Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                warn!(%error, "the channel to a child is broken");
                Event::ChannelClosed(serial)
            }
            Err(error) => {
                warn!(%error, "invalid message from a child");
                continue;
            }
        };
        let is_last = matches!(event, Event::ChannelClosed(_));
        if events.send(event).await.is_err() || is_last {
            return;
        }
    }
}
