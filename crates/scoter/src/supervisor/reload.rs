//! Reload: a new generation is up and ready before anybody of the old one goes; one that
//! does not get ready changes nothing.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::oneshot::Sender;
use tracing::{error, info, warn};

use super::reading::Reading;
use super::scaling::Scale;
use super::supervisor::Supervisor;
use super::touch::Watch;
use super::worker::{Phase, Worker};
use crate::config::{Change, Options, Settings};
use crate::control::{ReloadError, ReloadStatus, Reloaded};
use crate::file_limit;
use crate::log;

/// A new generation on its way.
#[derive(Debug)]
pub(super) struct Rollout {
    pub(super) generation: u32,
    /// Whether one of its workers has been ready.
    pub(super) proven: bool,
    begun: Instant,
    /// A new number of workers until the new code has proven itself, the old one from then
    /// on, if they differ.
    pub(super) scale: Option<Scale>,
    needs_restart: Vec<String>,
    /// Where the outcome goes.
    reply: Option<Reply>,
    /// What a signal has asked for meanwhile: the code may have changed since.
    again: Option<Again>,
}

/// What follows a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Reload,
    Upgrade,
}

pub(super) type Reply = Sender<Result<Reloaded, ReloadError>>;

impl Rollout {
    pub(super) fn answer(self, outcome: &Result<Reloaded, ReloadError>) {
        if let Some(reply) = self.reply {
            let _ = reply.send(outcome.clone());
        }
    }

    /// Who waits for the outcome.
    pub(super) fn into_reply(self) -> Option<Reply> {
        self.reply
    }
}

impl Supervisor {
    /// Has the configuration read again, to put a new generation in place of the one that
    /// serves.
    pub(super) fn reload(&mut self, origin: &'static str, reply: Option<Reply>) {
        if let Some(busy) = self.busy() {
            return self.put_off(origin, busy, Again::Reload, reply);
        }
        self.begin_reading(Again::Reload, origin, reply);
    }

    /// What had to be read has been.
    pub(super) fn on_read(&mut self, read: Result<Option<Box<(Settings, Options)>>, String>) {
        self.being_read = None;
        // It may come too late for whoever waited for it.
        let Some(reading) = self.reading.take() else {
            return;
        };
        match read {
            Ok(Some(read)) => self.roll_out(*read, reading),
            Ok(None) => {
                self.early = reading.again;
                self.begin_preflight(reading.origin, reading.reply);
            }
            Err(problem) => {
                self.refuse(reading.origin, problem, reading.reply);
                self.follow(reading.again);
            }
        }
    }

    /// Begins to put a new generation in place.
    fn roll_out(&mut self, (settings, options): (Settings, Options), reading: Reading) {
        let Reading {
            origin,
            reply,
            again,
            ..
        } = reading;
        let changed = Settings::changed(&self.settings, &settings);
        let needs_restart: Vec<_> = Settings::changed(&self.at_start, &settings)
            .iter()
            .filter(|opt| opt.change == Change::Restart)
            .map(|opt| opt.name.to_owned())
            .collect();
        if !needs_restart.is_empty() {
            let options = needs_restart.join(", ");
            warn!(options, "changed, but takes effect only after a restart");
        }
        if options.max_pending > self.options.max_pending {
            file_limit::raise(&options);
            file_limit::warn_if_low(&options);
        }
        let rescaled = changed.iter().any(|opt| opt.name == "workers");
        let scale = rescaled.then(|| Scale::new(options.workers));
        let generation = self.add_generation(settings.clone(), options.clone());
        info!(origin, generation, "reloading");
        self.systemd.reloading("loading new code");
        self.systemd.extend(options.start_timeout.0);
        self.put_in_force(settings, options);
        self.rollout = Some(Rollout {
            generation,
            proven: false,
            begun: Instant::now(),
            scale,
            needs_restart,
            reply,
            again,
        });
    }

    /// Why there can be no reload now.
    pub(super) fn busy(&self) -> Option<&'static str> {
        if self.stopping.is_some() {
            Some("the server stops")
        } else if !self.started {
            Some("the server has not started yet")
        } else if self
            .reading
            .as_ref()
            .is_some_and(|it| it.what == Again::Upgrade)
        {
            Some("an upgrade is running already")
        } else if self.rollout.is_some() || self.reading.is_some() {
            Some("a reload is running already")
        } else if self.preflight.is_some() {
            Some("an upgrade is running already")
        } else {
            None
        }
    }

    /// Somebody who waits for the answer can come again; a signal is not forgotten.
    pub(super) fn put_off(
        &mut self,
        origin: &'static str,
        busy: &str,
        what: Again,
        reply: Option<Reply>,
    ) {
        let rollout = self.rollout.as_mut().map(|rollout| &mut rollout.again);
        let reading = self.reading.as_mut().map(|reading| &mut reading.again);
        match (reply, rollout.or(reading)) {
            (Some(reply), _) => {
                let _ = reply.send(Err(ReloadError::Busy(busy.to_owned())));
            }
            (None, Some(again)) => {
                info!(origin, "another reload follows this one");
                if *again != Some(Again::Upgrade) {
                    *again = Some(what);
                }
            }
            // Whatever it is about may have come too late for what is being loaded.
            (None, None) if self.stopping.is_none() => {
                info!(origin, "put off: {busy}");
                self.early = Some(what);
            }
            (None, None) => warn!(origin, "no reload: {busy}"),
        }
    }

    /// Does what was put off.
    pub(super) fn follow(&mut self, again: Option<Again>) {
        const ORIGIN: &str = "a signal that was put off";
        match again {
            Some(Again::Reload) => self.reload(ORIGIN, None),
            Some(Again::Upgrade) => self.begin_upgrade(ORIGIN, None),
            None => {}
        }
    }

    /// The configuration is no good: nothing has changed.
    pub(super) fn refuse(&mut self, origin: &'static str, problem: String, reply: Option<Reply>) {
        error!(origin, "reload refused, nothing has changed: {problem}");
        // A manager that has asked for the reload waits for both.
        self.systemd.reloading("reload refused");
        self.note_failed_reload(self.next_generation, &problem);
        if let Some(reply) = reply {
            let _ = reply.send(Err(ReloadError::Broken(problem)));
        }
    }

    /// Goes back to the generation that serves. Whoever serves of the other one does so until
    /// the first is complete again.
    pub(super) fn undo(&mut self, rollout: &mut Rollout) {
        if rollout.proven {
            if let Some(scale) = rollout.scale.take() {
                self.scale = scale;
            }
        }
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.generation == rollout.generation && worker.phase == Phase::Starting {
                // A signal would not reach one that is still to be forked, and would cost the
                // requests of one that has just become ready.
                self.retire(index);
            }
        }
        if let Some(current) = self.generation(self.current) {
            // Limits and times of the generation that serves hold again.
            let (settings, options) = (current.settings.clone(), current.options.clone());
            self.put_in_force(settings, options);
        }
    }

    fn put_in_force(&mut self, settings: Settings, options: Options) {
        self.touched = Watch::begin(&options.reload_on_touch, &self.events);
        log::init(options.log_level, options.log_format);
        self.settings = settings;
        self.options = options;
    }

    /// Nothing has changed, and whoever watches is to know.
    pub(super) fn note_failed_reload(&mut self, generation: u32, problem: &str) {
        self.last_reload = Some(ReloadStatus {
            at: Timestamp::now(),
            ok: false,
            generation,
            error: Some(problem.to_owned()),
        });
        self.systemd.ready(&self.summary());
    }

    /// The new code is no good: the old generation serves on.
    pub(super) fn fail_rollout(&mut self, problem: &str) {
        let Some(mut rollout) = self.rollout.take() else {
            return;
        };
        let generation = rollout.generation;
        if rollout.proven {
            error!(
                generation,
                "reload failed half-way, going back to the old generation: {problem}"
            );
        } else {
            error!(
                generation,
                "reload failed, the old code serves on: {problem}"
            );
        }
        self.undo(&mut rollout);
        self.note_failed_reload(generation, problem);
        let again = rollout.again;
        rollout.answer(&Err(ReloadError::Broken(problem.to_owned())));
        self.follow(again);
    }

    /// Notes that the new generation has taken over, once it has.
    pub(super) fn finish_rollout(&mut self) {
        let Some(rollout) = &self.rollout else {
            return;
        };
        let generation = rollout.generation;
        let is_new = |number: u32| number == generation;
        let ready = self
            .workers
            .iter()
            .filter(|worker| is_new(worker.generation) && worker.phase == Phase::Ready);
        let complete = rollout.proven && ready.count() >= self.scale.wanted() as usize;
        // Whoever hears of the end of the reload meets new code only.
        let old = |worker: &Worker| !is_new(worker.generation) && !worker.is_out();
        self.is_last_call = complete && self.workers.iter().any(old);
        if !complete || self.is_last_call {
            return;
        }
        let Some(rollout) = self.rollout.take() else {
            return;
        };
        self.current = generation;
        let took_ms = u64::try_from(rollout.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(generation, took_ms, "reloaded");
        self.last_reload = Some(ReloadStatus {
            at: Timestamp::now(),
            ok: true,
            generation,
            error: None,
        });
        self.systemd.ready(&self.summary());
        let reloaded = Reloaded {
            generation,
            workers: self.scale.wanted(),
            took_ms,
            needs_restart: rollout.needs_restart.clone(),
        };
        let again = rollout.again;
        rollout.answer(&Ok(reloaded));
        self.follow(again);
    }
}
