//! Reload: a new generation is ready before any worker of the old one retires; if it does not
//! become ready, nothing changes.

use std::time::Instant;

use super::Supervisor;
use super::command::{Action, Answer, Command, Notification};
use super::event::{Configuration, OrderId};
use super::lifecycle::{Lifecycle, READ_TIMEOUT, Reading, Request, Rollout, STOPPING};
use super::notice::Notice;
use super::origin::Origin;
use super::worker::{Phase, Worker};
use super::worker_count::WorkerCount;
use crate::control::{ReloadError, Reloaded};
use crate::sys::durations::millis;

impl Supervisor {
    /// Begins a reload: reads the configuration, to replace the serving generation with a new one.
    pub(super) fn reload(&mut self, origin: Origin, order: Option<OrderId>, now: Instant) {
        self.begin_reading(Action::Reload, origin, order, now);
    }

    /// Begins to read what the action needs, unless another operation is in progress.
    pub(super) fn begin_reading(
        &mut self,
        action: Action,
        origin: Origin,
        order: Option<OrderId>,
        now: Instant,
    ) {
        if let Some(busy) = self.lifecycle.busy() {
            return self.defer(action, origin, order, busy);
        }
        self.lifecycle = Lifecycle::Reading(Reading {
            action,
            request: Request {
                origin,
                order,
                next: None,
            },
            has_begun: false,
            deadline: now + READ_TIMEOUT,
        });
        self.read_configuration();
    }

    /// Starts a reader, unless one for an earlier request still hangs. That one may have read
    /// before the last change, so another one follows it.
    fn read_configuration(&mut self) {
        if self.is_reader_busy {
            return;
        }
        if let Lifecycle::Reading(reading) = &mut self.lifecycle {
            reading.has_begun = true;
            let action = reading.action;
            self.is_reader_busy = true;
            self.command(Command::ReadConfiguration(action));
        }
    }

    /// The reading has ended.
    pub(super) fn on_configuration(
        &mut self,
        read: Result<Option<Configuration>, String>,
        now: Instant,
    ) {
        self.is_reader_busy = false;
        match &self.lifecycle {
            Lifecycle::Reading(reading) if reading.has_begun => {}
            _ => return self.read_configuration(),
        }
        let Some(Reading {
            action, request, ..
        }) = self.lifecycle.take_reading()
        else {
            return;
        };
        match (action, read) {
            (Action::Upgrade, Ok(_)) => self.begin_preflight(request, now),
            (Action::Reload, Ok(Some(configuration))) => {
                self.roll_out(configuration, request, now);
            }
            (Action::Reload, Ok(None)) => {
                let problem = "no configuration was read".to_owned();
                self.refuse(action, request, problem, now);
            }
            (_, Err(problem)) => self.refuse(action, request, problem, now),
        }
    }

    /// Gives up a request whose configuration is not read in time.
    pub(super) fn end_late_reading(&mut self, now: Instant) {
        let Some(Reading {
            action,
            request,
            has_begun,
            ..
        }) = self.lifecycle.take_reading()
        else {
            return;
        };
        let what = match action {
            _ if !has_begun => "an earlier reload or upgrade did not finish reading".to_owned(),
            Action::Reload => {
                let file = self.source.display();
                format!("the configuration {file} could not be read")
            }
            Action::Upgrade => "the working directory could not be entered".to_owned(),
        };
        let seconds = READ_TIMEOUT.as_secs();
        let problem =
            format!("{what} within {seconds} seconds\nhint: a file system does not respond");
        self.refuse(action, request, problem, now);
    }

    /// Begins to roll out a new generation.
    fn roll_out(&mut self, configuration: Configuration, request: Request, now: Instant) {
        let Configuration {
            plan,
            needs_restart,
        } = configuration;
        if !needs_restart.is_empty() {
            self.log(Notice::NeedsRestart(needs_restart.clone()));
        }
        let current = self.generation(self.current);
        let is_rescaled = current.is_none_or(|current| current.plan.workers != plan.workers);
        let worker_count = is_rescaled.then(|| WorkerCount::new(&plan));
        let generation = self.add_generation(plan);
        self.log(Notice::Reloading {
            origin: request.origin,
            generation,
        });
        self.notify(Notification::Reloading("loading new code"));
        self.extend_timeout(generation);
        self.lifecycle = Lifecycle::RollingOut(Rollout {
            generation,
            begun: now,
            worker_count,
            needs_restart,
            request,
        });
    }

    /// Handles a request that is not possible now. An order is refused, because its client can
    /// repeat it; a signal is kept for later.
    fn defer(
        &mut self,
        action: Action,
        origin: Origin,
        order: Option<OrderId>,
        busy: &'static str,
    ) {
        if let Some(order) = order {
            let error = ReloadError::Busy(busy.to_owned());
            return self.answer(order, Answer::Reload(Err(error)));
        }
        let follows = matches!(
            self.lifecycle,
            Lifecycle::RollingOut(_) | Lifecycle::Reading(_)
        );
        match self.lifecycle.next_action() {
            Some(next) => {
                if *next != Some(Action::Upgrade) {
                    *next = Some(action);
                }
                self.log(if follows {
                    Notice::ReloadFollows(origin)
                } else {
                    Notice::Deferred { origin, busy }
                });
            }
            None => self.log(Notice::ReloadIgnored { origin, busy }),
        }
    }

    /// Carries out a deferred action.
    pub(super) fn follow(&mut self, next: Option<Action>, now: Instant) {
        if let Some(action) = next {
            self.begin_reading(action, Origin::DeferredSignal, None, now);
        }
    }

    /// Refuses a request because it cannot succeed. Nothing has changed.
    pub(super) fn refuse(
        &mut self,
        action: Action,
        request: Request,
        problem: String,
        now: Instant,
    ) {
        let origin = request.origin;
        // A service manager that requested the reload waits for both notifications.
        let (notice, status) = match action {
            Action::Reload => (
                Notice::ReloadRefused {
                    origin,
                    problem: problem.clone(),
                },
                "reload refused",
            ),
            Action::Upgrade => (
                Notice::UpgradeRefused {
                    origin,
                    problem: problem.clone(),
                },
                "upgrade refused",
            ),
        };
        self.log(notice);
        self.notify(Notification::Reloading(status));
        self.end_request(request, self.next_generation, problem, now);
    }

    /// Informs the requester and the log. Nothing has changed.
    pub(super) fn end_request(
        &mut self,
        request: Request,
        generation: u32,
        problem: String,
        now: Instant,
    ) {
        self.command(Command::NoteReload {
            generation,
            error: Some(problem.clone()),
        });
        self.notify(Notification::Ready(self.summary()));
        if let Some(order) = request.order {
            self.answer(order, Answer::Reload(Err(ReloadError::Broken(problem))));
        }
        self.follow(request.next, now);
    }

    /// Cancels a request because of another one.
    pub(super) fn cancel_request(&mut self, request: &Request) {
        if let Some(order) = request.order {
            let error = ReloadError::Busy(STOPPING.to_owned());
            self.answer(order, Answer::Reload(Err(error)));
        }
    }

    /// Whether a reload is rolling out this generation.
    pub(super) fn is_rolling_out(&self, generation: u32) -> bool {
        let rollout = self.lifecycle.rollout();
        rollout.is_some_and(|rollout| rollout.generation == generation)
    }

    /// Returns to the old generation. Workers of the new one that serve continue until the old one
    /// is complete again. Returns the request.
    pub(super) fn undo_rollout(&mut self, now: Instant) -> Option<Request> {
        let rollout = self.lifecycle.take_rollout()?;
        let number = rollout.generation;
        if self.generation(number).is_some_and(|it| it.is_proven) {
            if let Some(worker_count) = rollout.worker_count {
                self.worker_count = worker_count;
            }
            self.put_in_force(self.current);
        }
        // A worker that has not been forked yet will find the order in its channel; one that has
        // become ready meanwhile finishes its accepted requests.
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.generation == number && worker.phase == Phase::Starting {
                self.retire(index, now);
            }
        }
        Some(rollout.request)
    }

    /// From now on, this generation's options apply to the server as a whole.
    pub(super) fn put_in_force(&mut self, generation: u32) {
        self.command(Command::PutInForce(generation));
    }

    /// Gives up the new code: the old generation continues to serve.
    pub(super) fn fail_rollout(&mut self, problem: &str, now: Instant) {
        let generation = self.target();
        let is_proven = self.generation(generation).is_some_and(|it| it.is_proven);
        let Some(request) = self.undo_rollout(now) else {
            return;
        };
        let problem = problem.to_owned();
        self.log(if is_proven {
            Notice::ReloadFailedHalfWay {
                generation,
                problem: problem.clone(),
            }
        } else {
            Notice::ReloadFailed {
                generation,
                problem: problem.clone(),
            }
        });
        self.end_request(request, generation, problem, now);
    }

    /// Ends the rollout once the new generation has taken over.
    pub(super) fn finish_rollout(&mut self, now: Instant) {
        let Some(rollout) = self.lifecycle.rollout() else {
            return;
        };
        let generation = rollout.generation;
        let is_complete = self.generation(generation).is_some_and(|it| it.is_proven)
            && self.ready(Some(generation)) >= self.worker_count.wanted() as usize;
        // A client that connects after the end of the reload must reach only new code.
        let is_old = |worker: &Worker| worker.generation != generation && !worker.is_out();
        if !is_complete || self.workers.iter().any(is_old) {
            return;
        }
        let Some(rollout) = self.lifecycle.take_rollout() else {
            return;
        };
        self.current = generation;
        let took = now.saturating_duration_since(rollout.begun);
        self.log(Notice::Reloaded { generation, took });
        self.command(Command::NoteReload {
            generation,
            error: None,
        });
        self.notify(Notification::Ready(self.summary()));
        if let Some(order) = rollout.request.order {
            let reloaded = Reloaded {
                generation,
                workers: self.worker_count.wanted(),
                took_ms: millis(took),
                needs_restart: rollout.needs_restart,
            };
            self.answer(order, Answer::Reload(Ok(reloaded)));
        }
        self.follow(rollout.request.next, now);
    }
}
