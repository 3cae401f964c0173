//! The server's status.

use std::sync::atomic::Ordering;
use std::time::Instant;

use jiff::Timestamp;
use nix::unistd::Pid;

use super::Runtime;
use crate::control::{
    KeptConnections, ListenerStatus, Responses, SlotStatus, Status, Totals, WorkerStatus,
};
use crate::ipc::scoreboard::Counts;
use crate::supervisor::core::WorkerView;
use crate::supervisor::worker::Worker;
use crate::sys::durations::millis;

impl Runtime {
    pub(super) fn status(&self) -> Status {
        let view = self.core.view(Instant::now());
        let workers = view.workers.iter().filter_map(|known| {
            let worker = self.workers.get(&known.serial)?;
            Some(describe(known, worker))
        });
        let mut workers: Vec<_> = workers.collect();
        workers.sort_by_key(|worker| (worker.id, worker.generation));
        let uptime = Timestamp::now().duration_since(self.started_at);
        let counts = self.counts();
        let (latency, queue) = self.recent.percentiles(&counts);
        let mut totals = Totals {
            responses: Responses::of(&counts),
            crashed: view.crashed,
            replaced: view.replaced,
            ..self.totals()
        };
        totals.kept_connections.idle = self.workers.values().map(idle).sum();
        let serving = self.generations.get(&view.generation);
        let options = serving.map(|serving| &serving.options);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: options.and_then(|options| Some(options.name.as_ref()?.0.clone())),
            pid: rustix::process::getpid().as_raw_pid(),
            generation: view.generation,
            phase: view.phase,
            ready: view.is_ready,
            started_at: self.started_at,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or_default(),
            requests_per_second: self.recent.requests_per_second(),
            latency,
            queue,
            workers_wanted: view.wanted,
            workers_range: view.range.map(|(min, max)| [min, max]),
            keep_alive: options.map(|options| options.keep_alive),
            last_reload: self.last_reload.clone(),
            listeners: self
                .listeners
                .iter()
                .filter(|listener| listener.stays_open())
                .map(|listener| {
                    let backlog = listener.backlog();
                    ListenerStatus {
                        address: listener.address().to_string(),
                        waiting: backlog.map(|backlog| backlog.waiting),
                        capacity: backlog.map(|backlog| backlog.capacity),
                    }
                })
                .collect(),
            totals,
            workers,
        }
    }

    /// What workers have counted, those that have ended included.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.gone.clone();
        for worker in self.workers.values() {
            worker.add_to(&mut totals);
        }
        totals
    }

    /// What workers have counted of finished requests and of refusals, those that have ended
    /// included.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.gone_counts.clone();
        for worker in self.workers.values() {
            counts.add(&worker.board);
        }
        counts
    }
}

/// Kept connections of a worker that wait for their next request.
fn idle(worker: &Worker) -> u64 {
    worker.board.totals().kept.load(Ordering::Relaxed)
}

fn describe(known: &WorkerView, worker: &Worker) -> WorkerStatus {
    let cells = || worker.board.cells().iter().map(|cell| cell.read());
    let mut totals = Totals::default();
    worker.add_to(&mut totals);
    WorkerStatus {
        id: known.id,
        pid: known.pid.map_or(0, Pid::as_raw),
        generation: known.generation,
        phase: known.phase,
        age_ms: millis(known.age),
        requests: totals.requests,
        failed: totals.failed,
        requests_per_second: worker.meter.rate,
        busy_ratio: worker.meter.busy_ratio,
        cpu_ratio: worker.meter.cpu_ratio,
        rss_bytes: Some(known.rss).filter(|rss| *rss > 0),
        timeouts: totals.timeouts,
        peers_gone: totals.peers_gone,
        refused: totals.refused,
        kept_connections: KeptConnections {
            idle: idle(worker),
            ..totals.kept_connections
        },
        slots: (0..)
            .zip(cells())
            .map(|(slot, cell)| SlotStatus::new(slot, cell))
            .collect(),
    }
}
