//! Whom a worker reports to.

use tracing::debug;

use crate::line::{FromWorker, Line};
use crate::listen::Listener;

/// The master, if there is one.
#[derive(Debug)]
pub(crate) enum Overseer {
    /// It replaces the worker when that asks for it.
    Master(Line),
    /// `--no-master`: whoever started the process sees its exit code.
    Nobody,
}

impl Overseer {
    /// Reports. It never blocks; a master that does not listen is about to be missed.
    pub(crate) fn say(&self, message: &FromWorker) {
        if let Self::Master(line) = self {
            if let Err(error) = line.send(message, &[]) {
                debug!(%error, ?message, "the master was not told");
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
pub(crate) const MASTER_GONE: &str = "the master is gone: workers finish what runs, remove the sockets and end (the \
     service manager or the kernel's log may say why)";
