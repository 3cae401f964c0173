//! A worker's link to the master.

use tracing::debug;

use crate::ipc::channel::Channel;
use crate::ipc::messages::FromWorker;
use crate::net::Listener;
use crate::sys::descriptors::move_up;
use crate::sys::fatal;

/// The master, if there is one.
#[derive(Debug)]
pub(crate) enum MasterLink {
    /// It replaces the worker when that asks for it.
    Channel(Channel),
    /// `--no-master`: whoever started the process sees its exit code.
    None,
}

impl MasterLink {
    /// The same, with a high number for the channel.
    #[must_use]
    pub(crate) fn secured(self) -> Self {
        match self {
            Self::Channel(channel) => Self::Channel(move_up(channel)),
            Self::None => Self::None,
        }
    }

    /// Reports. It never blocks; a master that does not listen is about to be missed.
    pub(crate) fn send(&self, message: &FromWorker) {
        if let Self::Channel(channel) = self {
            if let Err(error) = channel.send(message, &[]) {
                debug!(%error, ?message, "cannot send to the master");
                fatal::examine(NAME, error);
            }
        }
    }
}

/// Whether this process is the first to find that the master is gone without a word, and so the
/// one that logs [`MASTER_GONE`]. To be asked before `listeners` are closed.
pub(crate) fn is_first_to_miss_master(listeners: &[Listener]) -> bool {
    listeners.first().is_none_or(Listener::claim_end)
}

/// Nobody else is left to say it.
pub(crate) const MASTER_GONE: &str = "the master is gone: workers finish what runs, remove the \
     sockets and end (the service manager or the kernel's log may say why)";

/// What the channel is called where it is lost.
pub(crate) const NAME: &str = "channel to the master";
