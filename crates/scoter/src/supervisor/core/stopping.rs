//! Stopping: report not ready, finish accepted requests, end all processes.

use std::time::{Duration, Instant};

use super::command::{Command, Notification};
use super::lifecycle::{Lifecycle, Reading, Stage, Stopping, Upgrade};
use super::notice::Notice;
use super::origin::Origin;
use super::worker::Phase;
use super::{OVERTIME, Supervisor};
use crate::ipc::messages::{LeaveReason, ToWorker};
use crate::sys::signals::FirstStop;

impl Supervisor {
    /// Begins a stop, or hastens one in progress.
    pub(super) fn stop(&mut self, origin: Origin, now: Instant) {
        if let Lifecycle::Stopping(stopping) = &self.lifecycle {
            if stopping.first.is_repeated_by(origin.signal(), now) {
                return self.log(Notice::StopRepeated(origin));
            }
        }
        if self.lifecycle.is_stopping() {
            self.log(Notice::StoppingAtOnce(origin));
            return self.leave(origin, now);
        }
        let was_started = self.lifecycle.is_started();
        if let Some(request) = self.undo_rollout(now) {
            self.cancel_request(&request);
        }
        let workers = self.workers.iter();
        let graceful = workers.map(|worker| self.graceful_timeout_of(worker.generation));
        let graceful = graceful.max().unwrap_or_default();
        let delay = self.generation(self.current);
        let delay = delay.and_then(|generation| generation.plan.drain_delay);
        let stage = match delay {
            Some(delay) => Stage::Draining { until: now + delay },
            None => Stage::Finishing,
        };
        let stopping = Lifecycle::Stopping(Stopping {
            stage,
            first: FirstStop::new(origin.signal(), now),
            was_started,
        });
        match std::mem::replace(&mut self.lifecycle, stopping) {
            Lifecycle::Reading(Reading { request, .. }) => self.cancel_request(&request),
            Lifecycle::Upgrading(Upgrade { request, .. }) => {
                self.command(Command::KillPreflight);
                self.cancel_request(&request);
            }
            _ => {}
        }
        let time = delay.unwrap_or_default() + graceful + OVERTIME;
        self.notify(Notification::Stopping("finishing running requests"));
        self.notify(Notification::ExtendTimeout(time));
        let workers = self.workers.iter();
        let running = workers.map(|worker| worker.activity.running).sum();
        match delay {
            Some(delay) => self.log(Notice::Draining {
                origin,
                running,
                delay,
            }),
            None => {
                self.log(Notice::Stopping { origin, running });
                self.finish(now);
            }
        }
    }

    pub(super) fn graceful_timeout_of(&self, generation: u32) -> Duration {
        let generation = self.generation(generation);
        generation.map_or(Duration::ZERO, |it| it.plan.graceful_timeout)
    }

    /// Ends `--drain-delay` when it is over.
    pub(super) fn end_draining(&mut self, now: Instant) {
        if let Lifecycle::Stopping(stopping) = &mut self.lifecycle {
            if matches!(stopping.stage, Stage::Draining { until } if now >= until) {
                stopping.stage = Stage::Finishing;
                self.log(Notice::Drained);
                self.finish(now);
            }
        }
    }

    /// Advances a stop as far as possible now.
    pub(super) fn advance_stop(&mut self, now: Instant) {
        if self.workers.is_empty() {
            for generation in std::mem::take(&mut self.generations) {
                self.let_go(generation, now);
            }
            if self.departing.is_empty() {
                return self.exit(0);
            }
        }
        let Lifecycle::Stopping(stopping) = &mut self.lifecycle else {
            return;
        };
        match stopping.stage {
            Stage::Leaving { until } if now >= until => {
                let until = now + LEAVE_TIMEOUT;
                stopping.stage = Stage::Killed { until };
                self.kill_all();
            }
            Stage::Killed { until } if now >= until => {
                let left = self.workers.len() + self.departing.len();
                self.log(Notice::LeftBehind(left));
                self.exit(1);
            }
            _ => {}
        }
    }

    /// Refuses new connections; requests on established ones are still served.
    fn finish(&mut self, now: Instant) {
        self.command(Command::StopListening);
        let is_there = |phase: Phase| self.workers.iter().any(|worker| worker.phase == phase);
        let is_awaited = self.lifecycle.is_started() && !is_there(Phase::Ready);
        if is_awaited && !is_there(Phase::Starting) {
            self.log(Notice::NobodyLeft);
        }
        for index in 0..self.workers.len() {
            let graceful = self.graceful_timeout_of(self.workers[index].generation);
            let worker = &mut self.workers[index];
            worker.deadline = Some(now + graceful + OVERTIME);
            let message = match worker.phase {
                // The replacement of a worker that died has to serve the connections in the queue.
                Phase::Starting if is_awaited => continue,
                // It may serve already; if not, it ends at once.
                Phase::Starting | Phase::Ready | Phase::Retiring | Phase::Stuck => ToWorker::Drain,
            };
            if worker.counts() {
                worker.phase = Phase::Retiring;
            }
            let serial = worker.serial;
            self.tell(serial, message);
        }
    }

    fn leave(&mut self, origin: Origin, now: Instant) {
        self.command(Command::StopListening);
        let reason = match origin.signal() {
            Some(_) => LeaveReason::SecondSignal,
            None => LeaveReason::SecondOrder,
        };
        self.tell_all(ToWorker::Leave(reason));
        if let Lifecycle::Stopping(stopping) = &mut self.lifecycle {
            let until = now + LEAVE_TIMEOUT;
            stopping.stage = match stopping.stage {
                killed @ Stage::Killed { .. } => killed,
                leaving @ Stage::Leaving { .. } => leaving,
                _ => Stage::Leaving { until },
            };
        }
    }
}

/// How long a worker may take to log the requests that it cuts, and end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
