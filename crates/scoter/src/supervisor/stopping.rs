//! The end: readiness off, what has been accepted finished, processes gone.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::supervisor::{OVERTIME, Supervisor};
use super::worker::Phase;
use crate::control::ReloadError;
use crate::line::ToWorker;
use crate::listen::Listener;

/// A stop on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    /// `--drain-delay`: everything serves on, but whoever asks is told to go elsewhere.
    Draining(Instant),
    /// Requests are finished.
    Finishing,
    /// They are cut; who has not left by then is killed.
    Leaving(Instant),
    /// Everybody has been killed, and has until then to be gone.
    Killed(Instant),
}

impl Stopping {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Draining(at) | Self::Leaving(at) | Self::Killed(at) => Some(at),
            Self::Finishing => None,
        }
    }
}

impl Supervisor {
    /// Begins a stop, or hurries one that has begun.
    pub(super) fn stop(&mut self, origin: &'static str) {
        if self.stopping.is_some() {
            warn!(origin, "stopping at once: a second signal came");
            return self.leave();
        }
        if let Some(rollout) = self.rollout.take() {
            rollout.answer(&Err(ReloadError::Busy("the server stops".to_owned())));
        }
        if let Some(reading) = self.reading.take() {
            reading.cancel();
        }
        if let Some(preflight) = self.preflight.take() {
            preflight.cancel();
        }
        let delay = self.options.drain_delay.map(|delay| delay.0);
        let graceful = self.options.graceful_timeout.0;
        self.systemd.stopping("finishing what runs");
        self.systemd
            .extend(delay.unwrap_or_default() + graceful + OVERTIME);
        let running: usize = self
            .workers
            .iter()
            .map(|worker| worker.running().len())
            .sum();
        let now = Instant::now();
        match delay {
            Some(delay) => {
                let delay_ms = delay.as_millis();
                info!(
                    origin,
                    running, delay_ms, "draining: not ready any more, but serving on"
                );
                self.stopping = Some(Stopping::Draining(now + delay));
            }
            None => {
                info!(origin, running, "stopping: running requests are finished");
                self.finish();
            }
        }
    }

    /// Whether nothing new is begun any more.
    pub(super) fn is_ending(&self) -> bool {
        let stopping = self.stopping.as_ref();
        stopping.is_some_and(|stopping| !matches!(stopping, Stopping::Draining(_)))
    }

    /// Ends `--drain-delay` when it is over.
    pub(super) fn end_draining(&mut self) {
        if let Some(Stopping::Draining(until)) = self.stopping {
            if Instant::now() >= until {
                info!("stopping: running requests are finished");
                self.finish();
            }
        }
    }

    /// Takes a stop as far as it goes now. Returns the exit code at its end.
    pub(super) fn advance_stop(&mut self) -> Option<u8> {
        let now = Instant::now();
        if self.workers.is_empty() {
            for generation in std::mem::take(&mut self.generations) {
                self.let_go(generation);
            }
            if self.departing.is_empty() {
                return Some(0);
            }
        }
        match self.stopping? {
            Stopping::Leaving(until) if now >= until => {
                self.kill_all();
                self.stopping = Some(Stopping::Killed(now + LEAVE_PATIENCE));
            }
            Stopping::Killed(until) if now >= until => {
                let left = self.workers.len() + self.departing.len();
                error!(left, "processes were killed, and are not gone: left behind");
                return Some(1);
            }
            _ => {}
        }
        None
    }

    /// Nobody can connect any more; who has is answered.
    fn finish(&mut self) {
        self.stopping = Some(Stopping::Finishing);
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        let is_there = |phase: Phase| self.workers.iter().any(|worker| worker.phase == phase);
        let is_awaited = self.started && !is_there(Phase::Ready);
        if is_awaited && !is_there(Phase::Starting) {
            warn!("no worker is left to answer who has connected");
        }
        let deadline = Instant::now() + self.options.graceful_timeout.0 + OVERTIME;
        for worker in &mut self.workers {
            worker.deadline = Some(deadline);
            worker.tell(match worker.phase {
                // The replacement of one that died: it has connections to answer.
                Phase::Starting if is_awaited => continue,
                Phase::Starting => ToWorker::Leave,
                Phase::Ready | Phase::Retiring | Phase::Stuck => ToWorker::Drain,
            });
            if worker.counts() {
                worker.phase = Phase::Retiring;
            }
        }
    }

    fn leave(&mut self) {
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        self.tell_all(ToWorker::Leave);
        self.stopping = Some(Stopping::Leaving(Instant::now() + LEAVE_PATIENCE));
    }
}

/// For a worker to say what it cuts, and leave.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);
