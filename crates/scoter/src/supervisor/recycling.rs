//! Workers that have served long enough, or grown too large: replaced one at a time, the
//! replacement first.

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tracing::info;

use super::supervisor::Supervisor;
use super::worker::{Phase, Worker};
use crate::config::MaxRss;
use crate::jitter::lengthen;

impl Supervisor {
    /// How long a worker lives that becomes ready now.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let lifetime = self.options.max_lifetime?.0;
        Some(lengthen(lifetime, self.options.recycle_jitter))
    }

    /// Finds workers whose time has come.
    pub(super) fn look_for_recycling(&mut self) {
        let limit = self.rss_limit();
        let now = Instant::now();
        for worker in &mut self.workers {
            worker.rss = worker.pid.and_then(rss).unwrap_or(worker.rss);
            if worker.phase != Phase::Ready || worker.replace.is_some() {
                continue;
            }
            if worker.expires.is_some_and(|expires| expires <= now) {
                worker.replace = Some("max-lifetime".to_owned());
            } else if limit.is_some_and(|limit| worker.rss > limit) {
                worker.replace = Some(format!("max-rss: it holds {} MiB", worker.rss >> 20));
            }
        }
    }

    fn rss_limit(&self) -> Option<u64> {
        Some(match self.options.max_rss? {
            MaxRss::Bytes(bytes) => bytes as u64,
            MaxRss::Percent(percent) => {
                let all = self.coroner.memory_limit().or_else(installed_memory)?;
                all / 100 * u64::from(percent.0)
            }
        })
    }

    /// Begins to replace the next worker that is to be, unless one is being replaced.
    pub(super) fn begin_recycling(&mut self) {
        if self.recycling.is_some() || self.rollout.is_some() {
            return;
        }
        let due = |worker: &&Worker| worker.phase == Phase::Ready && worker.replace.is_some();
        if let Some(worker) = self.workers.iter().find(due) {
            let (id, requests) = (worker.id, worker.requests());
            let reason = worker.replace.as_deref().unwrap_or_default();
            info!(worker = id, reason, requests, "worker is replaced");
            self.recycling = Some(worker.serial);
        }
    }

    /// Whether one worker more is needed, because one still serves that is being replaced.
    pub(super) fn replacement_is_due(&self) -> bool {
        let Some(serial) = self.recycling else {
            return false;
        };
        let mut workers = self.workers.iter();
        workers.any(|worker| worker.serial == serial && worker.counts())
    }
}

/// The resident memory of a process in bytes: the second number of `/proc/PID/statm`, in
/// pages (proc(5)).
fn rss(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn installed_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}
