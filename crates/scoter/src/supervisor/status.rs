//! How things stand, for whoever asks.

use jiff::Timestamp;
use nix::unistd::Pid;

use super::liveness::Liveness;
use super::stopping::Stopping;
use super::supervisor::Supervisor;
use super::worker::{Phase as Doing, Worker};
use crate::control::{
    ListenerStatus, Phase, SlotStatus, Status, Totals, WorkerPhase, WorkerStatus, millis,
};

impl Supervisor {
    pub(super) fn status(&self) -> Status {
        let phase = self.phase();
        let mut workers: Vec<_> = self.workers.iter().map(describe).collect();
        workers.sort_by_key(|worker| (worker.id, worker.generation));
        let uptime = Timestamp::now().duration_since(self.started_at);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: rustix::process::getpid().as_raw_pid(),
            generation: self.current,
            phase,
            ready: matches!(phase, Phase::Running | Phase::Reloading) && self.is_anybody_ready(),
            started_at: self.started_at,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or_default(),
            workers_wanted: self.scale.wanted(),
            workers_range: self.scale.range().map(|(min, max)| [min, max]),
            last_reload: self.last_reload.clone(),
            listeners: self
                .listeners
                .iter()
                .map(|listener| ListenerStatus {
                    address: listener.address().to_string(),
                })
                .collect(),
            totals: self.totals(&workers),
            workers,
        }
    }

    fn phase(&self) -> Phase {
        match self.stopping {
            Some(Stopping::Draining(_)) => Phase::Draining,
            Some(_) => Phase::Stopping,
            None if !self.started => Phase::Starting,
            None if self.rollout.is_some() || self.reading.is_some() => Phase::Reloading,
            None => Phase::Running,
        }
    }

    fn totals(&self, workers: &[WorkerStatus]) -> Totals {
        let mut totals = self.gone.clone();
        for worker in workers {
            totals.requests += worker.requests;
            totals.failed += worker.failed;
            totals.refused += worker.refused;
            totals.timeouts += worker.timeouts;
            totals.peers_gone += worker.peers_gone;
        }
        totals
    }
}

fn describe(worker: &Worker) -> WorkerStatus {
    let cells = || worker.board.cells().iter().map(|cell| cell.read());
    let (refused, timeouts, peers_gone) = worker.totals();
    WorkerStatus {
        id: worker.id,
        pid: worker.pid.map_or(0, Pid::as_raw),
        generation: worker.generation,
        phase: match worker.phase {
            Doing::Starting => WorkerPhase::Starting,
            Doing::Stuck => WorkerPhase::Stuck,
            _ if worker.liveness() != Liveness::Responsive => WorkerPhase::Unresponsive,
            Doing::Ready => WorkerPhase::Ready,
            Doing::Retiring => WorkerPhase::Retiring,
        },
        age_ms: millis(worker.started.elapsed()),
        requests: worker.requests(),
        failed: cells().map(|cell| cell.failed).sum(),
        requests_per_second: worker.meter.rate,
        busy_ratio: worker.meter.busy_ratio,
        rss_bytes: Some(worker.rss).filter(|rss| *rss > 0),
        timeouts,
        peers_gone,
        refused,
        slots: (0..)
            .zip(cells())
            .map(|(slot, cell)| SlotStatus::new(slot, cell))
            .collect(),
    }
}
