//! What the metrics are made of.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Runtime;
use crate::control::Exposition;
use crate::metrics::{self, Scrape, Usage};
use crate::supervisor::measure;

impl Runtime {
    /// The metrics now, in one of their formats.
    pub(super) fn metrics(&self, exposition: Exposition) -> String {
        let view = self.core.view(Instant::now());
        let mut workers = self.used_by_predecessors();
        for known in &view.workers {
            if let Some(worker) = self.workers.get(&known.serial) {
                workers.entry(known.id).or_default().add(Usage {
                    cpu: worker.meter.cpu,
                    rss_bytes: Some(known.rss).filter(|rss| *rss > 0),
                });
            }
        }
        let this = Pid::this();
        let scrape = Scrape {
            status: self.status(),
            counts: self.counts(),
            restarts: view.restarts.by_reason().into(),
            reloads: self.reloads,
            workers,
            master: Usage {
                cpu: measure::cpu(this),
                rss_bytes: measure::rss(this),
            },
            python: self.python.clone(),
        };
        metrics::text(&scrape, exposition)
    }

    /// What workers that have ended used, by their number.
    fn used_by_predecessors(&self) -> BTreeMap<u32, Usage> {
        let usage = |cpu: &Duration| Usage {
            cpu: Some(*cpu),
            rss_bytes: None,
        };
        let gone = self.gone_cpu.iter();
        gone.map(|(id, cpu)| (*id, usage(cpu))).collect()
    }
}
