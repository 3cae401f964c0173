//! Commands from the supervisor to the runtime.

use std::time::Duration;

use nix::unistd::Pid;

use super::event::OrderId;
use super::notice::Notice;
use crate::control::{ReloadError, Reloaded, Scaled};
use crate::ipc::messages::ToWorker;

/// Something to be done. What becomes of it is told as an [`Event`], where the command can fail.
///
/// [`Event`]: super::Event
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// Keep what was read last as the configuration of this generation.
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
    /// Tell a worker something.
    Tell(u64, ToWorker),
    /// Send SIGKILL to a process.
    Kill(Pid),
    /// Say which requests end with a worker.
    ReportLost(u64),
    /// Close the channel to a launcher or a worker, which has ended or is to end by itself,
    /// and keep the counts of its scoreboard.
    Release(u64),
    /// Refuse new connections, and remove the files of the listening sockets.
    StopListening,
    /// Enter the working directory again, and read the configuration where it is for a reload.
    ReadConfiguration(Action),
    /// Ask the installed release whether it can take over.
    StartPreflight,
    /// End the process that asks.
    KillPreflight,
    /// Handle everything that has been received, then say so.
    Flush,
    /// Replace this program by the installed release.
    ExecNewRelease,
    /// Tell the service manager.
    Notify(Notification),
    /// Keep the outcome of a reload for those who ask for the status.
    NoteReload {
        generation: u32,
        error: Option<String>,
    },
    Answer(OrderId, Answer),
    Log(Notice),
    /// All is over: end with this code.
    Exit(u8),
}

/// What a reload and an upgrade have in common: something must be read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Reload,
    Upgrade,
}

/// A worker that is to be forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewWorker {
    pub(crate) launcher: u64,
    pub(crate) serial: u64,
    pub(crate) id: u32,
    pub(crate) slots: usize,
    /// `wsgi.multiprocess`.
    pub(crate) is_multiprocess: bool,
}

/// What the service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notification {
    Ready(String),
    Reloading(&'static str),
    Stopping(&'static str),
    Status(&'static str),
    /// More time is needed for what is going on, from now.
    ExtendTimeout(Duration),
    Watchdog,
}

/// What an order is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Reload(Result<Reloaded, ReloadError>),
    Stopping,
    Scale(Result<Scaled, String>),
}
