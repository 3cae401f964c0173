//! Handles messages from launchers and workers.

use std::time::Instant;

use nix::unistd::Pid;

use super::command::Command;
use super::lifecycle::{Lifecycle, PREFLIGHT_TIMEOUT};
use super::notice::Notice;
use super::origin::Origin;
use super::worker::{Phase, Worker};
use super::{OVERTIME, Supervisor};
use crate::ipc::messages::{Failed, FromLauncher, FromWorker, ToWorker};

impl Supervisor {
    pub(super) fn on_launcher(&mut self, serial: u64, message: FromLauncher, now: Instant) {
        let Some(generation) = self.generation_of(serial) else {
            return;
        };
        let number = generation.number;
        if let Some(launcher) = &mut generation.launcher {
            launcher.messages += 1;
            match message {
                FromLauncher::Hello { .. } => launcher.said_hello = true,
                FromLauncher::Prepared => launcher.is_prepared = true,
                _ => {}
            }
        }
        match message {
            FromLauncher::Hello { version } => {
                if version != env!("CARGO_PKG_VERSION") {
                    self.meet_other_version(number, &version, now);
                }
            }
            FromLauncher::Prepared => {}
            FromLauncher::Failed(failed) => self.on_failed_start(number, &failed, now),
            FromLauncher::Forked { serial, pid } => {
                if let Some(worker) = self.worker_mut(serial) {
                    worker.child.pid = Some(Pid::from_raw(pid));
                }
            }
            FromLauncher::ForkFailed { serial, error } => {
                if let Some(worker) = self.remove_worker(serial) {
                    let service = worker.service(now);
                    self.lose_place(worker.generation, worker.id, service, now);
                    let message = format!("cannot fork a worker: {error}");
                    self.on_failed_start(number, &Failed::new(1, &message), now);
                }
            }
            // The runtime reports it like every other exit.
            FromLauncher::Exited { .. } => {}
        }
    }

    pub(super) fn on_launcher_started(&mut self, serial: u64, pid: i32) {
        let generation = self.generation_of(serial);
        if let Some(launcher) = generation.and_then(|it| it.launcher.as_mut()) {
            launcher.child.pid = Some(Pid::from_raw(pid));
        }
    }

    pub(super) fn on_launcher_not_started(&mut self, serial: u64, problem: &str, now: Instant) {
        let Some(generation) = self.generation_of(serial) else {
            return;
        };
        generation.launcher = None;
        generation.backoff.note_failed_start(now);
        let number = generation.number;
        let message = format!("cannot start a launcher: {problem}");
        self.on_failed_start(number, &Failed::new(1, &message), now);
    }

    pub(super) fn on_worker_not_forked(&mut self, serial: u64, problem: &str, now: Instant) {
        let Some(worker) = self.remove_worker(serial) else {
            return;
        };
        self.withdraw_forks(worker.generation);
        if let Some(generation) = self.generation_mut(worker.generation) {
            generation.backoff.note_failed_start(now);
        }
        let message = format!("cannot start a worker: {problem}");
        self.on_failed_start(worker.generation, &Failed::new(1, &message), now);
    }

    /// The following orders would fail for the same reason, so they are repeated later.
    fn withdraw_forks(&mut self, generation: u32) {
        let mut withdrawn = Vec::new();
        let workers = &self.workers;
        self.commands.retain(|command| {
            let Command::Fork(new) = command else {
                return true;
            };
            let is_its = |worker: &Worker| worker.serial == new.serial;
            let worker = workers.iter().find(|worker| is_its(worker));
            let is_kept = worker.is_none_or(|worker| worker.generation != generation);
            if !is_kept {
                withdrawn.push(new.serial);
            }
            is_kept
        });
        self.workers
            .retain(|worker| !withdrawn.contains(&worker.serial));
    }

    pub(super) fn on_channel_closed(&mut self, serial: u64, now: Instant) {
        if let Some(worker) = self.worker_mut(serial) {
            worker.child.note_channel_closed(now);
        } else if let Some(generation) = self.generation_of(serial) {
            if let Some(launcher) = &mut generation.launcher {
                launcher.child.note_channel_closed(now);
            }
        }
        self.judge_exits(now);
    }

    pub(super) fn on_worker(&mut self, serial: u64, message: FromWorker, now: Instant) {
        let is_ending = self.lifecycle.is_ending();
        let is_first = !self.lifecycle.is_started();
        let Some(index) = self
            .workers
            .iter()
            .position(|worker| worker.serial == serial)
        else {
            return;
        };
        let generation = self.workers[index].generation;
        let plan = self.generation(generation).map(|it| it.plan.clone());
        let worker = &mut self.workers[index];
        let id = worker.id;
        match message {
            FromWorker::Ready {
                pid,
                application,
                import_ms,
            } => {
                worker.child.pid = Some(Pid::from_raw(pid));
                if is_ending {
                    worker.phase = Phase::Retiring;
                    return self.tell(serial, ToWorker::Drain);
                }
                // A worker that is to retire may have become ready before it received the order.
                if worker.phase != Phase::Starting {
                    return;
                }
                worker.phase = Phase::Ready;
                worker.ready = Some(now);
                worker.child.silence.restart();
                worker.deadline = None;
                let lifetime = plan.and_then(|plan| {
                    let jitter = plan.recycle_jitter.fraction() * (self.random)();
                    plan.max_lifetime.map(|time| time.mul_f64(1.0 + jitter))
                });
                worker.expires = lifetime.map(|lifetime| now + lifetime);
                let ready = now.saturating_duration_since(worker.started);
                // It became ready but has already ended, which proves nothing.
                if worker.child.has_exited() {
                    return;
                }
                self.log(Notice::WorkerReady {
                    worker: id,
                    pid,
                    generation,
                    ready,
                    is_first,
                });
                self.on_ready(generation, application, import_ms);
            }
            FromWorker::Failed(failed) => worker.failed = Some(failed),
            FromWorker::MissingVars { missing } => {
                if !std::mem::replace(&mut self.missing_vars_known, true) {
                    self.log(Notice::VarsMissing(missing));
                }
            }
            FromWorker::MissingClock => {
                if self.clock_missed_by.replace(generation) != Some(generation) {
                    self.log(Notice::ClockMissing);
                }
            }
            FromWorker::Replace { reason } => {
                worker.replace.get_or_insert(reason);
            }
            FromWorker::NotAccepting => worker.is_accepting = false,
            // The runtime acts on them.
            FromWorker::Imported { .. } | FromWorker::Broken { .. } => {}
            // Another of its requests cannot be ended: it is being replaced already.
            FromWorker::Stuck { .. } if worker.phase == Phase::Stuck => {}
            FromWorker::Stuck { reason } => {
                worker.phase = Phase::Stuck;
                let graceful = plan.map_or(OVERTIME, |plan| plan.graceful_timeout + OVERTIME);
                worker.deadline = Some(now + graceful);
                self.replaced += 1;
                self.restarts.request_timeout += 1;
                self.log(Notice::WorkerStuck { worker: id, reason });
            }
        }
    }

    fn on_ready(&mut self, number: u32, name: String, import_ms: u64) {
        let Some(generation) = self.generation_mut(number) else {
            return;
        };
        let was_proven = std::mem::replace(&mut generation.is_proven, true);
        match &mut self.lifecycle {
            _ if was_proven => {}
            Lifecycle::RollingOut(rollout) if rollout.generation == number => {
                if let Some(worker_count) = &mut rollout.worker_count {
                    std::mem::swap(&mut self.worker_count, worker_count);
                }
                self.put_in_force(number);
                self.log(Notice::NewCodeReady {
                    generation: number,
                    name,
                    import_ms,
                });
            }
            Lifecycle::Starting { .. } => {
                self.log(Notice::ApplicationLoaded { name, import_ms });
            }
            _ => {}
        }
        self.extend_loading(number);
    }

    /// Extends the deadline of a start or a reload that waits for more workers.
    fn extend_loading(&mut self, generation: u32) {
        let is_loading = !self.lifecycle.is_started() || self.lifecycle.rollout().is_some();
        if is_loading && self.ready(Some(generation)) < self.worker_count.wanted() as usize {
            self.extend_timeout(generation);
        }
    }

    /// A launcher or a worker reports why it cannot serve.
    pub(super) fn on_failed_start(&mut self, generation: u32, failed: &Failed, now: Instant) {
        if self.lifecycle.is_ending() {
            return;
        }
        if !self.lifecycle.is_started() {
            self.failure.get_or_insert_with(|| failed.clone());
        } else if self.is_rolling_out(generation) {
            self.fail_rollout(&failed.message, now);
        } else {
            let problem = failed.message.clone();
            self.log(Notice::WorkerNotStarted {
                generation,
                problem,
            });
        }
    }

    /// A launcher is of another release than this master, because the package has been replaced.
    fn meet_other_version(&mut self, generation: u32, version: &str, now: Instant) {
        // Channels connect only processes of the same release.
        self.dismiss_launcher(generation, now);
        if self.lifecycle.is_upgrading() {
            return;
        }
        let just_resumed = self
            .resumed
            .is_some_and(|at| now.saturating_duration_since(at) < PREFLIGHT_TIMEOUT);
        if just_resumed || !self.lifecycle.is_started() {
            let ours = env!("CARGO_PKG_VERSION");
            let message =
                format!("the installation is inconsistent: releases {ours} and {version}");
            return self.on_failed_start(generation, &Failed::new(1, &message), now);
        }
        self.log(Notice::OtherRelease(version.to_owned()));
        let (order, next) = match self.undo_rollout(now) {
            Some(request) => (request.order, request.next),
            None => (None, None),
        };
        self.upgrade(Origin::NewRelease, order, now);
        if let (Some(next), Some(kept)) = (next, self.lifecycle.next_action()) {
            kept.get_or_insert(next);
        }
    }
}
