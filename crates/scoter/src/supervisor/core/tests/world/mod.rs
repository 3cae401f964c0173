//! A world for the supervisor: processes, channels and a clock, all of them simulated.
//!
//! After each step the world checks what must hold at all times. What must hold in the end is
//! checked by [`World::settle`].

mod checks;
mod commands;
mod processes;
mod requests;
mod transitions;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::config::{Percent, Workers};
use crate::control::Phase;
use crate::ipc::messages::{FromLauncher, FromWorker};
use crate::supervisor::core::{
    Action, Answer, Configuration, Event, Exit, Measurement, Measurements, Notice, Order, OrderId,
    Plan, Process, Supervisor, TICK,
};
use crate::sys::signals::Signal;

pub(super) use checks::Checked;
use checks::FailedStarts;
pub(super) use processes::Code;
use processes::{Launcher, State, Worker};
use requests::GRACEFUL_TIMEOUT;
use transitions::Transitions;
pub(super) use transitions::{Seen, Transition, seen};
use watchdog::Watchdog;

/// The world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) supervisor: Supervisor,
    begun: Instant,
    pub(super) now: Instant,
    next_tick: Instant,
    next_load: Instant,
    next_pid: i32,
    pub(super) code: Code,
    /// The plan in the configuration.
    pub(super) configured: Plan,
    /// The plan of each generation.
    plans: BTreeMap<u32, Plan>,
    /// The plan read last, until a generation is started with it.
    read: Option<Plan>,
    /// The release that is installed.
    pub(super) version: &'static str,
    /// Whether the configuration can be read.
    pub(super) is_readable: bool,
    /// Whether a worker cannot be ordered, for lack of descriptors for instance.
    pub(super) refuses_forks: bool,
    /// Whether fork(2) fails.
    pub(super) forks_fail: bool,
    /// Whether the installed release reports that it can take over.
    pub(super) is_release_good: bool,
    /// Whether it can be executed.
    pub(super) is_executable: bool,
    /// Whether connections wait to be accepted.
    pub(super) is_anybody_waiting: bool,
    /// Whether all sent messages have been received when a release is replaced.
    pub(super) is_everything_received: bool,
    launchers: BTreeMap<u64, Launcher>,
    workers: BTreeMap<u64, Worker>,
    /// Messages sent to the master and not received yet, in each channel's order.
    channels: BTreeMap<u64, VecDeque<Event>>,
    /// Children of the master that wait to be reaped.
    unreaped: VecDeque<(i32, i32)>,
    /// When the last one of these was requested.
    asked: Instant,
    reading: Option<Action>,
    preflight: bool,
    next_order: u64,
    answers: HashMap<OrderId, Vec<Answer>>,
    /// Orders whose outcome the next release reports.
    handed_over: Vec<OrderId>,
    stopped_at: Option<Instant>,
    /// Generations with a worker that has reported that it is ready.
    served: BTreeSet<u32>,
    /// The worker that is being replaced.
    recycled: Option<u32>,
    pub(super) exit_code: Option<u8>,
    pub(super) notices: Vec<Notice>,
    is_flushing: bool,
    watchdog: Watchdog,
    failed_starts: HashMap<(u32, u32), FailedStarts>,
    transitions: Transitions,
    violation: Option<String>,
}

/// The plan of every generation: short times, so that histories are short.
pub(super) fn plan(workers: u16) -> Plan {
    Plan {
        workers: Workers::Fixed(workers),
        cpus: 2,
        slots: 2,
        preload: false,
        start_timeout: Duration::from_secs(5),
        graceful_timeout: GRACEFUL_TIMEOUT,
        drain_delay: None,
        max_lifetime: None,
        recycle_jitter: Percent(0),
        max_rss: None,
    }
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        Self::watched(plan, None)
    }

    /// A world whose service manager watches the server.
    pub(super) fn watched(plan: Plan, watchdog: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            supervisor: supervisor(plan.clone(), watchdog, now),
            begun: now,
            now,
            next_tick: now + TICK,
            next_load: now + LOAD_TICK,
            next_pid: 100,
            code: Code::Good,
            configured: plan.clone(),
            plans: BTreeMap::new(),
            read: Some(plan),
            version: env!("CARGO_PKG_VERSION"),
            is_readable: true,
            refuses_forks: false,
            forks_fail: false,
            is_release_good: false,
            is_executable: false,
            is_anybody_waiting: false,
            is_everything_received: true,
            launchers: BTreeMap::new(),
            workers: BTreeMap::new(),
            channels: BTreeMap::new(),
            unreaped: VecDeque::new(),
            asked: now,
            reading: None,
            preflight: false,
            next_order: 0,
            answers: HashMap::new(),
            handed_over: Vec::new(),
            stopped_at: None,
            served: BTreeSet::new(),
            recycled: None,
            exit_code: None,
            notices: Vec::new(),
            is_flushing: false,
            watchdog: Watchdog::new(watchdog, now),
            failed_starts: HashMap::new(),
            transitions: Transitions::default(),
            violation: None,
        }
    }

    /// A world whose server has started.
    pub(super) fn serving(plan: Plan) -> Self {
        Self::new(plan).started()
    }

    pub(super) fn started(mut self) -> Self {
        self.tell(Event::Start);
        self.run(Duration::from_secs(1));
        assert_eq!(self.phase(), Phase::Running);
        self
    }

    pub(super) fn phase(&self) -> Phase {
        self.supervisor.view(self.now).phase
    }

    pub(super) fn is_watchdog_content(&self) -> bool {
        self.watchdog.is_content(self.now)
    }

    pub(super) fn answers(&self, order: OrderId) -> &[Answer] {
        self.answers.get(&order).map_or(&[], Vec::as_slice)
    }

    /// Gives an order.
    pub(super) fn order(&mut self, order: Order) -> OrderId {
        let id = OrderId(self.next_order);
        self.next_order += 1;
        self.answers.insert(id, Vec::new());
        if order == Order::Stop {
            self.stopped_at.get_or_insert(self.now);
        }
        self.tell(Event::Order(id, order));
        id
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        if signal.is_stop() {
            self.stopped_at.get_or_insert(self.now);
        }
        self.tell(Event::Signal(signal));
    }

    /// Passes an event to the supervisor, and performs its commands.
    pub(super) fn tell(&mut self, event: Event) {
        self.handle(event);
        self.perform();
    }

    fn handle(&mut self, event: Event) {
        self.observe();
        if let Event::Worker(serial, FromWorker::Ready { .. }) = &event {
            let mut workers = self.supervisor.workers.iter();
            let worker = workers.find(|it| it.serial == *serial);
            self.served.extend(worker.map(|it| it.generation));
        }
        self.supervisor.handle(event, self.now);
        self.transitions.note(&self.supervisor);
    }

    /// Lets time pass: only timeouts and ticks occur when they are due.
    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        // Messages sent long ago have been received: the runtime reads its channels first.
        while time > MAX_DELIVERY && self.deliver(0) {}
        let mut steps = 0;
        while self.exit_code.is_none() {
            let timeout = self.supervisor.next_timeout(self.now);
            let mut next = timeout.map_or(self.next_tick, |at| at.min(self.next_tick));
            if self.supervisor.follows_load() {
                next = next.min(self.next_load);
            }
            if next > until {
                break;
            }
            steps += 1;
            if steps > 10_000 {
                return self.violate("timeouts come without end");
            }
            self.now = self.now.max(next);
            if self.now >= self.next_tick {
                self.next_tick = self.now + TICK;
                self.tick();
            } else if self.supervisor.follows_load() && self.now >= self.next_load {
                self.next_load = self.now + LOAD_TICK;
                let is_waiting = self.is_anybody_waiting;
                self.tell(Event::Load { is_waiting });
            } else {
                self.observe();
                self.supervisor.handle_timeout(self.now);
                self.transitions.note(&self.supervisor);
                self.perform();
            }
        }
        self.now = self.now.max(until);
    }

    /// Lets time pass in which all processes run.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.exit_code.is_none() {
            for _ in 0..1_000 {
                if !self.progress_all() || self.exit_code.is_some() {
                    break;
                }
            }
            if self.now >= until {
                return;
            }
            self.advance(Duration::from_millis(500));
        }
    }

    fn progress_all(&mut self) -> bool {
        let mut has_moved = false;
        while self.deliver(0) {
            has_moved = true;
        }
        for index in 0..self.processes().len() {
            has_moved |= self.progress(index);
        }
        // These take a moment.
        if self.asked < self.now {
            has_moved |= self.finish_reading() | self.finish_preflight();
        }
        has_moved
    }

    /// Delivers the next message of a channel, or the report of a dead child. Returns whether there
    /// was one.
    pub(super) fn deliver(&mut self, index: usize) -> bool {
        let waiting = self.channels.iter().filter(|(_, queue)| !queue.is_empty());
        let mut waiting: Vec<_> = waiting.map(|(key, _)| Some(*key)).collect();
        if !self.unreaped.is_empty() {
            waiting.push(None);
        }
        if waiting.is_empty() {
            return false;
        }
        match waiting[index % waiting.len()] {
            Some(serial) => {
                let event = self.channels.get_mut(&serial).and_then(VecDeque::pop_front);
                if let Some(event) = event {
                    if let Event::Launcher(_, FromLauncher::Exited { pid, status }) = event {
                        self.tell(exited(pid, status));
                    }
                    self.tell(event);
                }
            }
            None => {
                if let Some((pid, status)) = self.unreaped.pop_front() {
                    self.tell(exited(pid, status));
                }
            }
        }
        true
    }

    /// Ends the reader of the configuration.
    pub(super) fn finish_reading(&mut self) -> bool {
        let Some(action) = self.reading.take() else {
            return false;
        };
        let read = match action {
            _ if !self.is_readable => Err("unreadable".to_owned()),
            Action::Upgrade => Ok(None),
            Action::Reload => Ok(Some(Configuration {
                plan: self.configured.clone(),
                needs_restart: Vec::new(),
            })),
        };
        if let Ok(Some(configuration)) = &read {
            self.read = Some(configuration.plan.clone());
        }
        self.tell(Event::Configuration(read));
        true
    }

    /// Ends the preflight.
    pub(super) fn finish_preflight(&mut self) -> bool {
        if !std::mem::take(&mut self.preflight) {
            return false;
        }
        let outcome = if self.is_release_good {
            Ok(())
        } else {
            Err("no".to_owned())
        };
        self.tell(Event::Preflight(outcome));
        true
    }

    fn observe(&mut self) {
        for (serial, worker) in &self.workers {
            self.supervisor.observe(*serial, worker.activity);
        }
    }

    fn tick(&mut self) {
        for worker in self.workers.values_mut() {
            if !worker.is_frozen && matches!(worker.state, State::Serving | State::Ending) {
                worker.activity.heartbeat += 1;
            }
            if worker.is_available() {
                self.watchdog.note_progress(self.now);
            }
        }
        let of_pid = |pid: Pid| {
            let mut workers = self.workers.values();
            let worker = workers.find(|it| it.pid == Some(pid.as_raw()));
            match worker.map(|it| it.state) {
                None | Some(State::Gone) if self.is_unreaped(pid) => Process::Zombie,
                None | Some(State::Gone) => Process::Gone,
                Some(State::Zombie(_)) => Process::Zombie,
                Some(_) => Process::Running,
            }
        };
        let workers = self.supervisor.processes();
        let workers = workers.map(|(serial, pid)| Measurement {
            serial,
            process: of_pid(pid),
            rss: None,
        });
        let measurements = Measurements {
            workers: workers.collect(),
            memory: None,
        };
        self.tell(Event::Tick(measurements));
    }

    fn is_unreaped(&self, pid: Pid) -> bool {
        self.unreaped.iter().any(|(it, _)| *it == pid.as_raw())
    }
}

fn exited(pid: i32, status: i32) -> Event {
    let exit = Exit {
        status: Some(status),
        reason: "it ended".to_owned(),
        stack: None,
    };
    Event::Exited(pid, exit)
}

fn supervisor(plan: Plan, watchdog: Option<Duration>, now: Instant) -> Supervisor {
    Supervisor::new(plan, watchdog, || 0.0, PathBuf::new(), now)
}

/// How often the load is checked.
const LOAD_TICK: Duration = Duration::from_millis(100);

/// How long a message may be in transit.
const MAX_DELIVERY: Duration = Duration::from_millis(100);
