//! Orders to the master.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::oneshot::Sender;

use super::exposition::Exposition;
use super::stacks::Stacks;
use super::status::Status;

/// A request to the master, with the channel for its result. An order is carried out even if the
/// client has disconnected and the receiver is gone.
#[derive(Debug)]
pub(crate) enum Order {
    /// Report the status. Requested often, and answered immediately.
    Status(Sender<Status>),
    /// Write the metrics; answered immediately.
    Metrics {
        exposition: Exposition,
        reply: Sender<String>,
    },
    /// Write the statistics that uWSGI has, as JSON; answered immediately.
    UwsgiStats(Sender<String>),
    /// Report where the threads of all workers are, or of those with this number. The error is a
    /// message for the user.
    Stacks {
        worker: Option<u32>,
        reply: Sender<Result<Stacks, String>>,
    },
    /// Replace the serving generation with a new one; answered when that is done.
    Reload {
        /// Whether to replace the server itself too, with the release that is installed now.
        upgrade: bool,
        reply: Sender<Result<Reloaded, ReloadError>>,
    },
    /// Begin to stop; answered as soon as that has begun.
    Stop(Sender<()>),
    /// Keep this many workers. The error is a message for the user.
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
    /// Options whose new value takes effect at a restart.
    pub(crate) needs_restart: Vec<String>,
}

/// Why the serving generation was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ReloadError {
    /// Another operation has to end first.
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
    /// The wanted number now.
    pub(crate) workers: u32,
    /// The wanted number before.
    pub(crate) before: u32,
}
