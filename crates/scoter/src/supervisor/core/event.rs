//! Events from the runtime to the supervisor.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::ipc::messages::{FromLauncher, FromWorker};
use crate::sys::signals::Signal;

/// Something that has happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The server begins.
    Start,
    /// A launcher has sent a message.
    Launcher(u64, FromLauncher),
    /// A worker has sent a message.
    Worker(u64, FromWorker),
    /// The other end of a launcher's or a worker's channel is closed.
    ChannelClosed(u64),
    /// A process has ended.
    Exited(i32, Exit),
    /// A launcher has been started with this process ID.
    LauncherStarted(u64, i32),
    /// A launcher could not be started.
    LauncherNotStarted(u64, String),
    /// A worker could not be ordered from its launcher.
    WorkerNotForked(u64, String),
    /// A signal has arrived.
    Signal(Signal),
    /// An order from the control socket, which waits for its result.
    Order(OrderId, Order),
    /// The working directory has been entered, and the configuration read for a reload, as
    /// [`Command::ReadConfiguration`] asked; or the error.
    ///
    /// [`Command::ReadConfiguration`]: super::Command::ReadConfiguration
    Configuration(Result<Option<Configuration>, String>),
    /// A file of `--reload-on-touch` was touched.
    Touched(PathBuf),
    /// Whether the installed release can take over, or why not.
    Preflight(Result<(), String>),
    /// Everything has been handled that was received before [`Command::Flush`].
    ///
    /// [`Command::Flush`]: super::Command::Flush
    Flushed,
    /// The installed release could not be executed.
    NotExecuted(String),
    /// A second has passed, with these measurements.
    Tick(Measurements),
    /// A tenth of a second has passed: whether a connection waits to be accepted.
    Load { is_waiting: bool },
}

/// The number of an order, which identifies its requester.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OrderId(pub(crate) u64);

/// An order from the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Reload,
    Upgrade,
    Stop,
    Scale(u32),
}

/// The configuration that a reload has read.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) plan: Plan,
    /// Options whose new value takes effect only after a restart.
    pub(crate) needs_restart: Vec<String>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// The wait(2) status; `None` if it was not observed.
    pub(crate) status: Option<i32>,
    /// A description.
    pub(crate) reason: String,
    /// The stack of a crash.
    pub(crate) stack: Option<String>,
}

/// The measurements taken about once a second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measurements {
    pub(crate) workers: Vec<Measurement>,
    /// The memory that the server may use, in bytes, if known.
    pub(crate) memory: Option<u64>,
}

/// The measurements of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) serial: u64,
    pub(crate) process: Process,
    /// Resident memory in bytes.
    pub(crate) rss: Option<u64>,
}

/// Whether a process exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Running,
    /// It has ended, but its parent has not reaped it.
    Zombie,
    Gone,
}

/// The state of a worker according to its scoreboard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Changes about twice a second.
    pub(crate) heartbeat: u64,
    /// Requests started.
    pub(crate) requests: u64,
    /// Slots that are running a request.
    pub(crate) running: usize,
    pub(crate) slots: usize,
}

impl Activity {
    pub(crate) fn is_idle(self) -> bool {
        self.running == 0
    }

    /// Requests that have ended.
    pub(crate) fn finished(self) -> u64 {
        self.requests.saturating_sub(self.running as u64)
    }
}

impl Exit {
    /// The end of a process that was not observed.
    pub(crate) fn unseen() -> Self {
        Self {
            status: None,
            reason: "it has ended, and so has its launcher, which would know why".to_owned(),
            stack: None,
        }
    }

    /// Whether a signal has ended it, or the cause is unknown.
    pub(crate) fn is_killed(&self) -> bool {
        self.status.is_none_or(|status| status & 0x7f != 0)
    }

    /// The exit code of a process that ended by itself.
    pub(crate) fn code(&self) -> Option<i32> {
        let status = self.status.filter(|_| !self.is_killed())?;
        Some(status >> 8 & 0xff)
    }
}
