//! Changes the wanted number of workers: by order, or by load.

use std::time::{Duration, Instant};

use super::Supervisor;
use super::lifecycle::{Lifecycle, STOPPING};
use super::notice::Notice;
use super::origin::Origin;
use super::worker::{Phase, Worker};
use super::worker_count::{MAX_WORKERS, WorkerCount};
use crate::control::Scaled;

impl Supervisor {
    /// Whether the number of workers follows the load.
    pub(crate) fn follows_load(&self) -> bool {
        self.worker_count.range.is_some()
    }

    /// Whether there are as many workers as the load may ask for, and all their slots are busy.
    pub(crate) fn is_exhausted(&self) -> bool {
        let wanted = self.worker_count.wanted;
        let is_full = |worker: &&Worker| worker.activity.running == worker.activity.slots;
        let ready = self.workers.iter().filter(|it| it.phase == Phase::Ready);
        self.worker_count
            .range
            .is_some_and(|(_, max)| wanted >= max)
            && ready.filter(is_full).count() >= wanted as usize
    }

    /// The number of workers of a generation, which a reload may change.
    pub(super) fn worker_count_of(&self, number: u32) -> &WorkerCount {
        let is_proven = |number| self.generation(number).is_some_and(|it| it.is_proven);
        let other = self.lifecycle.rollout().and_then(|rollout| {
            let is_new = rollout.generation == number;
            let worker_count = rollout.worker_count.as_ref();
            worker_count.filter(|_| is_new != is_proven(rollout.generation))
        });
        other.unwrap_or(&self.worker_count)
    }

    /// Changes the number of workers for the lifetime of this master.
    pub(super) fn scale_to(
        &mut self,
        workers: u32,
        origin: Origin,
        now: Instant,
    ) -> Result<Scaled, String> {
        if let Some((min, max)) = self.worker_count.range {
            return Err(format!(
                "the number of workers follows the load: --workers {min}..{max}"
            ));
        }
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(format!("expected a number from 1 to {MAX_WORKERS}"));
        }
        if self.lifecycle.is_stopping() {
            return Err(STOPPING.to_owned());
        }
        let before = std::mem::replace(&mut self.worker_count.wanted, workers);
        if before != workers {
            self.log(Notice::Scaled {
                origin,
                before,
                workers,
            });
            self.change_places(before, now);
        }
        Ok(Scaled { workers, before })
    }

    /// TTIN and TTOU.
    pub(super) fn step(&mut self, by: i32, origin: Origin, now: Instant) {
        let workers = self.worker_count.wanted.saturating_add_signed(by).max(1);
        if let Err(reason) = self.scale_to(workers, origin, now) {
            self.log(Notice::SignalIgnored { origin, reason });
        }
    }

    /// Adds a worker when requests wait and no slot is idle. Removes an idle one when one worker
    /// less would have been enough for a long time.
    pub(super) fn follow_load(&mut self, is_waiting: bool, now: Instant) {
        let Some((min, max)) = self.worker_count.range else {
            return;
        };
        let workers = self.workers.iter();
        let ready: Vec<_> = workers
            .filter(|worker| worker.phase == Phase::Ready)
            .map(|worker| worker.activity)
            .collect();
        let is_busy = matches!(
            self.lifecycle,
            Lifecycle::RollingOut(_) | Lifecycle::Stopping(_) | Lifecycle::Over
        );
        if is_busy || ready.len() != self.worker_count.wanted as usize {
            return;
        }
        let running: usize = ready.iter().map(|worker| worker.running).sum();
        let slots: usize = ready.iter().map(|worker| worker.slots).sum();
        let is_any_idle = ready.iter().any(|worker| worker.is_idle());
        let is_full = running == slots && is_waiting;

        let count = &mut self.worker_count;
        count.pressure = if is_full { count.pressure + 1 } else { 0 };
        if count.pressure >= PRESSURE && count.wanted < max {
            count.pressure = 0;
            count.wanted += 1;
            let workers = count.wanted;
            self.change_places(workers - 1, now);
            return self.log(Notice::WorkerAdded(workers));
        }
        // Whether the requests take at most half of the slots of one worker less.
        let fits = running * 2 * ready.len() <= slots * (ready.len() - 1);
        if !fits || !is_any_idle {
            count.slack = None;
        } else if count.wanted > min {
            let since = *count.slack.get_or_insert(now);
            if now.saturating_duration_since(since) >= SLACK {
                count.slack = None;
                count.wanted -= 1;
                let workers = count.wanted;
                self.change_places(workers + 1, now);
                self.log(Notice::WorkerRemoved(workers));
            }
        }
    }
}

/// Consecutive checks, a tenth of a second apart.
const PRESSURE: u32 = 3;

/// How long the load must have been low enough.
const SLACK: Duration = Duration::from_secs(10);
