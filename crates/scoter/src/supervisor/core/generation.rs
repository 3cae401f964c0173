//! A generation: one state of the code and the configuration, and the launcher that forks
//! its workers.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::KILL_TIMEOUT;
use super::backoff::{Backoff, Service};
use super::child::Child;
use super::plan::Plan;

/// A generation, from its first launcher to its last worker. It keeps the options it was started
/// with; those of another generation never apply to its workers.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) plan: Plan,
    pub(super) launcher: Option<Launcher>,
    /// When the next launcher may be started, after one has died.
    pub(super) backoff: Backoff,
    /// Whether one of its workers has been ready.
    pub(super) is_proven: bool,
    /// Whether it has been logged that its `--max-rss` is too small.
    pub(super) is_rss_reported: bool,
}

/// The process that forks a generation's workers.
#[derive(Debug)]
pub(super) struct Launcher {
    /// Unique among launchers and workers.
    pub(super) serial: u64,
    pub(super) child: Child,
    /// Whether it can fork: with `--preload` the application is loaded.
    pub(super) is_prepared: bool,
    pub(super) started: Instant,
    /// Whether any message has arrived from it.
    pub(super) said_hello: bool,
    /// How many messages have arrived from it.
    pub(super) messages: u64,
}

/// A launcher without workers that has been told to end. It may still run the exit handlers of a
/// preloaded application.
#[derive(Debug)]
pub(super) struct Departing {
    pub(super) pid: Pid,
    /// When it must have ended.
    pub(super) deadline: Instant,
    pub(super) is_killed: bool,
}

impl Generation {
    pub(super) fn new(number: u32, plan: Plan) -> Self {
        Self {
            number,
            plan,
            launcher: None,
            backoff: Backoff::default(),
            is_proven: false,
            is_rss_reported: false,
        }
    }

    /// When its launcher must be prepared.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let launcher = self.launcher.as_ref();
        let loading = launcher.filter(|launcher| !launcher.is_prepared)?;
        Some(loading.started + self.plan.start_timeout + LAST_WORDS)
    }
}

impl Launcher {
    pub(super) fn new(serial: u64, now: Instant) -> Self {
        Self {
            serial,
            child: Child::default(),
            is_prepared: false,
            started: now,
            said_hello: false,
            messages: 0,
        }
    }

    /// What it has done before it ended.
    pub(super) fn service(&self, now: Instant) -> Service {
        Service {
            ready_for: self
                .is_prepared
                .then(|| now.saturating_duration_since(self.started)),
            finished: 0,
        }
    }
}

impl Departing {
    pub(super) fn new(pid: Pid, now: Instant) -> Self {
        Self {
            pid,
            deadline: now + EXIT_TIMEOUT,
            is_killed: false,
        }
    }

    /// A launcher that has been killed.
    pub(super) fn killed(pid: Pid, now: Instant) -> Self {
        Self {
            pid,
            deadline: now + KILL_TIMEOUT,
            is_killed: true,
        }
    }
}

/// How long a process has beyond `--start-timeout` to report where it hangs.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a launcher's exit handlers may take.
const EXIT_TIMEOUT: Duration = Duration::from_secs(3);
