//! Whom a worker reports to.

use tracing::debug;

use crate::line::{FromWorker, Line};

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
