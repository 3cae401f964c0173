//! The master's decisions: plain data and arithmetic.
//!
//! [`Supervisor::handle`] takes events and [`Supervisor::handle_timeout`] the passage of time;
//! [`Supervisor::next_timeout`] returns when to call that again, and
//! [`Supervisor::next_command`] what to do. There are no system calls, clocks or logs in here,
//! so that every race can be a unit test.

mod backoff;
mod child;
mod command;
mod event;
mod exits;
mod generation;
mod lifecycle;
mod liveness;
mod messages;
mod notice;
mod origin;
mod places;
mod plan;
mod reconcile;
mod recycling;
mod reload;
mod restarts;
mod scaling;
mod silence;
mod state;
mod stopping;
mod surge;
mod timeouts;
mod upgrade;
mod view;
mod worker;
mod worker_count;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::ipc::messages::{Failed, ToWorker};
use crate::sys::signals::Signal;
use child::Child;
use generation::{Departing, Generation};
use lifecycle::Lifecycle;
use places::Places;
use worker::Worker;
use worker_count::WorkerCount;

pub(crate) use command::{Action, Answer, Command, NewWorker, Notification};
pub(crate) use event::{
    Activity, Configuration, Event, Exit, Measurement, Measurements, Order, OrderId, Process,
};
pub(crate) use notice::Notice;
pub(crate) use origin::Origin;
pub(crate) use plan::Plan;
pub(crate) use restarts::Restarts;
pub(crate) use state::State;
pub(crate) use view::WorkerView;

/// Everything the master knows and wants.
#[derive(Debug)]
pub(crate) struct Supervisor {
    lifecycle: Lifecycle,
    generations: Vec<Generation>,
    workers: Vec<Worker>,
    /// Launchers that have been dismissed.
    departing: Vec<Departing>,
    /// The number of the generation that serves.
    current: u32,
    worker_count: WorkerCount,
    /// The worker that is being replaced, by its serial.
    recycling: Option<u64>,
    places: Places,
    /// Whether the configuration is being read, even if its requester has given up.
    is_reader_busy: bool,
    /// Why the start failed.
    failure: Option<Failed>,
    /// When this program took over from another one.
    resumed: Option<Instant>,
    /// Whether missing variables in requests have been logged.
    missing_vars_known: bool,
    /// The last generation whose requests come without the front end's clock.
    clock_missed_by: Option<u32>,
    /// When heartbeats were last checked.
    looked: Instant,
    /// Workers that ended unexpectedly, and those that were replaced.
    crashed: u64,
    replaced: u64,
    restarts: Restarts,
    next_generation: u32,
    next_serial: u64,
    /// How long workers may make no progress before the watchdog is no longer notified.
    watchdog: Option<Duration>,
    /// A random number from 0 to 1.
    random: fn() -> f64,
    /// The configuration file, for messages.
    source: PathBuf,
    commands: VecDeque<Command>,
}

impl Supervisor {
    /// Creates the supervisor of a server that `plan` describes.
    pub(crate) fn new(
        plan: Plan,
        watchdog: Option<Duration>,
        random: fn() -> f64,
        source: PathBuf,
        now: Instant,
    ) -> Self {
        let worker_count = WorkerCount::new(&plan);
        let mut supervisor = Self {
            lifecycle: Lifecycle::Starting { next: None },
            generations: Vec::new(),
            workers: Vec::new(),
            departing: Vec::new(),
            current: 1,
            worker_count,
            recycling: None,
            places: Places::default(),
            is_reader_busy: false,
            failure: None,
            resumed: None,
            missing_vars_known: false,
            clock_missed_by: None,
            looked: now,
            crashed: 0,
            replaced: 0,
            restarts: Restarts::default(),
            next_generation: 1,
            next_serial: 1,
            watchdog,
            random,
            source,
            commands: VecDeque::new(),
        };
        supervisor.current = supervisor.add_generation(plan);
        supervisor
    }

    /// Records what a scoreboard says. May be called at any time.
    pub(crate) fn observe(&mut self, serial: u64, activity: Activity) {
        if let Some(worker) = self.worker_mut(serial) {
            worker.activity = activity;
        }
    }

    /// Handles an event, and decides what follows from it.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) {
        if matches!(self.lifecycle, Lifecycle::Over) {
            return;
        }
        // Anything begun now would be lost when this program is replaced.
        let is_flushed = matches!(event, Event::Flushed);
        self.note(event, now);
        if !is_flushed {
            self.reconcile(now);
        }
    }

    /// Does everything that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.lifecycle, Lifecycle::Over) {
            return;
        }
        self.note_timeouts(now);
        self.reconcile(now);
    }

    /// The next command. Commands must be performed in order.
    pub(crate) fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn note(&mut self, event: Event, now: Instant) {
        match event {
            Event::Start => {
                self.notify(Notification::Status("loading the application"));
                self.extend_timeout(self.current);
            }
            Event::Launcher(serial, message) => self.on_launcher(serial, message, now),
            Event::Worker(serial, message) => self.on_worker(serial, message, now),
            Event::ChannelClosed(serial) => self.on_channel_closed(serial, now),
            Event::Exited(pid, exit) => self.on_exit(pid, exit, now),
            Event::LauncherStarted(serial, pid) => self.on_launcher_started(serial, pid),
            Event::LauncherNotStarted(serial, problem) => {
                self.on_launcher_not_started(serial, &problem, now);
            }
            Event::WorkerNotForked(serial, problem) => {
                self.on_worker_not_forked(serial, &problem, now);
            }
            Event::Signal(signal) => self.on_signal(signal, now),
            Event::Order(id, order) => self.on_order(id, order, now),
            Event::Configuration(read) => self.on_configuration(read, now),
            Event::Touched(path) => {
                if !self.lifecycle.is_stopping() {
                    self.log(Notice::Touched(path));
                    self.reload(Origin::Touch, None, now);
                }
            }
            Event::Preflight(outcome) => self.on_preflight(outcome, now),
            Event::Flushed => self.on_flushed(),
            Event::NotExecuted(problem) => self.on_not_executed(&problem, now),
            Event::Tick(measurements) => self.on_tick(&measurements, now),
            Event::Load { is_waiting } => self.follow_load(is_waiting, now),
        }
    }

    fn on_signal(&mut self, signal: Signal, now: Instant) {
        let origin = Origin::Signal(signal);
        match signal {
            Signal::Term | Signal::Int | Signal::Quit => self.stop(origin, now),
            Signal::Hup => self.reload(origin, None, now),
            Signal::Usr1 => {
                self.log(Notice::LogsReopened(origin));
                self.command(Command::ReopenErrorLog);
                self.tell_all(ToWorker::ReopenLogs);
            }
            Signal::Usr2 => self.upgrade(origin, None, now),
            Signal::Ttin => self.step(1, origin, now),
            Signal::Ttou => self.step(-1, origin, now),
        }
    }

    fn on_order(&mut self, id: OrderId, order: Order, now: Instant) {
        match order {
            Order::Reload => self.reload(Origin::ReloadOrder, Some(id), now),
            Order::Upgrade => self.upgrade(Origin::UpgradeOrder, Some(id), now),
            Order::Stop => {
                self.stop(Origin::StopOrder, now);
                self.answer(id, Answer::Stopping);
            }
            Order::Scale(workers) => {
                let scaled = self.scale_to(workers, Origin::ScaleOrder, now);
                self.answer(id, Answer::Scale(scaled));
            }
        }
    }

    fn on_tick(&mut self, measurements: &Measurements, now: Instant) {
        for measured in &measurements.workers {
            if let Some(worker) = self.worker_mut(measured.serial) {
                worker.process = measured.process;
                worker.rss = measured.rss.unwrap_or(worker.rss);
                worker.note_progress(now);
            }
        }
        self.find_missing(now);
        if !self.lifecycle.is_ending() {
            self.look_for_lost(now);
        }
        if self.lifecycle.is_stopping() {
            return;
        }
        self.look_for_recycling(measurements.memory, now);
        if self.makes_progress(now) {
            self.notify(Notification::Watchdog);
        }
    }

    /// Whether the watchdog may be notified: some worker is idle or finishes requests, and its
    /// reactor runs.
    fn makes_progress(&self, now: Instant) -> bool {
        let Some(timeout) = self.watchdog else {
            return false;
        };
        // Workers send about two heartbeats a second.
        let timeout = timeout.max(TICK);
        let mut workers = self.workers.iter();
        !self.lifecycle.is_started() || workers.any(|worker| worker.gets_on(timeout, now))
    }

    /// Adds a generation, whose launcher is started by the next `reconcile`.
    fn add_generation(&mut self, plan: Plan) -> u32 {
        let number = self.next_generation;
        self.next_generation += 1;
        self.generations.push(Generation::new(number, plan));
        self.command(Command::AddGeneration(number));
        number
    }

    fn generation(&self, number: u32) -> Option<&Generation> {
        let mut generations = self.generations.iter();
        generations.find(|generation| generation.number == number)
    }

    fn generation_mut(&mut self, number: u32) -> Option<&mut Generation> {
        let mut generations = self.generations.iter_mut();
        generations.find(|generation| generation.number == number)
    }

    /// The generation of a launcher.
    fn generation_of(&mut self, launcher: u64) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| {
            let serial = generation.launcher.as_ref().map(|it| it.serial);
            serial == Some(launcher)
        })
    }

    fn worker_mut(&mut self, serial: u64) -> Option<&mut Worker> {
        self.workers
            .iter_mut()
            .find(|worker| worker.serial == serial)
    }

    /// The workers and launchers that have not been dismissed.
    fn children(&self) -> impl Iterator<Item = &Child> {
        let launchers = self.generations.iter();
        let launchers = launchers.filter_map(|generation| generation.launcher.as_ref());
        let workers = self.workers.iter().map(|worker| &worker.child);
        workers.chain(launchers.map(|launcher| &launcher.child))
    }

    /// Removes a worker.
    fn remove_worker(&mut self, serial: u64) -> Option<Worker> {
        let index = self
            .workers
            .iter()
            .position(|worker| worker.serial == serial)?;
        self.command(Command::Release(serial));
        Some(self.workers.remove(index))
    }

    /// Whether any worker accepts requests.
    fn is_anybody_ready(&self) -> bool {
        self.workers.iter().any(Worker::is_ready)
    }

    /// How many workers of the generation, or of all generations, are known to serve.
    fn ready(&self, generation: Option<u32>) -> usize {
        let is_ready = |worker: &&Worker| {
            worker.is_serving() && generation.is_none_or(|number| worker.generation == number)
        };
        self.workers.iter().filter(is_ready).count()
    }

    fn summary(&self) -> String {
        let (workers, generation) = (self.worker_count.wanted(), self.current);
        format!("{workers} workers serve generation {generation}")
    }

    fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    fn log(&mut self, notice: Notice) {
        self.command(Command::Log(notice));
    }

    fn notify(&mut self, notification: Notification) {
        self.command(Command::Notify(notification));
    }

    /// Asks the service manager for as much time as a generation may take to start.
    fn extend_timeout(&mut self, generation: u32) {
        if let Some(generation) = self.generation(generation) {
            let time = generation.plan.start_timeout;
            self.notify(Notification::ExtendTimeout(time));
        }
    }

    fn answer(&mut self, order: OrderId, answer: Answer) {
        self.command(Command::Answer(order, answer));
    }

    fn tell(&mut self, worker: u64, message: ToWorker) {
        self.command(Command::Tell(worker, message));
    }

    fn tell_all(&mut self, message: ToWorker) {
        let serials: Vec<_> = self.workers.iter().map(|worker| worker.serial).collect();
        for serial in serials {
            self.tell(serial, message.clone());
        }
    }
}

/// The interval between measurements.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// How long the report of a killed process may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a worker that ends may exceed `--graceful-timeout`, which it enforces itself.
const OVERTIME: Duration = Duration::from_secs(5);
