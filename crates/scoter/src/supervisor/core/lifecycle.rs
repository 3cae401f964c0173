//! What the server as a whole is doing.

use std::time::{Duration, Instant};

use super::command::Action;
use super::event::OrderId;
use super::origin::Origin;
use super::worker_count::WorkerCount;
use crate::sys::signals::FirstStop;

/// What the server as a whole is doing: one thing at a time.
#[derive(Debug)]
pub(crate) enum Lifecycle {
    /// Not all workers have been ready yet.
    Starting {
        /// What a signal requested before there was anything to reload.
        next: Option<Action>,
    },
    Serving,
    /// The configuration is being read, for a reload or an upgrade.
    Reading(Reading),
    /// A reload: a new generation is starting.
    RollingOut(Rollout),
    /// The installed release is asked whether it can take over, and does.
    Upgrading(Upgrade),
    Stopping(Stopping),
    /// There is nothing left to supervise.
    Over,
}

/// Who asked for a reload or an upgrade, and what follows it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) origin: Origin,
    /// The order that waits for the outcome.
    pub(super) order: Option<OrderId>,
    /// What a signal has requested meanwhile, because the code may have changed since.
    pub(super) next: Option<Action>,
}

/// A reload or an upgrade that waits for the working directory, and a reload for its
/// configuration.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(super) action: Action,
    pub(super) request: Request,
    /// Whether the current reader serves this request, not an earlier one that was given up.
    pub(super) has_begun: bool,
    pub(super) deadline: Instant,
}

/// A new generation that is replacing the old one.
#[derive(Debug)]
pub(crate) struct Rollout {
    pub(super) generation: u32,
    pub(super) begun: Instant,
    /// A new number of workers until the new code has proven itself, the old one from then
    /// on, if they differ.
    pub(super) worker_count: Option<WorkerCount>,
    pub(super) needs_restart: Vec<String>,
    pub(super) request: Request,
}

/// The installed release that is taking over.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(super) request: Request,
    pub(super) deadline: Instant,
    /// Whether it has said that it can take over.
    pub(super) is_accepted: bool,
}

/// A stop in progress.
#[derive(Debug)]
pub(crate) struct Stopping {
    pub(super) stage: Stage,
    pub(super) first: FirstStop,
    /// Whether all workers had been ready once.
    pub(super) was_started: bool,
}

/// The stages of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// `--drain-delay`: the server continues to serve, but reports that it is not ready.
    Draining { until: Instant },
    /// Requests are finished.
    Finishing,
    /// Requests are cut; processes that still exist at `until` are killed.
    Leaving { until: Instant },
    /// All processes have been killed, and should have ended by `until`.
    Killed { until: Instant },
}

impl Stage {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Draining { until } | Self::Leaving { until } | Self::Killed { until } => {
                Some(until)
            }
            Self::Finishing => None,
        }
    }
}

impl Lifecycle {
    /// Why a reload is not possible now.
    pub(super) fn busy(&self) -> Option<&'static str> {
        match self {
            Self::Serving => None,
            Self::Starting { .. } => Some("the server has not started yet"),
            Self::Reading(reading) if reading.action == Action::Reload => Some(RELOADING),
            Self::RollingOut(_) => Some(RELOADING),
            Self::Reading(_) | Self::Upgrading(_) => Some("an upgrade is already running"),
            Self::Stopping(_) | Self::Over => Some(STOPPING),
        }
    }

    /// Where a signal's request is kept until it can be carried out.
    pub(super) fn next_action(&mut self) -> Option<&mut Option<Action>> {
        match self {
            Self::Starting { next } => Some(next),
            Self::Reading(Reading { request, .. })
            | Self::RollingOut(Rollout { request, .. })
            | Self::Upgrading(Upgrade { request, .. }) => Some(&mut request.next),
            Self::Serving | Self::Stopping(_) | Self::Over => None,
        }
    }

    /// Whether all workers have been ready once.
    pub(super) fn is_started(&self) -> bool {
        match self {
            Self::Starting { .. } => false,
            Self::Stopping(stopping) => stopping.was_started,
            _ => true,
        }
    }

    /// Whether the server is stopping or over.
    pub(super) fn is_ending(&self) -> bool {
        match self {
            Self::Stopping(stopping) => !matches!(stopping.stage, Stage::Draining { .. }),
            Self::Over => true,
            _ => false,
        }
    }

    /// Whether another release may be about to take over.
    pub(super) fn is_upgrading(&self) -> bool {
        match self {
            Self::Reading(reading) => reading.action == Action::Upgrade,
            Self::Upgrading(_) => true,
            _ => false,
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping(_) | Self::Over)
    }

    /// Ends the reading, if one is in progress.
    pub(super) fn take_reading(&mut self) -> Option<Reading> {
        self.take(|lifecycle| match lifecycle {
            Self::Reading(reading) => Ok(reading),
            other => Err(other),
        })
    }

    /// Ends the rollout, if one is in progress.
    pub(super) fn take_rollout(&mut self) -> Option<Rollout> {
        self.take(|lifecycle| match lifecycle {
            Self::RollingOut(rollout) => Ok(rollout),
            other => Err(other),
        })
    }

    /// Ends the upgrade, if one is in progress.
    pub(super) fn take_upgrade(&mut self) -> Option<Upgrade> {
        self.take(|lifecycle| match lifecycle {
            Self::Upgrading(upgrade) => Ok(upgrade),
            other => Err(other),
        })
    }

    /// Returns to serving if `which` matches the current state.
    fn take<T>(&mut self, which: impl FnOnce(Self) -> Result<T, Self>) -> Option<T> {
        match which(std::mem::replace(self, Self::Serving)) {
            Ok(taken) => Some(taken),
            Err(other) => {
                *self = other;
                None
            }
        }
    }

    pub(super) fn rollout(&self) -> Option<&Rollout> {
        match self {
            Self::RollingOut(rollout) => Some(rollout),
            _ => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Reading(reading) => Some(reading.deadline),
            Self::Upgrading(upgrade) => Some(upgrade.deadline),
            Self::Stopping(stopping) => stopping.stage.deadline(),
            _ => None,
        }
    }
}

pub(super) const STOPPING: &str = "the server is stopping";
const RELOADING: &str = "a reload is already running";

/// How long reading the configuration may take.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the installed release may take to report whether it can take over.
pub(super) const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(60);
