//! A world for the supervisor: processes, channels and a clock, all of them simulated.
//!
//! After each step the world checks what must hold at all times. What must hold in the end is
//! checked by [`World::settle`].

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::config::{Percent, Workers};
use crate::control::{Phase, WorkerPhase};
use crate::ipc::channel::{Failed, FromLauncher, FromWorker, ToWorker};
use crate::supervisor::core::{
    Action, Activity, Answer, Command, Configuration, Event, Exit, Measurement, Measurements,
    Notice, Order, OrderId, Plan, Process, Supervisor, TICK,
};

/// What the code that is deployed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Good,
    /// It cannot be imported.
    Broken,
    /// It kills the process that imports it.
    Crashes,
    /// Its import never ends.
    Hangs,
    /// It ends its process as soon as that is ready.
    EndsWhenReady,
}

/// A simulated launcher.
#[derive(Debug)]
struct Launcher {
    pid: i32,
    generation: u32,
    is_alive: bool,
    is_frozen: bool,
    is_prepared: bool,
    /// Whether it has been told that there is nothing more to fork.
    is_dismissed: bool,
    /// Workers that it has been ordered to fork.
    orders: VecDeque<u64>,
}

/// A simulated worker.
#[derive(Debug)]
struct Worker {
    id: u32,
    generation: u32,
    launcher: u64,
    pid: Option<i32>,
    state: State,
    is_frozen: bool,
    /// Whether it was in good health until the supervisor did something about it.
    is_blameless: bool,
    activity: Activity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The order to fork it is on its way.
    Ordered,
    Importing,
    Serving,
    /// It has been told to end.
    Ending,
    /// It has ended, and its launcher has not taken its status.
    Zombie(i32),
    Gone,
}

/// What a step found that must not be.
pub(super) type Checked = Result<(), String>;

/// The world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) supervisor: Supervisor,
    begun: Instant,
    pub(super) now: Instant,
    next_tick: Instant,
    next_pid: i32,
    pub(super) code: Code,
    /// What the configuration says about the number of workers.
    pub(super) configured: u16,
    /// What it says about `--max-lifetime`.
    pub(super) lifetime: Option<Duration>,
    /// The release that is installed.
    pub(super) version: &'static str,
    /// Whether the configuration can be read.
    pub(super) is_readable: bool,
    /// Whether a worker cannot be ordered: there are no descriptors, say.
    pub(super) refuses_forks: bool,
    /// Whether fork(2) fails.
    pub(super) forks_fail: bool,
    /// Whether the installed release says that it can take over.
    pub(super) is_release_good: bool,
    launchers: BTreeMap<u64, Launcher>,
    workers: BTreeMap<u64, Worker>,
    /// What has been sent to the master and not been received, in the order of each channel.
    channels: BTreeMap<u64, VecDeque<Event>>,
    /// Children of the master that wait to be reaped.
    unreaped: VecDeque<(i32, i32)>,
    reading: Option<Action>,
    preflight: bool,
    next_order: u64,
    answers: HashMap<OrderId, Vec<Answer>>,
    stopped_at: Option<Instant>,
    /// Generations that have had a worker that was ready.
    served: BTreeSet<u32>,
    /// The worker that is being replaced.
    recycled: Option<u32>,
    pub(super) exit_code: Option<u8>,
    pub(super) notices: Vec<Notice>,
    is_flushing: bool,
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
        graceful_timeout: Duration::from_secs(3),
        drain_delay: None,
        max_lifetime: None,
        recycle_jitter: Percent(0),
        max_rss: None,
    }
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let now = Instant::now();
        let configured = match plan.workers {
            Workers::Fixed(number) => number,
            _ => 2,
        };
        Self {
            supervisor: Supervisor::new(plan, None, |_| 0.0, PathBuf::new(), now),
            begun: now,
            now,
            next_tick: now + TICK,
            next_pid: 100,
            code: Code::Good,
            configured,
            lifetime: None,
            version: env!("CARGO_PKG_VERSION"),
            is_readable: true,
            refuses_forks: false,
            forks_fail: false,
            is_release_good: false,
            launchers: BTreeMap::new(),
            workers: BTreeMap::new(),
            channels: BTreeMap::new(),
            unreaped: VecDeque::new(),
            reading: None,
            preflight: false,
            next_order: 0,
            answers: HashMap::new(),
            stopped_at: None,
            served: BTreeSet::new(),
            recycled: None,
            exit_code: None,
            notices: Vec::new(),
            is_flushing: false,
            violation: None,
        }
    }

    /// A world whose server has started.
    pub(super) fn serving(plan: Plan) -> Self {
        let mut world = Self::new(plan);
        world.tell(Event::Start);
        world.run(Duration::from_secs(1));
        assert_eq!(world.phase(), Phase::Running);
        world
    }

    pub(super) fn phase(&self) -> Phase {
        self.supervisor.view(self.now).phase
    }

    /// The generations of the workers that serve.
    pub(super) fn serving_generations(&self) -> Vec<u32> {
        let serving = self.workers.values();
        let serving = serving.filter(|worker| worker.state == State::Serving);
        serving.map(|worker| worker.generation).collect()
    }

    pub(super) fn alive(&self) -> usize {
        let launchers = self.launchers.values().filter(|it| it.is_alive).count();
        launchers + self.alive_workers()
    }

    pub(super) fn alive_workers(&self) -> usize {
        let workers = self.workers.values();
        let is_alive = |worker: &&Worker| {
            matches!(
                worker.state,
                State::Importing | State::Serving | State::Ending
            )
        };
        workers.filter(is_alive).count()
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

    pub(super) fn signal(&mut self, signal: crate::sys::signals::Signal) {
        if signal.is_stop() {
            self.stopped_at.get_or_insert(self.now);
        }
        self.tell(Event::Signal(signal));
    }

    /// Tells the supervisor what has happened, and does what it wants done.
    pub(super) fn tell(&mut self, event: Event) {
        self.observe();
        self.supervisor.handle(event, self.now);
        self.perform();
    }

    /// Lets time pass: timeouts and ticks come when they are due, nothing else happens.
    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        // What was sent long ago has been received: the runtime looks at its channels first.
        while time > LONGEST_DELIVERY && self.deliver(0) {}
        let mut steps = 0;
        while self.exit_code.is_none() {
            let timeout = self.supervisor.next_timeout(self.now);
            let next = timeout.map_or(self.next_tick, |at| at.min(self.next_tick));
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
            } else {
                self.observe();
                self.supervisor.handle_timeout(self.now);
                self.perform();
            }
        }
        self.now = self.now.max(until);
    }

    /// Lets time pass in which every process that can does what it has to.
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
        has_moved |= self.finish_reading() | self.finish_preflight();
        has_moved
    }

    /// The serials of the processes that are alive.
    fn processes(&self) -> Vec<u64> {
        let launchers = self.launchers.iter();
        let launchers = launchers.filter(|(_, it)| it.is_alive).map(|(key, _)| *key);
        let workers = self.workers.iter();
        let workers = workers.filter(|(_, it)| {
            matches!(it.state, State::Importing | State::Serving | State::Ending)
        });
        launchers.chain(workers.map(|(key, _)| *key)).collect()
    }

    /// Delivers the next message of a channel, or the news of a dead child. Returns whether
    /// there was any.
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

    /// Lets a process do the next thing that it has to do. Returns whether it had any.
    pub(super) fn progress(&mut self, index: usize) -> bool {
        let processes = self.processes();
        let Some(serial) = processes.get(index % processes.len().max(1)).copied() else {
            return false;
        };
        if self.launchers.contains_key(&serial) {
            self.progress_launcher(serial)
        } else {
            self.progress_worker(serial)
        }
    }

    fn progress_launcher(&mut self, serial: u64) -> bool {
        let code = self.code;
        let has_workers = self
            .workers
            .values()
            .any(|it| it.launcher == serial && !matches!(it.state, State::Gone | State::Ordered));
        let Some(launcher) = self.launchers.get_mut(&serial) else {
            return false;
        };
        if launcher.is_frozen {
            return false;
        }
        if !launcher.is_prepared {
            launcher.is_prepared = true;
            let version = self.version.to_owned();
            self.send(
                serial,
                Event::Launcher(serial, FromLauncher::Hello { version }),
            );
            self.send(serial, Event::Launcher(serial, FromLauncher::Prepared));
            return true;
        }
        if let Some(worker) = launcher.orders.pop_front() {
            if self.forks_fail {
                self.workers.remove(&worker);
                let message = FromLauncher::ForkFailed {
                    serial: worker,
                    error: "no memory".to_owned(),
                };
                self.send(serial, Event::Launcher(serial, message));
                return true;
            }
            let pid = self.new_pid();
            if let Some(worker) = self.workers.get_mut(&worker) {
                worker.pid = Some(pid);
                worker.state = State::Importing;
                worker.is_blameless = code == Code::Good;
            }
            let message = FromLauncher::Forked {
                serial: worker,
                pid,
            };
            self.send(serial, Event::Launcher(serial, message));
            return true;
        }
        let zombie = self
            .workers
            .iter()
            .find_map(|(key, worker)| match worker.state {
                State::Zombie(status) if worker.launcher == serial => Some((*key, status)),
                _ => None,
            });
        if let Some((key, status)) = zombie {
            self.take_status(key, status);
            return true;
        }
        if launcher.is_dismissed && !has_workers {
            self.end_launcher(serial, 0);
            return true;
        }
        false
    }

    fn progress_worker(&mut self, serial: u64) -> bool {
        let code = self.code;
        let Some(worker) = self.workers.get_mut(&serial) else {
            return false;
        };
        if worker.is_frozen {
            return false;
        }
        match (worker.state, code) {
            (State::Importing, Code::Hangs) => false,
            (State::Importing, Code::Crashes) => {
                self.end_worker(serial, 11);
                true
            }
            (State::Importing, Code::Broken) => {
                let failed = Failed::new(3, "broken");
                self.send(serial, Event::Worker(serial, FromWorker::Failed(failed)));
                self.end_worker(serial, 3 << 8);
                true
            }
            (State::Importing, Code::Good | Code::EndsWhenReady) => {
                worker.state = State::Serving;
                self.served.insert(worker.generation);
                let pid = worker.pid.unwrap_or_default();
                let ready = FromWorker::Ready {
                    pid,
                    application: "app:application".to_owned(),
                    import_ms: 1,
                };
                self.send(serial, Event::Worker(serial, ready));
                if code == Code::EndsWhenReady {
                    self.end_worker(serial, 7 << 8);
                }
                true
            }
            (State::Ending, _) => {
                self.end_worker(serial, 0);
                true
            }
            _ => false,
        }
    }

    /// The reader of the configuration comes to its end.
    pub(super) fn finish_reading(&mut self) -> bool {
        let Some(action) = self.reading.take() else {
            return false;
        };
        let read = match action {
            _ if !self.is_readable => Err("unreadable".to_owned()),
            Action::Upgrade => Ok(None),
            Action::Reload => Ok(Some(Configuration {
                plan: Plan {
                    max_lifetime: self.lifetime,
                    ..plan(self.configured)
                },
                needs_restart: Vec::new(),
            })),
        };
        self.tell(Event::Configuration(read));
        true
    }

    /// The installed release comes to its answer.
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

    /// Kills a process that the supervisor has nothing to do with.
    pub(super) fn kill_any(&mut self, index: usize) {
        let processes = self.processes();
        if let Some(serial) = processes.get(index % processes.len().max(1)).copied() {
            if self.launchers.contains_key(&serial) {
                self.end_launcher(serial, 9);
            } else {
                self.end_worker(serial, 9);
            }
        }
    }

    /// Kills the launchers.
    pub(super) fn kill_launchers(&mut self) {
        let all: Vec<_> = self.launchers.keys().copied().collect();
        for serial in all {
            self.end_launcher(serial, 9);
        }
    }

    /// Stops a process, as SIGSTOP does.
    pub(super) fn freeze(&mut self, index: usize) {
        let processes = self.processes();
        let Some(serial) = processes.get(index % processes.len().max(1)) else {
            return;
        };
        if let Some(launcher) = self.launchers.get_mut(serial) {
            launcher.is_frozen = true;
        } else if let Some(worker) = self.workers.get_mut(serial) {
            worker.is_frozen = true;
            worker.is_blameless = false;
        }
    }

    /// Has a worker that serves say something.
    pub(super) fn say(&mut self, index: usize, message: FromWorker) {
        let serving = self.workers.iter();
        let serving = serving.filter(|(_, it)| it.state == State::Serving && !it.is_frozen);
        let serving: Vec<_> = serving.map(|(key, _)| *key).collect();
        let Some(serial) = serving.get(index % serving.len().max(1)).copied() else {
            return;
        };
        if let (FromWorker::Stuck { .. }, Some(worker)) = (&message, self.workers.get_mut(&serial))
        {
            worker.state = State::Ending;
            worker.is_blameless = false;
        }
        self.send(serial, Event::Worker(serial, message));
    }

    /// What must not be, if it has come to it.
    pub(super) fn check(&self) -> Checked {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        for (order, answers) in &self.answers {
            if answers.len() > 1 {
                return Err(format!("order {order:?} was answered twice: {answers:?}"));
            }
        }
        if let (Some(at), None) = (self.stopped_at, self.exit_code) {
            if self.now.duration_since(at) > LONGEST_STOP {
                return Err("a stop does not end".to_owned());
            }
        }
        if self.exit_code.is_some() && self.alive() > 0 {
            return Err(format!("{} processes are left running", self.alive()));
        }
        Ok(())
    }

    /// Lets everything become well: good code, nothing frozen, every message delivered. Then
    /// as many workers serve as are wanted, of one generation, and every order is answered.
    pub(super) fn settle(&mut self) -> Checked {
        self.code = Code::Good;
        self.is_readable = true;
        self.is_release_good = false;
        self.forks_fail = false;
        for worker in self.workers.values_mut() {
            worker.is_frozen = false;
        }
        for launcher in self.launchers.values_mut() {
            launcher.is_frozen = false;
        }
        let until = self.now + LONGEST_RECOVERY;
        while self.exit_code.is_none() && self.now < until && self.complaint().is_some() {
            self.run(Duration::from_secs(1));
            self.check()?;
        }
        self.complaint().map_or(Ok(()), Err)
    }

    /// What is not well.
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
            && self.alive() == wanted + 1;
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

    fn violate(&mut self, violation: impl Into<String>) {
        self.violation.get_or_insert_with(|| violation.into());
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

    fn new_pid(&mut self) -> i32 {
        self.next_pid += 1;
        self.next_pid
    }

    fn send(&mut self, serial: u64, event: Event) {
        if let Some(queue) = self.channels.get_mut(&serial) {
            queue.push_back(event);
        }
    }

    fn end_worker(&mut self, serial: u64, status: i32) {
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        if matches!(
            worker.state,
            State::Gone | State::Zombie(_) | State::Ordered
        ) {
            return;
        }
        worker.state = State::Zombie(status);
        let launcher = worker.launcher;
        self.send(serial, Event::ChannelClosed(serial));
        if self.launchers.get(&launcher).is_none_or(|it| !it.is_alive) {
            self.take_status(serial, status);
        }
    }

    /// The parent of a worker takes its status: its launcher, or the master.
    fn take_status(&mut self, serial: u64, status: i32) {
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        worker.state = State::Gone;
        let (pid, launcher) = (worker.pid.unwrap_or_default(), worker.launcher);
        self.workers.remove(&serial);
        if self.launchers.get(&launcher).is_some_and(|it| it.is_alive) {
            let message = FromLauncher::Exited { pid, status };
            self.send(launcher, Event::Launcher(launcher, message));
        } else {
            self.unreaped.push_back((pid, status));
        }
    }

    fn end_launcher(&mut self, serial: u64, status: i32) {
        let Some(launcher) = self.launchers.get_mut(&serial) else {
            return;
        };
        if !std::mem::take(&mut launcher.is_alive) {
            return;
        }
        let pid = launcher.pid;
        self.send(serial, Event::ChannelClosed(serial));
        self.unreaped.push_back((pid, status));
        let orphans = self
            .workers
            .iter()
            .filter_map(|(key, worker)| match worker.state {
                State::Zombie(status) if worker.launcher == serial => Some((*key, status)),
                _ => None,
            });
        let orphans: Vec<_> = orphans.collect();
        for (worker, status) in orphans {
            self.take_status(worker, status);
        }
    }

    fn perform(&mut self) {
        loop {
            while let Some(command) = self.supervisor.next_command() {
                if let Some(event) = self.perform_one(command) {
                    self.observe();
                    self.supervisor.handle(event, self.now);
                }
            }
            if !self.is_flushing {
                return;
            }
            let mut queues = self.channels.values_mut();
            let event = queues.find_map(VecDeque::pop_front);
            self.is_flushing = event.is_some();
            if let Some(Event::Launcher(_, FromLauncher::Exited { pid, status })) = event {
                self.supervisor.handle(exited(pid, status), self.now);
            }
            let event = event.unwrap_or(Event::Flushed);
            self.supervisor.handle(event, self.now);
        }
    }

    fn perform_one(&mut self, command: Command) -> Option<Event> {
        if self.exit_code.is_some() {
            self.violate(format!("{command:?} after the end"));
            return None;
        }
        match command {
            Command::StartLauncher { serial, generation } => {
                let pid = self.new_pid();
                self.launchers.insert(
                    serial,
                    Launcher {
                        pid,
                        generation,
                        is_alive: true,
                        is_frozen: false,
                        is_prepared: false,
                        is_dismissed: false,
                        orders: VecDeque::new(),
                    },
                );
                self.channels.insert(serial, VecDeque::new());
                return Some(Event::LauncherStarted(serial, pid));
            }
            Command::Fork(new) => {
                let Some(launcher) = self.launchers.get_mut(&new.launcher) else {
                    let problem = "no launcher".to_owned();
                    return Some(Event::WorkerNotForked(new.serial, problem));
                };
                if !launcher.is_alive || self.refuses_forks {
                    let problem = "broken pipe".to_owned();
                    return Some(Event::WorkerNotForked(new.serial, problem));
                }
                launcher.orders.push_back(new.serial);
                let generation = launcher.generation;
                self.workers.insert(
                    new.serial,
                    Worker {
                        id: new.id,
                        generation,
                        launcher: new.launcher,
                        pid: None,
                        state: State::Ordered,
                        is_frozen: false,
                        is_blameless: true,
                        activity: Activity {
                            slots: new.slots,
                            ..Activity::default()
                        },
                    },
                );
                self.channels.insert(new.serial, VecDeque::new());
                self.check_numbers(generation);
            }
            Command::Tell(serial, message) => self.tell_worker(serial, message),
            Command::Kill(pid) => self.kill(pid.as_raw()),
            Command::Release(serial) => {
                self.channels.remove(&serial);
                if let Some(launcher) = self.launchers.get_mut(&serial) {
                    launcher.is_dismissed = true;
                    launcher.is_prepared = true;
                }
                self.tell_worker(serial, ToWorker::Leave);
            }
            Command::ReadConfiguration(action) => {
                if self.reading.replace(action).is_some() {
                    self.violate("the configuration is read twice at once");
                }
            }
            Command::StartPreflight => self.preflight = true,
            Command::KillPreflight => self.preflight = false,
            Command::Flush => self.is_flushing = true,
            Command::ExecNewRelease => {
                return Some(Event::NotExecuted("not in a test".to_owned()));
            }
            Command::Answer(order, answer) => {
                self.answers.entry(order).or_default().push(answer);
            }
            Command::Log(notice) => {
                self.check_recycling(&notice);
                self.notices.push(notice);
            }
            Command::PutInForce(generation) => {
                let is_in_force = self.supervisor.current() == generation;
                if !is_in_force && !self.served.contains(&generation) {
                    self.violate(format!("generation {generation} is in force unproven"));
                }
            }
            Command::Exit(code) => {
                self.exit_code = Some(code);
                self.close_channels();
            }
            Command::AddGeneration(_)
            | Command::DropGeneration(_)
            | Command::StopListening
            | Command::ReportLost(_)
            | Command::Notify(_)
            | Command::NoteReload { .. } => {}
        }
        None
    }

    fn tell_worker(&mut self, serial: u64, message: ToWorker) {
        let view = self.supervisor.view(self.now);
        let is_stopping = matches!(view.phase, Phase::Draining | Phase::Stopping);
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        match message {
            ToWorker::ReopenLogs => {}
            _ if worker.state == State::Ordered => worker.state = State::Gone,
            ToWorker::Retire | ToWorker::Drain | ToWorker::Leave => {
                let known = view.workers.iter().find(|it| it.serial == serial);
                let is_responsive = known.is_some_and(|it| it.phase == WorkerPhase::Retiring);
                // That it is ready may still be on its way.
                let is_ready =
                    |event: &Event| matches!(event, Event::Worker(_, FromWorker::Ready { .. }));
                let queue = self.channels.get(&serial);
                let is_known = queue.is_none_or(|queue| !queue.iter().any(is_ready));
                let was_serving = worker.state == State::Serving && is_responsive && is_known;
                if matches!(worker.state, State::Importing | State::Serving) {
                    worker.state = State::Ending;
                }
                if message == ToWorker::Retire && !worker.is_frozen {
                    self.send(serial, Event::Worker(serial, FromWorker::NotAccepting));
                }
                if was_serving && !is_stopping {
                    self.check_service();
                }
            }
        }
    }

    /// The master has ended: whoever can ends, too, once its channel is closed. What cannot
    /// has to have been killed, unless that it was forked is news that was on its way.
    fn close_channels(&mut self) {
        let known: Vec<_> = self.supervisor.processes().map(|(it, _)| it).collect();
        for serial in self.processes() {
            let worker = self.workers.get(&serial);
            let launcher = self.launchers.get(&serial);
            if worker.is_some_and(|it| !it.is_frozen || !known.contains(&serial)) {
                self.end_worker(serial, 0);
            } else if launcher.is_some_and(|it| !it.is_frozen) {
                self.end_launcher(serial, 0);
            }
        }
    }

    /// Never does the supervisor itself take the number of workers that serve below the one
    /// that is wanted.
    fn check_service(&mut self) {
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

    /// Never are two workers recycled at once.
    fn check_recycling(&mut self, notice: &Notice) {
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

    /// Never are there more processes than a reload may need.
    fn check_numbers(&mut self, generation: u32) {
        let view = self.supervisor.view(self.now);
        let wanted = view.wanted.max(self.configured.into()) as usize;
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
        // Beyond the surge there may be the one that shows what new code is good for, and
        // whatever replaces those that were lost and are still there.
        let is_needed = proven.count() <= wanted;
        if is_surge && !is_needed && all > wanted + wanted.div_ceil(2) + 1 {
            let workers = &view.workers;
            self.violate(format!(
                "{all} processes where {wanted} are wanted: {workers:?}"
            ));
        }
    }

    fn kill(&mut self, pid: i32) {
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
        // One whose message is on its way is not known to be well.
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

fn exited(pid: i32, status: i32) -> Event {
    let exit = Exit {
        status: Some(status),
        reason: "it ended".to_owned(),
        stack: None,
    };
    Event::Exited(pid, exit)
}

/// Within this time a server that everything goes well for is well again: the longest pause of
/// a place, and a start after it.
const LONGEST_RECOVERY: Duration = Duration::from_secs(70);

/// For how long a message may be on its way.
const LONGEST_DELIVERY: Duration = Duration::from_millis(100);

/// `--graceful-timeout`, what a worker gets beyond it, three kills, and what a launcher gets.
const LONGEST_STOP: Duration = Duration::from_secs(3 + 5 + 4 * 2 + 3 + 2 + 3);
