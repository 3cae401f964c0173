//! Workers that have served long enough, or grown too large: replaced one at a time, the
//! replacement first.

use std::time::Instant;

use super::Supervisor;
use super::notice::Notice;
use super::worker::{Phase, Worker};

impl Supervisor {
    /// Finds workers that have reached a limit of their generation.
    pub(super) fn look_for_recycling(&mut self, memory: Option<u64>, now: Instant) {
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.phase != Phase::Ready || worker.replace.is_some() {
                continue;
            }
            let generation = self.generation(worker.generation);
            let limit = generation.and_then(|generation| generation.plan.rss_limit(memory));
            let worker = &mut self.workers[index];
            if worker.expires.is_some_and(|expires| expires <= now) {
                worker.replace = Some("max-lifetime".to_owned());
            } else if let Some(limit) = limit.filter(|limit| worker.rss > *limit) {
                worker.replace = Some(format!("max-rss: it uses {} MiB", worker.rss >> 20));
                if worker.activity.requests == 0 {
                    self.report_max_rss(index, limit);
                }
            }
        }
    }

    /// Logs, once for each generation, that no worker can stay below the limit.
    fn report_max_rss(&mut self, index: usize, limit: u64) {
        let &Worker {
            id: worker,
            generation,
            rss,
            ..
        } = &self.workers[index];
        let generation = self.generation_mut(generation);
        if generation.is_some_and(|it| !std::mem::replace(&mut it.is_rss_reported, true)) {
            self.log(Notice::MaxRssTooSmall { worker, rss, limit });
        }
    }

    /// Begins to replace the next worker that needs it, unless one is being replaced already.
    pub(super) fn begin_recycling(&mut self) {
        let is_serving = self.lifecycle.is_started() && !self.lifecycle.is_stopping();
        if self.recycling.is_some() || self.lifecycle.rollout().is_some() || !is_serving {
            return;
        }
        let is_due = |worker: &&Worker| worker.is_serving() && worker.replace.is_some();
        if let Some(worker) = self.workers.iter().find(is_due) {
            self.recycling = Some(worker.serial);
            self.log(Notice::WorkerReplaced {
                worker: worker.id,
                reason: worker.replace.clone().unwrap_or_default(),
                requests: worker.activity.requests,
            });
        }
    }

    /// Whether one more worker is needed, because the one being replaced still serves.
    pub(super) fn is_replacement_due(&self) -> bool {
        let Some(serial) = self.recycling else {
            return false;
        };
        let mut workers = self.workers.iter();
        workers.any(|worker| worker.serial == serial && worker.counts())
    }
}
