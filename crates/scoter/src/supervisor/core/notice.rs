//! Notices for the log.

use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;

use super::origin::Origin;
use crate::request_head::MissingVars;

/// A message for the error log, without its wording.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Notice {
    ApplicationLoaded {
        name: String,
        import_ms: u64,
    },
    WorkerReady {
        worker: u32,
        pid: i32,
        generation: u32,
        ready: Duration,
        /// Whether it is one of the first workers, which are announced together.
        is_first: bool,
    },
    Ready {
        workers: u32,
        threads: usize,
    },
    StartFailed(String),
    VarsMissing(MissingVars),
    ClockMissing,
    LogsReopened(Origin),

    WorkerNotStarted {
        generation: u32,
        problem: String,
    },
    WorkerStuck {
        worker: u32,
        reason: String,
    },
    WorkerUnresponsive {
        worker: u32,
        pid: Option<Pid>,
        reason: &'static str,
    },
    WorkerDied {
        worker: u32,
        pid: Option<Pid>,
        reason: String,
        stack: Option<String>,
    },
    WorkerCrashedAtItsEnd {
        worker: u32,
        pid: Option<Pid>,
        stack: String,
    },
    WorkerLate(u32),
    WorkerGivenUp(u32),
    WorkerRetires {
        worker: u32,
        generation: u32,
    },
    WorkerEnded {
        worker: u32,
        pid: Option<Pid>,
    },
    PlaceStaysEmpty {
        worker: u32,
        pause: Duration,
    },
    WorkerReplaced {
        worker: u32,
        reason: String,
        requests: u64,
    },
    /// Both in bytes.
    MaxRssTooSmall {
        worker: u32,
        rss: u64,
        limit: u64,
    },

    LauncherDied {
        generation: u32,
        pid: Option<Pid>,
        reason: String,
        pause: Duration,
        stack: Option<String>,
    },
    LauncherSignalled {
        generation: u32,
    },
    LauncherSilent {
        worker: u32,
        generation: u32,
    },
    LauncherUnresponsive {
        generation: u32,
        pid: Option<Pid>,
    },
    LauncherLate(Pid),

    Touched(PathBuf),
    Reloading {
        origin: Origin,
        generation: u32,
    },
    NeedsRestart(Vec<String>),
    NewCodeReady {
        generation: u32,
        name: String,
        import_ms: u64,
    },
    Reloaded {
        generation: u32,
        took: Duration,
    },
    ReloadRefused {
        origin: Origin,
        problem: String,
    },
    ReloadFailed {
        generation: u32,
        problem: String,
    },
    ReloadFailedHalfWay {
        generation: u32,
        problem: String,
    },
    ReloadFollows(Origin),
    Deferred {
        origin: Origin,
        busy: &'static str,
    },
    ReloadIgnored {
        origin: Origin,
        busy: &'static str,
    },

    Upgrading(Origin),
    UpgradeRefused {
        origin: Origin,
        problem: String,
    },
    OtherRelease(String),
    TakenOver,

    Scaled {
        origin: Origin,
        before: u32,
        workers: u32,
    },
    SignalIgnored {
        origin: Origin,
        reason: String,
    },
    WorkerAdded(u32),
    WorkerRemoved(u32),

    Draining {
        origin: Origin,
        running: usize,
        delay: Duration,
    },
    Drained,
    Stopping {
        origin: Origin,
        running: usize,
    },
    StopRepeated(Origin),
    StoppingAtOnce(Origin),
    NobodyLeft,
    LeftBehind(usize),
}
