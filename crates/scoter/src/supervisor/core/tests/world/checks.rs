//! What must hold at all times, and what must hold in the end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::processes::State;
use super::{Code, World};
use crate::config::Workers;
use crate::control::{Phase, WorkerPhase};
use crate::supervisor::core::Notice;

/// The result of a step's checks.
pub(crate) type Checked = Result<(), String>;

/// Consecutive failed starts of a worker.
#[derive(Debug)]
pub(super) struct FailedStarts {
    count: u32,
    last: Instant,
}

impl FailedStarts {
    /// The minimum pause before the next start, whether or not any worker serves.
    fn pause(&self) -> Duration {
        match self.count {
            0 | 1 => Duration::ZERO,
            more => Duration::from_millis(100 << (more - 2).min(3)),
        }
    }
}

impl World {
    /// Fails if an invariant has been violated.
    pub(crate) fn check(&self) -> Checked {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        for (order, answers) in &self.answers {
            if answers.len() > 1 {
                return Err(format!("order {order:?} was answered twice: {answers:?}"));
            }
        }
        if let (Some(at), None) = (self.stopped_at, self.exit_code) {
            let delays = self.plans.values().filter_map(|plan| plan.drain_delay);
            if self.now.duration_since(at) > MAX_STOP + delays.max().unwrap_or_default() {
                return Err("a stop does not end".to_owned());
            }
        }
        let view = self.supervisor.view(self.now);
        if view
            .range
            .is_some_and(|(min, max)| !(min..=max).contains(&view.wanted))
        {
            return Err(format!(
                "{} workers are wanted of {:?}",
                view.wanted, view.range
            ));
        }
        let restarts = view.restarts.by_reason();
        let restarts: u64 = restarts.iter().map(|(_, count)| count).sum();
        if restarts != view.crashed + view.replaced {
            return Err(format!("restarts have other reasons: {view:?}"));
        }
        if self.exit_code.is_some() && self.alive() > 0 {
            return Err(format!("{} processes are left running", self.alive()));
        }
        Ok(())
    }

    /// Restores good conditions: good code, no frozen processes, every message delivered. Then as
    /// many workers serve as are wanted, of one generation, and every order has been answered.
    pub(crate) fn settle(&mut self) -> Checked {
        self.code = Code::Good;
        self.is_readable = true;
        self.is_release_good = false;
        self.is_anybody_waiting = false;
        self.end_requests();
        self.forks_fail = false;
        for worker in self.workers.values_mut() {
            worker.is_frozen = false;
        }
        for launcher in self.launchers.values_mut() {
            launcher.is_frozen = false;
        }
        let until = self.now + MAX_RECOVERY;
        while self.exit_code.is_none() && self.now < until && self.complaint().is_some() {
            self.run(Duration::from_secs(1));
            self.check()?;
        }
        self.complaint().map_or(Ok(()), Err)
    }

    /// The first condition that does not hold.
    fn complaint(&self) -> Option<String> {
        for (order, answers) in &self.answers {
            if answers.len() != 1 && !(answers.is_empty() && self.exit_code.is_some()) {
                return Some(format!("order {order:?} was answered {answers:?}"));
            }
        }
        if self.exit_code.is_some() {
            return None;
        }
        if self.stopped_at.is_some() {
            return Some("the server does not stop".to_owned());
        }
        let view = self.supervisor.view(self.now);
        let serving = self.serving_generations();
        let wanted = view.wanted as usize;
        let is_well = serving.len() == wanted
            && serving.iter().all(|it| *it == view.generation)
            && view.phase == Phase::Running
            && self.alive() == wanted + 1
            && self.watchdog.is_content(self.now);
        (!is_well).then(|| {
            format!(
                "not well again after {} s: {:?}, {} alive, {serving:?} serve; wanted: {wanted} of \
                 {}",
                self.now.duration_since(self.begun).as_secs(),
                view.phase,
                self.alive(),
                view.generation,
            )
        })
    }

    pub(super) fn violate(&mut self, violation: impl Into<String>) {
        self.violation.get_or_insert_with(|| violation.into());
    }

    /// The supervisor itself never reduces the number of serving workers below the wanted one.
    pub(super) fn check_service(&mut self) {
        let view = self.supervisor.view(self.now);
        let ready = view.workers.iter();
        let is_ready = |phase| phase == WorkerPhase::Ready;
        let ready = ready.filter(|worker| is_ready(worker.phase)).count();
        if ready < view.wanted as usize {
            self.violate(format!(
                "a worker is retired although only {ready} of {} are left",
                view.wanted
            ));
        }
    }

    /// No two workers are recycled at the same time.
    pub(super) fn check_recycling(&mut self, notice: &Notice) {
        match notice {
            Notice::WorkerReplaced { worker, .. } => {
                if let Some(other) = self.recycled.replace(*worker) {
                    self.violate(format!("workers {other} and {worker} are recycled at once"));
                }
            }
            Notice::WorkerDied { worker, .. } | Notice::WorkerEnded { worker, .. } => {
                self.recycled.take_if(|recycled| recycled == worker);
            }
            _ => {}
        }
    }

    /// Records the result of a start.
    pub(super) fn note_start(&mut self, generation: u32, id: u32, has_failed: bool) {
        let (key, now) = ((generation, id), self.now);
        if !has_failed {
            self.failed_starts.remove(&key);
            return;
        }
        let count = self.failed_starts.get(&key).map_or(1, |it| it.count + 1);
        let failed = FailedStarts { count, last: now };
        self.failed_starts.insert(key, failed);
    }

    /// The place of a worker that keeps failing to start is never filled immediately, whatever
    /// happens meanwhile.
    pub(super) fn check_backoff(&mut self, generation: u32, id: u32) {
        let Some(failed) = self.failed_starts.get(&(generation, id)) else {
            return;
        };
        let since = self.now.duration_since(failed.last);
        let count = failed.count;
        if since < failed.pause() {
            self.violate(format!(
                "worker {id} of generation {generation} is forked again {since:?} after its start \
                 has failed for the {count}th time in a row"
            ));
        }
    }

    /// The watchdog is never notified while no worker makes progress.
    pub(super) fn check_watchdog(&mut self) {
        let is_started = self.phase() != Phase::Starting;
        if !self.watchdog.notify(self.now) && is_started {
            self.violate("the watchdog is content although nobody gets on");
        }
    }

    /// There are never more processes than a reload may need.
    pub(super) fn check_numbers(&mut self, generation: u32) {
        let view = self.supervisor.view(self.now);
        let configured = match self.configured.workers {
            Workers::Fixed(number) => number,
            Workers::Range { max, .. } => max,
            Workers::Auto => 0,
        };
        let wanted = view.wanted.max(configured.into()) as usize;
        let counts = |phase| matches!(phase, WorkerPhase::Starting | WorkerPhase::Ready);
        let ours = view.workers.iter().filter(|it| it.generation == generation);
        let there = ours.clone().filter(|it| counts(it.phase)).count();
        let all = view.workers.len();
        if there > wanted + 1 {
            self.violate(format!("{there} workers instead of {wanted}"));
        }
        let is_surge = ours.count() < all && self.served.contains(&generation);
        let proven = view.workers.iter();
        let proven = proven.filter(|it| counts(it.phase) && self.served.contains(&it.generation));
        // Beyond the surge there may be the first worker of new code, and replacements of lost
        // workers that still exist.
        let is_needed = proven.count() <= wanted;
        if is_surge && !is_needed && all > wanted + wanted.div_ceil(2) + 1 {
            let workers = &view.workers;
            self.violate(format!(
                "{all} processes where {wanted} are wanted: {workers:?}"
            ));
        }
    }

    pub(super) fn kill(&mut self, pid: i32) {
        let launcher = self.launchers.iter().find(|(_, it)| it.pid == pid);
        if let Some((serial, _)) = launcher {
            let serial = *serial;
            return self.end_launcher(serial, 9);
        }
        let worker = self.workers.iter().find(|(_, it)| it.pid == Some(pid));
        let Some((serial, worker)) = worker else {
            return;
        };
        let (serial, id) = (*serial, worker.id);
        let is_healthy = worker.state == State::Serving && worker.is_blameless;
        let view = self.supervisor.view(self.now);
        let is_stopping = matches!(view.phase, Phase::Draining | Phase::Stopping);
        // A worker with pending messages is not known to serve.
        let is_heard = self.channels.get(&serial).is_none_or(VecDeque::is_empty);
        let has_launcher = self
            .launchers
            .get(&worker.launcher)
            .is_some_and(|it| it.is_alive && !it.is_frozen);
        if is_healthy && is_heard && has_launcher && !is_stopping && self.exit_code.is_none() {
            let is_known = view
                .workers
                .iter()
                .any(|it| it.serial == serial && it.phase == WorkerPhase::Ready);
            if is_known {
                self.violate(format!("worker {id} is killed although it is well"));
            }
        }
        self.end_worker(serial, 9);
    }
}

/// How long recovery may take under good conditions: the longest pause of a place, and a start
/// after it.
const MAX_RECOVERY: Duration = Duration::from_secs(70);

/// The sum of `--graceful-timeout`, a worker's time beyond it, three kills, and a launcher's time.
const MAX_STOP: Duration = Duration::from_secs(3 + 5 + 4 * 2 + 3 + 2 + 3);
