//! Orders to the master.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::oneshot::Sender;

use super::status::Status;

/// A request to the master, and where its answer goes. Nobody may be there any more to take
/// it: whoever asked can have gone, and what was asked for is done all the same.
#[derive(Debug)]
pub(crate) enum Order {
    /// Tell how things stand. Asked often, and answered at once.
    Status(Sender<Status>),
    /// Put a new generation in place of the serving one; answered when that has happened.
    Reload {
        /// Whether the server itself is started again too, from what is installed now.
        upgrade: bool,
        reply: Sender<Result<Reloaded, ReloadError>>,
    },
    /// Begin to stop; answered when it has begun.
    Stop(Sender<()>),
    /// Keep this many workers. The error says in words for people why not.
    Scale {
        workers: u32,
        reply: Sender<Result<Scaled, String>>,
    },
}

/// A reload that has succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reloaded {
    /// The generation that serves now.
    pub(crate) generation: u32,
    /// How many workers it has.
    pub(crate) workers: u32,
    /// How long it took.
    pub(crate) took_ms: u64,
    /// Options whose new value was read, and waits for a restart.
    pub(crate) needs_restart: Vec<String>,
}

/// Why the serving generation was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ReloadError {
    /// Something else has to end first.
    #[error("{0}")]
    Busy(String),
    /// The new generation cannot serve: a traceback, or what is wrong with the configuration.
    #[error("{0}")]
    Broken(String),
}

/// A new number of workers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Scaled {
    /// How many are wanted now.
    pub(crate) workers: u32,
    /// How many were before.
    pub(crate) before: u32,
}
