//! The server's status.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Supervisor;
use super::lifecycle::{Lifecycle, Stage};
use super::restarts::Restarts;
use super::silence::Liveness;
use super::worker::{Phase as Doing, Worker};
use crate::control::{Phase, WorkerPhase};

/// The server as the supervisor knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) phase: Phase,
    pub(crate) is_ready: bool,
    /// The generation that serves.
    pub(crate) generation: u32,
    pub(crate) wanted: u32,
    pub(crate) range: Option<(u32, u32)>,
    pub(crate) crashed: u64,
    pub(crate) replaced: u64,
    pub(crate) restarts: Restarts,
    pub(crate) workers: Vec<WorkerView>,
}

/// A worker as the supervisor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerView {
    pub(crate) serial: u64,
    pub(crate) id: u32,
    pub(crate) pid: Option<Pid>,
    pub(crate) generation: u32,
    pub(crate) phase: WorkerPhase,
    pub(crate) age: Duration,
    pub(crate) rss: u64,
}

/// A process of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChildView {
    pub(crate) serial: u64,
    /// Resident memory when it was last measured, in bytes.
    pub(crate) rss: u64,
}

impl Supervisor {
    /// The generation that serves.
    pub(crate) fn current(&self) -> u32 {
        self.current
    }

    /// The worker or launcher with this process ID.
    pub(crate) fn child(&self, pid: Pid) -> Option<ChildView> {
        let launchers = self.generations.iter();
        let launchers = launchers.filter_map(|generation| generation.launcher.as_ref());
        let launchers = launchers.map(|launcher| (launcher.serial, launcher.child.pid, 0));
        let workers = self.workers.iter();
        let workers = workers.map(|worker| (worker.serial, worker.child.pid, worker.rss));
        let departing = self.departing.iter();
        let departing = departing.map(|launcher| (0, Some(launcher.pid), 0));
        let mut all = workers.chain(launchers).chain(departing);
        let (serial, _, rss) = all.find(|(_, it, _)| *it == Some(pid))?;
        Some(ChildView { serial, rss })
    }

    /// The processes of the workers, by their serials.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (u64, Pid)> {
        let workers = self.workers.iter();
        workers.filter_map(|worker| Some((worker.serial, worker.child.pid?)))
    }

    pub(crate) fn view(&self, now: Instant) -> View {
        let phase = self.phase();
        let is_serving = matches!(phase, Phase::Running | Phase::Reloading);
        View {
            phase,
            is_ready: is_serving && self.is_anybody_ready(),
            generation: self.current,
            wanted: self.worker_count.wanted(),
            range: self.worker_count.range(),
            crashed: self.crashed,
            replaced: self.replaced,
            restarts: self.restarts,
            workers: self.workers.iter().map(|it| it.view(now)).collect(),
        }
    }

    fn phase(&self) -> Phase {
        match &self.lifecycle {
            Lifecycle::Starting { .. } => Phase::Starting,
            Lifecycle::Serving | Lifecycle::Upgrading(_) => Phase::Running,
            Lifecycle::Reading(_) | Lifecycle::RollingOut(_) => Phase::Reloading,
            Lifecycle::Stopping(stopping) => match stopping.stage {
                Stage::Draining { .. } => Phase::Draining,
                _ => Phase::Stopping,
            },
            Lifecycle::Over => Phase::Stopping,
        }
    }
}

impl Worker {
    fn view(&self, now: Instant) -> WorkerView {
        WorkerView {
            serial: self.serial,
            id: self.id,
            pid: self.child.pid,
            generation: self.generation,
            phase: match self.phase {
                Doing::Starting => WorkerPhase::Starting,
                Doing::Stuck => WorkerPhase::Stuck,
                _ if self.liveness() != Liveness::Responsive => WorkerPhase::Unresponsive,
                Doing::Ready => WorkerPhase::Ready,
                Doing::Retiring => WorkerPhase::Retiring,
            },
            age: now.saturating_duration_since(self.started),
            rss: self.rss,
        }
    }
}
