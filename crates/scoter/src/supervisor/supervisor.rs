//! The master's loop: something happens, it is noted, and then what is missing is started
//! and what is too much is retired.

use std::collections::HashMap;
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use rustix::process::set_child_subreaper;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::backoff::Backoff;
use super::event::Event;
use super::generation::{Departing, Generation};
use super::obituary::Coroner;
use super::reading::Reading;
use super::reload::{Again, Rollout};
use super::scaling::Scale;
use super::stopping::Stopping;
use super::systemd::Systemd;
use super::touch::Watch;
use super::upgrade::{Preflight, State};
use super::worker::{Phase, Worker};
use crate::banner;
use crate::config::{Options, Settings};
use crate::control::{self, ControlListener, Order, ReloadStatus, Totals};
use crate::line::{Failed, FromLauncher, FromWorker, ToWorker};
use crate::listen::Listener;
use crate::program::Program;
use crate::signals::Signals;
use crate::start::Opened;

/// Everything the master knows.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) program: Program,
    pub(super) arguments: Vec<OsString>,
    /// As they were at the start: what only a restart changes still holds.
    pub(super) at_start: Settings,
    /// As they were last read and accepted.
    pub(super) settings: Settings,
    pub(super) options: Options,
    pub(super) listeners: Vec<Listener>,
    pub(super) control: Option<Arc<ControlListener>>,
    pub(super) generations: Vec<Generation>,
    pub(super) workers: Vec<Worker>,
    /// The number of the generation that serves.
    pub(super) current: u32,
    /// A reload or an upgrade that has just begun, and what a thread reads for, which may
    /// still be an earlier one.
    pub(super) reading: Option<Reading>,
    pub(super) being_read: Option<Again>,
    pub(super) rollout: Option<Rollout>,
    pub(super) scale: Scale,
    /// The worker that is being replaced, by its serial.
    pub(super) recycling: Option<u64>,
    pub(super) stopping: Option<Stopping>,
    /// Whether a worker has been ready once.
    pub(super) proven: bool,
    /// Whether all workers have been ready once.
    pub(super) started: bool,
    pub(super) started_at: Timestamp,
    /// Why the start failed.
    pub(super) failure: Option<Failed>,
    /// A look at what is installed now, before this program gives way to it.
    pub(super) preflight: Option<Preflight>,
    /// When this program took over from another one.
    pub(super) resumed: Option<Instant>,
    pub(super) systemd: Systemd,
    /// Of the files of `--reload-on-touch`.
    pub(super) touched: Watch,
    pub(super) coroner: Coroner,
    /// When the master last looked for signs of life.
    pub(super) looked: Instant,
    /// Of workers that are gone.
    pub(super) gone: Totals,
    pub(super) last_reload: Option<ReloadStatus>,
    pub(super) next_generation: u32,
    pub(super) next_serial: u64,
    pub(super) events: mpsc::Sender<Event>,
    /// Whether all that a reload still waits for is that old workers stop accepting.
    pub(super) is_last_call: bool,
    /// What a signal asked for before there was anything to reload.
    pub(super) early: Option<Again>,
    /// Whether it has been logged that requests come without variables that every request has.
    pub(super) missing_vars_known: bool,
    /// Launchers that have been let go.
    pub(super) departing: Vec<Departing>,
    /// What the workers' places have been through, by generation and number: that the old
    /// code keeps dying says nothing of the new.
    pub(super) places: HashMap<(u32, u32), Backoff>,
    pub(super) incoming: mpsc::Receiver<Event>,
}

impl Supervisor {
    pub(super) fn new(
        program: Program,
        arguments: Vec<OsString>,
        settings: Settings,
        options: Options,
        opened: Opened,
    ) -> Self {
        let (events, incoming) = mpsc::channel(EVENTS);
        Self {
            program,
            arguments,
            at_start: settings.clone(),
            listeners: opened.listeners,
            control: opened.control.map(Arc::new),
            generations: Vec::new(),
            workers: Vec::new(),
            current: 1,
            reading: None,
            being_read: None,
            rollout: None,
            scale: Scale::new(options.workers),
            recycling: None,
            stopping: None,
            proven: false,
            started: false,
            started_at: Timestamp::now(),
            failure: None,
            preflight: None,
            resumed: None,
            systemd: Systemd::new(),
            touched: Watch::begin(&options.reload_on_touch, &events),
            coroner: Coroner::new(),
            looked: Instant::now(),
            gone: Totals::default(),
            last_reload: None,
            next_generation: 1,
            next_serial: 1,
            events,
            is_last_call: false,
            early: None,
            missing_vars_known: false,
            departing: Vec::new(),
            places: HashMap::new(),
            incoming,
            settings,
            options,
        }
    }

    /// Supervises until there is nothing more to supervise. Returns the exit code.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors or processes to give.
    pub(super) async fn run(&mut self, resumed: Option<State>) -> io::Result<u8> {
        let mut signals = Signals::install()?;
        let mut children = signal(SignalKind::child())?;
        // Workers whose launcher is killed become children of the master.
        set_child_subreaper(Some(rustix::process::getpid()))?;
        let (sender, mut orders) = mpsc::channel(ORDERS);
        let closing = CancellationToken::new();
        let server = self.control.as_ref().map(|listener| {
            tokio::spawn(control::serve(
                Arc::clone(listener),
                sender.clone(),
                closing.clone(),
            ))
        });
        // An upgrade leaves them blocked, so that none is lost in between.
        let _ = SigSet::all().thread_unblock();
        match resumed {
            Some(state) => self.resume(state)?,
            None => self.begin()?,
        }
        // A watchdog may have less patience than we.
        let patience = self.systemd.patience();
        let mut tick = interval(patience.map_or(TICK, |time| (time / 2).min(TICK)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut load = interval(LOAD_TICK);
        load.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let code = loop {
            if let Some(code) = self.reconcile() {
                break code;
            }
            let next_deadline = self.next_deadline();
            let deadline = async {
                match next_deadline {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // What has been said comes before what is missed: after a pause of the whole
                // machine both are there.
                biased;
                Some(event) = self.incoming.recv() => self.on_event(event),
                _ = children.recv() => self.reap(),
                signal = signals.next() => self.on_signal(signal.name),
                Some(order) = orders.recv() => self.on_order(order),
                _ = tick.tick() => self.on_tick(),
                _ = load.tick(), if self.scale.range().is_some() => self.follow_load(),
                () = deadline => self.on_deadline(),
            }
        };
        // Who still waits for an answer learns that there will be none.
        drop(orders);
        closing.cancel();
        if let Some(server) = server {
            let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
        }
        Ok(code)
    }

    /// Removes the sockets.
    pub(super) fn close(&self) {
        if let Some(control) = &self.control {
            control.close();
        }
        self.listeners.iter().for_each(Listener::close_to_newcomers);
    }

    fn begin(&mut self) -> io::Result<()> {
        banner::announce(&self.listeners);
        self.systemd.status("loading the application");
        self.systemd.extend(self.options.start_timeout.0);
        self.current = self.add_generation(self.settings.clone(), self.options.clone());
        Ok(())
    }

    /// Makes a generation, whose launcher is started when next there is time.
    pub(super) fn add_generation(&mut self, settings: Settings, options: Options) -> u32 {
        let number = self.next_generation;
        self.next_generation += 1;
        self.generations.push(Generation {
            number,
            directory: std::env::current_dir().ok(),
            settings,
            options,
            launcher: None,
            backoff: Backoff::default(),
        });
        number
    }

    pub(super) fn generation(&self, number: u32) -> Option<&Generation> {
        let mut generations = self.generations.iter();
        generations.find(|generation| generation.number == number)
    }

    pub(super) fn generation_mut(&mut self, number: u32) -> Option<&mut Generation> {
        let mut generations = self.generations.iter_mut();
        generations.find(|generation| generation.number == number)
    }

    pub(super) fn summary(&self) -> String {
        let (workers, generation) = (self.scale.wanted(), self.current);
        format!("{workers} workers serve generation {generation}")
    }

    pub(super) fn on_event(&mut self, event: Event) {
        match event {
            Event::Launcher(generation, message) => self.on_launcher(generation, message),
            Event::LauncherGone(generation) => {
                let generation = self.generation_mut(generation);
                if let Some(launcher) = generation.and_then(|one| one.launcher.as_mut()) {
                    launcher.silent = true;
                }
                self.judge_exits();
            }
            Event::Worker(serial, message) => self.on_worker(serial, message),
            Event::WorkerGone(serial) => {
                if let Some(worker) = self.worker_mut(serial) {
                    worker.silent = Some(Instant::now());
                    worker.silence.restart();
                }
                self.judge_exits();
            }
            Event::Read(read) => self.on_read(read),
            Event::Touched(path) if self.stopping.is_none() => {
                info!(path = %path.display(), "touched");
                self.reload("--reload-on-touch", None);
            }
            Event::Touched(_) => {}
        }
    }

    fn on_launcher(&mut self, generation: u32, message: FromLauncher) {
        let launcher = self.generation_mut(generation);
        if let Some(launcher) = launcher.and_then(|one| one.launcher.as_mut()) {
            launcher.messages += 1;
        }
        match message {
            FromLauncher::Hello { version } => {
                let launcher = self.generation_mut(generation);
                if let Some(launcher) = launcher.and_then(|one| one.launcher.as_mut()) {
                    launcher.said_hello = true;
                }
                if version != env!("CARGO_PKG_VERSION") {
                    self.meet_other_version(generation, &version);
                }
            }
            FromLauncher::Prepared => {
                if let Some(generation) = self.generation_mut(generation) {
                    if let Some(launcher) = &mut generation.launcher {
                        launcher.prepared = true;
                    }
                }
            }
            FromLauncher::Failed(failed) => self.on_failed_start(generation, &failed),
            FromLauncher::Forked { serial, pid } => {
                if let Some(worker) = self.worker_mut(serial) {
                    worker.pid = Some(Pid::from_raw(pid));
                }
            }
            FromLauncher::ForkFailed { serial, error } => {
                if let Some(index) = self.workers.iter().position(|w| w.serial == serial) {
                    let worker = self.workers.remove(index);
                    self.lose_place(worker.generation, worker.id, worker.service());
                    let message = format!("cannot fork a worker: {error}");
                    self.on_failed_start(generation, &Failed::new(1, &message));
                }
            }
            FromLauncher::Exited { pid, status } => {
                self.on_exit(Pid::from_raw(pid), Some(status));
            }
        }
    }

    fn on_worker(&mut self, serial: u64, message: FromWorker) {
        let patience = self.options.graceful_timeout.0 + OVERTIME;
        let ending = self.is_ending();
        let lifetime = self.lifetime();
        let Some(worker) = self.worker_mut(serial) else {
            return;
        };
        let id = worker.id;
        match message {
            FromWorker::Ready {
                pid,
                application,
                import_ms,
            } => {
                worker.pid = Some(Pid::from_raw(pid));
                if ending {
                    worker.phase = Phase::Retiring;
                    return worker.tell(ToWorker::Drain);
                }
                // One that is to go may have been quicker than the word of it.
                if worker.phase != Phase::Starting {
                    return;
                }
                let ready_ms = worker.started.elapsed().as_millis();
                worker.phase = Phase::Ready;
                worker.ready = Some(Instant::now());
                worker.silence.restart();
                worker.deadline = None;
                worker.expires = lifetime.map(|lifetime| Instant::now() + lifetime);
                let generation = worker.generation;
                if self.started {
                    info!(worker = id, pid, generation, ready_ms, "worker ready");
                } else {
                    debug!(worker = id, pid, ready_ms, "worker ready");
                }
                self.on_ready(generation, &application, import_ms);
            }
            FromWorker::Failed(failed) => worker.failed = Some(failed),
            FromWorker::MissingVars { missing } => {
                if !std::mem::replace(&mut self.missing_vars_known, true) {
                    missing.warn();
                }
            }
            FromWorker::Replace { reason } => {
                worker.replace.get_or_insert(reason);
            }
            FromWorker::Stuck { reason } => {
                warn!(worker = id, reason, "worker is stuck: it is replaced");
                worker.phase = Phase::Stuck;
                worker.deadline = Some(Instant::now() + patience);
                self.gone.replaced += 1;
            }
        }
    }

    fn on_ready(&mut self, generation: u32, application: &str, import_ms: u64) {
        if !self.proven {
            self.proven = true;
            info!(name = application, import_ms, "application loaded");
        }
        self.extend_patience(generation);
        if let Some(rollout) = &mut self.rollout {
            if rollout.generation == generation && !rollout.proven {
                rollout.proven = true;
                if let Some(scale) = &mut rollout.scale {
                    std::mem::swap(&mut self.scale, scale);
                }
                info!(
                    generation,
                    name = application,
                    import_ms,
                    "new code is ready"
                );
            }
        }
    }

    /// A start or a reload that waits for more workers may take as long again.
    fn extend_patience(&mut self, generation: u32) {
        let is_loading = !self.started || self.rollout.is_some();
        let ready = self.workers.iter();
        let ready = ready.filter(|it| it.generation == generation && it.phase == Phase::Ready);
        if is_loading && ready.count() < self.scale.wanted() as usize {
            self.systemd.extend(self.options.start_timeout.0);
        }
    }

    /// A launcher or a worker says why it cannot serve.
    pub(super) fn on_failed_start(&mut self, generation: u32, failed: &Failed) {
        if self.is_ending() {
            return;
        }
        if !self.started {
            self.failure.get_or_insert_with(|| failed.clone());
        } else if self.is_rolling_out(generation) {
            self.fail_rollout(&failed.message);
        } else {
            error!(generation, "a worker could not start: {}", failed.message);
        }
    }

    /// Whether there is a worker that takes requests.
    pub(super) fn is_anybody_ready(&self) -> bool {
        let mut workers = self.workers.iter();
        workers.any(Worker::is_ready)
    }

    /// Whether it is the generation that a reload puts in place.
    pub(super) fn is_rolling_out(&self, generation: u32) -> bool {
        let rollout = self.rollout.as_ref();
        rollout.is_some_and(|rollout| rollout.generation == generation)
    }

    pub(super) fn is_unproven(&self, generation: u32) -> bool {
        let rollout = self.rollout.as_ref();
        rollout.is_some_and(|rollout| rollout.generation == generation && !rollout.proven)
    }

    pub(super) fn worker_mut(&mut self, serial: u64) -> Option<&mut Worker> {
        self.workers
            .iter_mut()
            .find(|worker| worker.serial == serial)
    }

    fn on_signal(&mut self, signal: &'static str) {
        match signal {
            "TERM" | "INT" | "QUIT" => self.stop(signal),
            "HUP" => self.reload(signal, None),
            "USR1" => {
                info!(signal, "logs are reopened");
                self.tell_all(ToWorker::ReopenLogs);
            }
            "USR2" => self.begin_upgrade(signal, None),
            "TTIN" => self.step(1),
            "TTOU" => self.step(-1),
            _ => {}
        }
    }

    fn on_order(&mut self, order: Order) {
        match order {
            Order::Status(reply) => drop(reply.send(self.status())),
            Order::Reload { upgrade, reply } if upgrade => {
                self.begin_upgrade("scoter reload --upgrade", Some(reply));
            }
            Order::Reload { reply, .. } => self.reload("scoter reload", Some(reply)),
            Order::Stop(reply) => {
                self.stop("scoter stop");
                let _ = reply.send(());
            }
            Order::Scale { workers, reply } => drop(reply.send(self.scale_to(workers))),
        }
    }

    fn on_tick(&mut self) {
        self.reap();
        self.systemd.catch_up();
        self.find_vanished();
        self.judge_exits();
        self.limit_preflight();
        for worker in &mut self.workers {
            worker.measure();
        }
        if !self.is_ending() {
            self.look_for_lost();
        }
        if self.stopping.is_some() {
            return;
        }
        self.look_for_recycling();
        if self.makes_progress() {
            self.systemd.feed();
        }
    }

    /// Whether a watchdog may be content: some worker is idle, or finishes requests, and its
    /// reactor runs.
    fn makes_progress(&self) -> bool {
        let Some(patience) = self.systemd.patience() else {
            return false;
        };
        // Workers show that they run about twice in a second.
        let patience = patience.max(TICK);
        !self.started || self.workers.iter().any(|worker| worker.gets_on(patience))
    }

    fn next_deadline(&self) -> Option<Instant> {
        let workers = self.workers.iter().filter_map(|worker| worker.deadline);
        let is_serving = self.is_anybody_ready();
        let places = self.places.values();
        let places = places.filter_map(|place| place.until(is_serving));
        let launchers = self.generations.iter();
        let launchers = launchers.filter_map(|generation| generation.backoff.until(is_serving));
        let stop = self.stopping.and_then(Stopping::deadline);
        let departing = self.departing.iter().map(|launcher| launcher.deadline);
        let loading = self.generations.iter().filter_map(Generation::deadline);
        let reading = self.reading.iter().map(|reading| reading.deadline);
        let all = workers
            .chain(places)
            .chain(launchers)
            .chain(stop)
            .chain(departing);
        let waiting = self.rollout.is_some() && self.is_last_call;
        let last_call = waiting.then(|| Instant::now() + LAST_CALL_STEP);
        all.chain(loading).chain(reading).chain(last_call).min()
    }

    fn on_deadline(&mut self) {
        let now = Instant::now();
        self.end_late_reading();
        let late = |generation: &&Generation| generation.deadline().is_some_and(|at| at <= now);
        let late: Vec<_> = self.generations.iter().filter(late).collect();
        let late: Vec<_> = late.iter().map(|generation| generation.number).collect();
        for generation in late {
            self.give_up_launcher(generation);
        }
        for index in (0..self.workers.len()).rev() {
            if self.workers[index]
                .deadline
                .is_some_and(|deadline| deadline <= now)
            {
                self.end_late_worker(index);
            }
        }
        for launcher in &mut self.departing {
            if launcher.deadline <= now && !launcher.killed {
                warn!(
                    pid = launcher.pid.as_raw(),
                    "a launcher does not end: killed"
                );
                let _ = kill(launcher.pid, Signal::SIGKILL);
                launcher.killed = true;
                launcher.deadline = now + KILL_PATIENCE;
            }
        }
        // What cannot be killed is not waited for.
        self.departing.retain(|launcher| launcher.deadline > now);
    }

    pub(super) fn tell_all(&self, message: ToWorker) {
        for worker in &self.workers {
            worker.tell(message);
        }
    }

    /// Ends everything at once, and waits for nobody.
    pub(super) fn kill_all(&mut self) {
        for worker in &self.workers {
            worker.signal(Signal::SIGKILL);
        }
        for generation in &mut self.generations {
            if let Some(launcher) = &generation.launcher {
                launcher.signal(Signal::SIGKILL);
            }
        }
    }
}

/// How often the master looks around.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// How often it looks at the load, where that decides the number of workers.
const LOAD_TICK: Duration = Duration::from_millis(100);

/// Between looks at workers that are about to stop accepting.
const LAST_CALL_STEP: Duration = Duration::from_millis(2);

/// How long the news of a killed process may take.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// What a worker that ends gets beyond `--graceful-timeout`, which it enforces itself.
pub(super) const OVERTIME: Duration = Duration::from_secs(5);

/// For clients of the control socket to get their last answer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Events and orders that may wait to be dealt with.
const EVENTS: usize = 1_024;
const ORDERS: usize = 16;
