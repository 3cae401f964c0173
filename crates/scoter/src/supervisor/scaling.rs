//! How many workers there are to be.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::{info, warn};

use super::supervisor::Supervisor;
use super::worker::{Phase, Worker};
use crate::config::Workers;
use crate::control::Scaled;

/// The number of workers, and who decides it.
#[derive(Debug)]
pub(super) struct Scale {
    wanted: u32,
    range: Option<(u32, u32)>,
    /// How often in a row somebody was found waiting while everybody was busy.
    pressure: u32,
    /// Since when one worker less would have done.
    slack: Option<Instant>,
}

impl Scale {
    pub(super) fn new(workers: Workers) -> Self {
        let (wanted, range) = match workers {
            Workers::Auto => (cpus(), None),
            Workers::Fixed(number) => (u32::from(number), None),
            Workers::Range { min, max } => (u32::from(min), Some((u32::from(min), u32::from(max)))),
        };
        Self {
            wanted,
            range,
            pressure: 0,
            slack: None,
        }
    }

    pub(super) fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Whether workers are meant to run beside each other. That one replaces another does
    /// not count.
    pub(super) fn is_multiprocess(&self) -> bool {
        self.wanted > 1 || self.range.is_some()
    }

    pub(super) fn range(&self) -> Option<(u32, u32)> {
        self.range
    }

    /// Takes over what `scoter scale` or the load have made of the same configuration.
    pub(super) fn set(&mut self, wanted: u32) {
        self.wanted = match self.range {
            Some((min, max)) => wanted.clamp(min, max),
            None => wanted.clamp(1, MOST),
        };
    }
}

impl Supervisor {
    /// What a generation is to have, which a reload may change.
    pub(super) fn scale_of(&self, generation: u32) -> &Scale {
        let other = self.rollout.as_ref().and_then(|rollout| {
            let is_new = rollout.generation == generation;
            rollout.scale.as_ref().filter(|_| is_new != rollout.proven)
        });
        other.unwrap_or(&self.scale)
    }

    /// Changes the number of workers for as long as this master runs.
    pub(super) fn scale_to(&mut self, workers: u32) -> Result<Scaled, String> {
        if let Some((min, max)) = self.scale.range {
            return Err(format!(
                "the number of workers follows the load: --workers {min}..{max}"
            ));
        }
        if !(1..=MOST).contains(&workers) {
            return Err(format!("expected a number from 1 to {MOST}"));
        }
        if self.stopping.is_some() {
            return Err("the server stops".to_owned());
        }
        let before = self.scale.wanted;
        self.scale.wanted = workers;
        if before != workers {
            info!(before, workers, "scaled");
        }
        Ok(Scaled { workers, before })
    }

    /// TTIN and TTOU.
    pub(super) fn step(&mut self, by: i32) {
        let workers = self.scale.wanted.saturating_add_signed(by).max(1);
        if let Err(reason) = self.scale_to(workers) {
            warn!(reason, "signal ignored");
        }
    }

    /// Adds a worker when requests wait although nobody is idle; takes one away when all the
    /// work has long fitted into one less, and one is idle.
    pub(super) fn follow_load(&mut self) {
        let Some((min, max)) = self.scale.range else {
            return;
        };
        let ready: Vec<&Worker> = self
            .workers
            .iter()
            .filter(|worker| worker.phase == Phase::Ready)
            .collect();
        if self.stopping.is_some()
            || self.rollout.is_some()
            || ready.len() != self.scale.wanted as usize
        {
            return;
        }
        let running: usize = ready.iter().map(|worker| worker.running().len()).sum();
        let slots: usize = ready.iter().map(|worker| worker.board.cells().len()).sum();
        let idle = ready.iter().any(|worker| worker.is_idle());
        let waiting = running == slots && self.somebody_waits();

        self.scale.pressure = if waiting { self.scale.pressure + 1 } else { 0 };
        if self.scale.pressure >= PRESSURE && self.scale.wanted < max {
            self.scale.pressure = 0;
            self.scale.wanted += 1;
            let workers = self.scale.wanted;
            info!(workers, "requests wait: a worker more");
        }
        // Of what one worker less could run at the same time, half.
        let fits = running * 2 * ready.len() <= slots * (ready.len() - 1);
        if !fits || !idle {
            self.scale.slack = None;
        } else if self.scale.wanted > min {
            let since = *self.scale.slack.get_or_insert_with(Instant::now);
            if since.elapsed() >= SLACK {
                self.scale.slack = None;
                self.scale.wanted -= 1;
                let workers = self.scale.wanted;
                info!(workers, "little to do: a worker less");
            }
        }
    }

    /// Whether a connection is in a listener's queue that nobody has taken.
    fn somebody_waits(&self) -> bool {
        let mut fds: Vec<_> = self
            .listeners
            .iter()
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect();
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// One for each CPU that this process may use: the affinity mask and the quotas of both
/// kinds of cgroups count.
fn cpus() -> u32 {
    std::thread::available_parallelism()
        .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(MOST))
        .min(MOST)
}

/// As many as `--workers` takes.
const MOST: u32 = 1_024;

/// Looks in a row, a tenth of a second apart.
const PRESSURE: u32 = 3;

/// How long there has to be too little to do.
const SLACK: Duration = Duration::from_secs(10);
