//! Commands from the supervisor to the runtime.

use std::time::Duration;

use nix::unistd::Pid;

use super::event::OrderId;
use super::notice::Notice;
use crate::control::{ReloadError, Reloaded, Scaled};
use crate::ipc::messages::ToWorker;

/// A command for the runtime. If it can fail, an [`Event`] reports the result.
///
/// [`Event`]: super::Event
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// Keep the last configuration read as that of this generation.
    AddGeneration(u32),
    /// Forget the configuration of this generation.
    DropGeneration(u32),
    /// Use the log level and watch the files of this generation's configuration.
    PutInForce(u32),
    /// Start a launcher.
    StartLauncher {
        serial: u64,
        generation: u32,
    },
    /// Have a launcher fork a worker.
    Fork(NewWorker),
    /// Open the error log anew, and have all other processes use it.
    ReopenErrorLog,
    /// Tell a worker something.
    Tell(u64, ToWorker),
    /// Send SIGKILL to a process.
    Kill(Pid),
    /// Log which requests end with a worker.
    ReportLost(u64),
    /// Close the channel to a launcher or a worker that has ended or will end by itself, and keep
    /// the counts of its scoreboard.
    Release(u64),
    /// Refuse new connections, and remove the files of the listening sockets.
    StopListening,
    /// Re-enter the working directory and, for a reload, read the configuration.
    ReadConfiguration(Action),
    /// Ask the installed release whether it can take over.
    StartPreflight,
    /// Kill the preflight process.
    KillPreflight,
    /// Handle all received messages, then report `Flushed`.
    Flush,
    /// Replace this program by the installed release.
    ExecNewRelease,
    /// Notify the service manager.
    Notify(Notification),
    /// Keep the outcome of a reload for the status.
    NoteReload {
        generation: u32,
        error: Option<String>,
    },
    Answer(OrderId, Answer),
    Log(Notice),
    /// Exit with this code. No worker is left, unless it cannot be killed.
    Exit(u8),
}

/// A reload or an upgrade, both of which begin with reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Reload,
    Upgrade,
}

/// A worker to be forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewWorker {
    pub(crate) launcher: u64,
    pub(crate) serial: u64,
    pub(crate) id: u32,
    pub(crate) slots: usize,
    /// `wsgi.multiprocess`.
    pub(crate) is_multiprocess: bool,
}

/// A notification for the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notification {
    Ready(String),
    Reloading(&'static str),
    Stopping(&'static str),
    Status(&'static str),
    /// The current operation needs this much more time, from now.
    ExtendTimeout(Duration),
    Watchdog,
}

/// The result of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Reload(Result<Reloaded, ReloadError>),
    Stopping,
    Scale(Result<Scaled, String>),
}
