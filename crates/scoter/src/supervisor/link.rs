//! The master's end of a channel to a launcher or a worker, and the task that reads it.

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use super::core::Event;
use crate::ipc::channel::{AsyncChannel, Channel, Received};

/// Received events, until the runtime handles them.
pub(super) type Events = mpsc::Sender<Event>;

/// The master's end of a channel. It is read until it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    channel: Arc<AsyncChannel>,
    reader: JoinHandle<()>,
}

impl Link {
    /// Begins to read. `event` converts a message to an event. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// System errors, if no descriptors are available.
    pub(super) fn new<M: DeserializeOwned + Debug + Send + 'static>(
        serial: u64,
        channel: Channel,
        events: Events,
        event: fn(u64, M) -> Event,
    ) -> io::Result<Self> {
        let channel = Arc::new(channel.watch()?);
        let reader = tokio::spawn(read(serial, Arc::clone(&channel), events, event));
        Ok(Self { channel, reader })
    }

    pub(super) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.channel.send(message, fds)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read<M: DeserializeOwned + Debug>(
    serial: u64,
    channel: Arc<AsyncChannel>,
    events: Events,
    event: fn(u64, M) -> Event,
) {
    loop {
        let event = match channel.receive::<M>().await {
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
