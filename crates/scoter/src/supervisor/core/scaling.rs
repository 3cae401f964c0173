//! Changes the wanted number of workers: by order, or by load.

use std::time::{Duration, Instant};

use super::Supervisor;
use super::lifecycle::{Lifecycle, STOPPING};
use super::notice::Notice;
use super::scale::{MAX_WORKERS, Scale};
use super::worker::Phase;
use crate::control::Scaled;

impl Supervisor {
    /// Whether the number of workers follows the load.
    pub(crate) fn follows_load(&self) -> bool {
        self.scale.range.is_some()
    }

    /// The number of workers of a generation, which a reload may change.
    pub(super) fn scale_of(&self, number: u32) -> &Scale {
        let is_proven = |number| self.generation(number).is_some_and(|it| it.is_proven);
        let other = self.lifecycle.rollout().and_then(|rollout| {
            let is_new = rollout.generation == number;
            let scale = rollout.scale.as_ref();
            scale.filter(|_| is_new != is_proven(rollout.generation))
        });
        other.unwrap_or(&self.scale)
    }

    /// Changes the number of workers for the lifetime of this master.
    pub(super) fn scale_to(&mut self, workers: u32, now: Instant) -> Result<Scaled, String> {
        if let Some((min, max)) = self.scale.range {
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
        let before = std::mem::replace(&mut self.scale.wanted, workers);
        if before != workers {
            self.log(Notice::Scaled { before, workers });
            self.change_places(before, now);
        }
        Ok(Scaled { workers, before })
    }

    /// TTIN and TTOU.
    pub(super) fn step(&mut self, by: i32, now: Instant) {
        let workers = self.scale.wanted.saturating_add_signed(by).max(1);
        if let Err(reason) = self.scale_to(workers, now) {
            self.log(Notice::SignalIgnored(reason));
        }
    }

    /// Adds a worker when requests wait and no slot is idle. Removes an idle one when one worker
    /// less would have been enough for a long time.
    pub(super) fn follow_load(&mut self, is_waiting: bool, now: Instant) {
        let Some((min, max)) = self.scale.range else {
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
        if is_busy || ready.len() != self.scale.wanted as usize {
            return;
        }
        let running: usize = ready.iter().map(|worker| worker.running).sum();
        let slots: usize = ready.iter().map(|worker| worker.slots).sum();
        let is_any_idle = ready.iter().any(|worker| worker.is_idle());
        let is_full = running == slots && is_waiting;

        let scale = &mut self.scale;
        scale.pressure = if is_full { scale.pressure + 1 } else { 0 };
        if scale.pressure >= PRESSURE && scale.wanted < max {
            scale.pressure = 0;
            scale.wanted += 1;
            let workers = scale.wanted;
            self.change_places(workers - 1, now);
            return self.log(Notice::WorkerAdded(workers));
        }
        // Whether the requests take at most half of the slots of one worker less.
        let fits = running * 2 * ready.len() <= slots * (ready.len() - 1);
        if !fits || !is_any_idle {
            scale.slack = None;
        } else if scale.wanted > min {
            let since = *scale.slack.get_or_insert(now);
            if now.saturating_duration_since(since) >= SLACK {
                scale.slack = None;
                scale.wanted -= 1;
                let workers = scale.wanted;
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
