//! The end: readiness off, what has been accepted finished, processes gone.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::{info, warn};

use super::supervisor::{OVERTIME, Supervisor};
use super::worker::Phase;
use crate::control::ReloadError;
use crate::line::ToWorker;
use crate::listen::Listener;

/// A stop on its way.
#[derive(Debug)]
pub(super) struct Stopping {
    stage: Stage,
    /// Launchers that have been let go.
    pub(super) launchers: Vec<Pid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `--drain-delay`: everything serves on, but whoever asks is told to go elsewhere.
    Draining(Instant),
    /// Requests are finished.
    Finishing,
    /// They are cut; who has not left by then is killed.
    Leaving(Instant),
    /// The workers are gone; the launchers have until then.
    Launchers(Instant),
}

impl Stopping {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Draining(at) | Stage::Leaving(at) | Stage::Launchers(at) => Some(at),
            Stage::Finishing => None,
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining(_))
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
                self.stopping = Some(Stopping {
                    stage: Stage::Draining(now + delay),
                    launchers: Vec::new(),
                });
            }
            None => {
                info!(origin, running, "stopping: running requests are finished");
                self.stopping = Some(Stopping {
                    stage: Stage::Finishing,
                    launchers: Vec::new(),
                });
                self.finish();
            }
        }
    }

    /// Takes a stop as far as it goes now. Returns the exit code at its end.
    pub(super) fn advance_stop(&mut self) -> Option<u8> {
        let now = Instant::now();
        let stage = self.stopping.as_ref()?.stage;
        match stage {
            Stage::Draining(until) if now >= until => {
                info!("stopping: running requests are finished");
                self.set_stage(Stage::Finishing);
                self.finish();
            }
            Stage::Leaving(until) if now >= until => {
                for worker in &self.workers {
                    worker.signal(Signal::SIGKILL);
                }
                self.set_stage(Stage::Leaving(now + Duration::from_secs(1)));
            }
            Stage::Launchers(until) if now >= until => {
                for launcher in &self.stopping.as_ref()?.launchers {
                    let _ = nix::sys::signal::kill(*launcher, Signal::SIGKILL);
                }
                return Some(0);
            }
            Stage::Launchers(_) => {
                let launchers = &self.stopping.as_ref()?.launchers;
                return launchers.is_empty().then_some(0);
            }
            Stage::Draining(_) | Stage::Finishing | Stage::Leaving(_) => {}
        }
        if self.workers.is_empty() && !self.stopping.as_ref()?.is_draining() {
            let launchers = self.generations.drain(..);
            let launchers: Vec<_> = launchers.filter_map(|gone| gone.launcher).collect();
            let pids = launchers.iter().map(|launcher| launcher.pid).collect();
            if let Some(stopping) = &mut self.stopping {
                stopping.launchers = pids;
                stopping.stage = Stage::Launchers(now + LAUNCHER_PATIENCE);
            }
            return self.stopping.as_ref()?.launchers.is_empty().then_some(0);
        }
        None
    }

    /// Nobody can connect any more; who has is answered.
    fn finish(&mut self) {
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        let deadline = Instant::now() + self.options.graceful_timeout.0 + OVERTIME;
        for worker in &mut self.workers {
            worker.tell(match worker.phase {
                Phase::Starting => ToWorker::Leave,
                Phase::Ready | Phase::Retiring | Phase::Stuck => ToWorker::Drain,
            });
            worker.deadline = Some(deadline);
            if worker.counts() {
                worker.phase = Phase::Retiring;
            }
        }
    }

    fn leave(&mut self) {
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        self.tell_all(ToWorker::Leave);
        self.set_stage(Stage::Leaving(Instant::now() + LEAVE_PATIENCE));
    }

    fn set_stage(&mut self, stage: Stage) {
        if let Some(stopping) = &mut self.stopping {
            stopping.stage = stage;
        }
    }
}

/// For a worker to say what it cuts, and leave.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// For a launcher without workers to run the exit handlers of a preloaded application.
const LAUNCHER_PATIENCE: Duration = Duration::from_secs(3);
