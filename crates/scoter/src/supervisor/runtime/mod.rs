//! The master's loop: passes events to the supervisor and performs its commands. It decides
//! nothing itself.

mod status;
mod upgrade;

use std::collections::HashMap;
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, set_child_subreaper, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Change, Options, Settings};
use crate::control::{
    self, ControlListener, Order as Ordered, ReloadError, ReloadStatus, Reloaded, Scaled, Totals,
};
use crate::ipc::messages::FromLauncher;
use crate::log;
use crate::net::Listener;
use crate::program::Program;
use crate::start::Opened;
use crate::supervisor::configuration::{self, Loaded, Read};
use crate::supervisor::core::{
    Action, Answer, Command, Configuration, Event, Exit, Measurement, Measurements, NewWorker,
    Notification, Order, OrderId, Plan, Supervisor, TICK,
};
use crate::supervisor::exit_reason::ExitReasons;
use crate::supervisor::launcher::{Launcher, Sockets};
use crate::supervisor::link::Events;
use crate::supervisor::preflight::Preflight;
use crate::supervisor::systemd::Systemd;
use crate::supervisor::touch::Watch;
use crate::supervisor::upgrade::State;
use crate::supervisor::worker::Worker;
use crate::supervisor::{measure, notices};
use crate::sys::file_limit;
use crate::sys::random;
use crate::sys::signals::Signals;

/// What the master has open, and the supervisor that decides.
#[derive(Debug)]
pub(super) struct Runtime {
    core: Supervisor,
    program: Program,
    arguments: Vec<OsString>,
    /// As they were at the start: what only a restart changes still holds.
    at_start: Settings,
    plan: Plan,
    listeners: Vec<Listener>,
    control: Option<Arc<ControlListener>>,
    /// What was read last, until a generation is started with it.
    read: Option<Loaded>,
    generations: HashMap<u32, Loaded>,
    launchers: HashMap<u64, Launcher>,
    workers: HashMap<u64, Worker>,
    orders: HashMap<OrderId, Reply>,
    next_order: u64,
    preflight: Option<Preflight>,
    systemd: Systemd,
    /// Of the files of `--reload-on-touch`.
    touched: Watch,
    exit_reasons: ExitReasons,
    started_at: Timestamp,
    /// Of workers that are gone.
    gone: Totals,
    last_reload: Option<ReloadStatus>,
    events: Events,
    incoming: mpsc::Receiver<Event>,
    readers: mpsc::Sender<Read>,
    found: mpsc::Receiver<Read>,
    /// Whether what has been received is handled before anything else.
    is_flushing: bool,
    exit_code: Option<u8>,
}

/// Where the answer to an order goes. The client may have disconnected.
#[derive(Debug)]
enum Reply {
    Reload(oneshot::Sender<Result<Reloaded, ReloadError>>),
    Stop(oneshot::Sender<()>),
    Scale(oneshot::Sender<Result<Scaled, String>>),
}

impl Runtime {
    pub(super) fn new(
        program: Program,
        arguments: Vec<OsString>,
        first: Loaded,
        opened: Opened,
    ) -> Self {
        let (events, incoming) = mpsc::channel(EVENTS);
        let (readers, found) = mpsc::channel(1);
        let systemd = Systemd::new();
        let plan = first.plan();
        let source = Settings::source(&arguments);
        let now = Instant::now();
        let watchdog = systemd.watchdog();
        Self {
            core: Supervisor::new(plan.clone(), watchdog, random::fraction, source, now),
            program,
            arguments,
            at_start: first.settings.clone(),
            plan,
            listeners: opened.listeners,
            control: opened.control.map(Arc::new),
            touched: Watch::begin(&first.options.reload_on_touch, &events),
            read: Some(first),
            generations: HashMap::new(),
            launchers: HashMap::new(),
            workers: HashMap::new(),
            orders: HashMap::new(),
            next_order: 0,
            preflight: None,
            systemd,
            exit_reasons: ExitReasons::new(),
            started_at: Timestamp::now(),
            gone: Totals::default(),
            last_reload: None,
            events,
            incoming,
            readers,
            found,
            is_flushing: false,
            exit_code: None,
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
            Some(state) => {
                self.resume(state)?;
                self.perform_all();
            }
            None => {
                self.handle(Event::Start);
            }
        }
        // A watchdog may have less patience than we.
        let watchdog = self.systemd.watchdog();
        let mut tick = interval(watchdog.map_or(TICK, |time| (time / 2).min(TICK)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut load = interval(LOAD_TICK);
        load.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let code = loop {
            if let Some(code) = self.exit_code {
                break code;
            }
            let next_timeout = self.core.next_timeout(Instant::now());
            let timeout = async {
                match next_timeout {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // What has been said comes before what is missed: after a pause of the whole
                // machine both are there.
                biased;
                Some(event) = self.incoming.recv() => self.on_incoming(event),
                Some(read) = self.found.recv() => self.on_read(read),
                _ = children.recv() => self.reap(),
                arrived = signals.next() => self.handle(Event::Signal(arrived.signal)),
                Some(order) = orders.recv() => self.on_order(order),
                _ = tick.tick() => self.on_tick(),
                _ = load.tick(), if self.core.follows_load() => {
                    let is_waiting = self.is_anybody_waiting();
                    self.handle(Event::Load { is_waiting });
                }
                () = timeout => {
                    self.observe();
                    self.core.handle_timeout(Instant::now());
                    self.perform_all();
                }
            }
        };
        // Who still waits for an answer learns that there will be none.
        drop(orders);
        self.orders.clear();
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

    fn handle(&mut self, event: Event) {
        self.tell(event);
        self.perform_all();
    }

    fn observe(&mut self) {
        for (serial, worker) in &self.workers {
            self.core.observe(*serial, worker.activity());
        }
    }

    /// Performs what the supervisor has decided, and tells it at once what became of it.
    fn perform_all(&mut self) {
        loop {
            while let Some(command) = self.core.next_command() {
                if let Some(outcome) = self.perform(command) {
                    self.tell(outcome);
                }
            }
            if !self.is_flushing {
                return;
            }
            // Everything that has been received comes first, and what follows from it.
            match self.incoming.try_recv() {
                Ok(event) => self.receive(event),
                Err(_) => {
                    self.is_flushing = false;
                    self.tell(Event::Flushed);
                }
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.observe();
        self.core.handle(event, Instant::now());
    }

    /// Performs a command. Returns what became of it, where that can be one thing or another.
    fn perform(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::AddGeneration(number) => {
                if let Some(loaded) = self.read.take() {
                    self.generations.insert(number, loaded);
                }
            }
            Command::DropGeneration(number) => drop(self.generations.remove(&number)),
            Command::PutInForce(number) => self.put_in_force(number),
            Command::StartLauncher { serial, generation } => {
                return Some(self.start_launcher(serial, generation));
            }
            Command::Fork(worker) => return self.fork(worker),
            Command::Tell(serial, message) => {
                if let Some(worker) = self.workers.get(&serial) {
                    worker.tell(message);
                }
            }
            Command::Kill(pid) => drop(kill(pid, Signal::SIGKILL)),
            Command::ReportLost(serial) => {
                if let Some(worker) = self.workers.get(&serial) {
                    worker.report_lost();
                }
            }
            Command::Release(serial) => {
                if let Some(worker) = self.workers.remove(&serial) {
                    worker.add_to(&mut self.gone);
                }
                drop(self.launchers.remove(&serial));
            }
            Command::StopListening => {
                self.listeners.iter().for_each(Listener::close_to_newcomers);
            }
            Command::ReadConfiguration(action) => return self.read(action),
            Command::StartPreflight => match Preflight::start(&self.program) {
                Ok(preflight) => self.preflight = Some(preflight),
                Err(error) => return Some(Event::Preflight(Err(error.to_string()))),
            },
            Command::KillPreflight => {
                if let Some(preflight) = self.preflight.take() {
                    preflight.kill();
                }
            }
            Command::Flush => self.is_flushing = true,
            Command::ExecNewRelease => {
                let error = self.exec_new_release();
                return Some(Event::NotExecuted(error.to_string()));
            }
            Command::Notify(notification) => self.notify(&notification),
            Command::NoteReload { generation, error } => {
                self.last_reload = Some(ReloadStatus {
                    at: Timestamp::now(),
                    ok: error.is_none(),
                    generation,
                    error,
                });
            }
            Command::Answer(order, answer) => self.answer(order, answer),
            Command::Log(notice) => notices::write(notice),
            Command::Exit(code) => self.exit_code = Some(code),
        }
        None
    }

    fn put_in_force(&mut self, generation: u32) {
        if let Some(loaded) = self.generations.get(&generation) {
            let paths = &loaded.options.reload_on_touch;
            if !self.touched.is_of(paths) {
                self.touched = Watch::begin(paths, &self.events);
            }
            log::init(loaded.options.log_level, loaded.options.log_format);
        }
    }

    fn start_launcher(&mut self, serial: u64, generation: u32) -> Event {
        let Some(loaded) = self.generations.get(&generation) else {
            return Event::LauncherNotStarted(serial, "its generation is gone".to_owned());
        };
        let control = self.control.as_ref();
        let sockets = Sockets {
            listeners: &self.listeners,
            control: control.and_then(|control| control.file()),
        };
        match Launcher::start(serial, loaded, &self.program, &sockets, self.events.clone()) {
            Ok((launcher, pid)) => {
                self.launchers.insert(serial, launcher);
                Event::LauncherStarted(serial, pid)
            }
            Err(error) => Event::LauncherNotStarted(serial, error.to_string()),
        }
    }

    fn fork(&mut self, new: NewWorker) -> Option<Event> {
        let serial = new.serial;
        let Some(launcher) = self.launchers.get(&new.launcher) else {
            return Some(Event::WorkerNotForked(
                serial,
                "its launcher is gone".to_owned(),
            ));
        };
        match Worker::fork(launcher, new, self.events.clone()) {
            Ok(worker) => {
                self.workers.insert(serial, worker);
                None
            }
            Err(error) => {
                let problem = format!("{error}{}", hint(&error));
                Some(Event::WorkerNotForked(serial, problem))
            }
        }
    }

    fn read(&self, action: Action) -> Option<Event> {
        let current = self.generations.get(&self.core.current());
        let options = current.map(|loaded| loaded.options.clone());
        let arguments = self.arguments.clone();
        let Some(options) = options else {
            let problem = "the serving generation has no configuration".to_owned();
            return Some(Event::Configuration(Err(problem)));
        };
        let begun = configuration::read(action, arguments, options, self.readers.clone());
        let error = begun.err()?;
        let problem = format!("cannot read the configuration: {error}");
        Some(Event::Configuration(Err(problem)))
    }

    fn on_read(&mut self, read: Read) {
        let read = read.map(|loaded| {
            let loaded = *loaded?;
            let changed = Settings::changed(&self.at_start, &loaded.settings);
            let needs_restart = changed.iter().filter(|opt| opt.change == Change::Restart);
            let configuration = Configuration {
                plan: loaded.plan(),
                needs_restart: needs_restart.map(|opt| opt.name.to_owned()).collect(),
            };
            self.raise_file_limit(&loaded.options);
            self.read = Some(loaded);
            Some(configuration)
        });
        self.handle(Event::Configuration(read));
    }

    /// More connections that may wait need more descriptors.
    fn raise_file_limit(&self, options: &Options) {
        let current = self.generations.get(&self.core.current());
        if current.is_some_and(|current| options.max_pending > current.options.max_pending) {
            file_limit::raise(options.threads, options.max_pending);
            file_limit::warn_if_low(options.threads, options.max_pending);
        }
    }

    fn on_incoming(&mut self, event: Event) {
        self.receive(event);
        self.perform_all();
    }

    fn receive(&mut self, event: Event) {
        if let Some(exited) = self.exit_told_by(&event) {
            self.tell(exited);
        }
        self.tell(event);
    }

    /// The exit that a launcher tells of.
    fn exit_told_by(&mut self, event: &Event) -> Option<Event> {
        match event {
            Event::Launcher(_, FromLauncher::Exited { pid, status }) => self.exit(*pid, *status),
            _ => None,
        }
    }

    /// Takes the status of every child that has ended; as PID 1 also those of strangers,
    /// which are nobody's business.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let (pid, status) = (pid.as_raw_pid(), status.as_raw());
            let event = match self.preflight.take_if(|it| it.pid == Pid::from_raw(pid)) {
                Some(preflight) => Some(Event::Preflight(preflight.outcome(status))),
                None => self.exit(pid, status),
            };
            if let Some(event) = event {
                self.handle(event);
            }
        }
    }

    /// Describes the end of a process of ours.
    fn exit(&mut self, pid: i32, status: i32) -> Option<Event> {
        let child = self.core.child(Pid::from_raw(pid))?;
        let worker = self.workers.get(&child.serial).map(Worker::stack);
        let launcher = self.launchers.get(&child.serial).map(Launcher::stack);
        let exit = Exit {
            status: Some(status),
            reason: self.exit_reasons.describe(status, child.rss),
            stack: worker.or(launcher).flatten(),
        };
        Some(Event::Exited(pid, exit))
    }

    fn on_order(&mut self, order: Ordered) {
        let (order, reply) = match order {
            Ordered::Status(reply) => return drop(reply.send(self.status())),
            Ordered::Reload { upgrade, reply } => {
                let order = if upgrade {
                    Order::Upgrade
                } else {
                    Order::Reload
                };
                (order, Reply::Reload(reply))
            }
            Ordered::Stop(reply) => (Order::Stop, Reply::Stop(reply)),
            Ordered::Scale { workers, reply } => (Order::Scale(workers), Reply::Scale(reply)),
        };
        let id = OrderId(self.next_order);
        self.next_order += 1;
        self.orders.insert(id, reply);
        self.handle(Event::Order(id, order));
    }

    fn answer(&mut self, order: OrderId, answer: Answer) {
        match (self.orders.remove(&order), answer) {
            (Some(Reply::Reload(reply)), Answer::Reload(outcome)) => drop(reply.send(outcome)),
            (Some(Reply::Stop(reply)), Answer::Stopping) => drop(reply.send(())),
            (Some(Reply::Scale(reply)), Answer::Scale(scaled)) => drop(reply.send(scaled)),
            _ => {}
        }
    }

    fn on_tick(&mut self) {
        self.reap();
        self.systemd.catch_up();
        let now = Instant::now();
        for worker in self.workers.values_mut() {
            worker.measure(now);
        }
        let workers = self.core.processes().map(|(serial, pid)| Measurement {
            serial,
            process: measure::process(pid),
            rss: measure::rss(pid),
        });
        let measurements = Measurements {
            workers: workers.collect(),
            memory: self
                .exit_reasons
                .memory_limit()
                .or_else(measure::installed_memory),
        };
        self.handle(Event::Tick(measurements));
    }

    /// Whether a connection waits in a listener's queue.
    fn is_anybody_waiting(&self) -> bool {
        let mut fds: Vec<_> = self
            .listeners
            .iter()
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect();
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn notify(&mut self, notification: &Notification) {
        match notification {
            Notification::Ready(status) => self.systemd.ready(status),
            Notification::Reloading(status) => self.systemd.reloading(status),
            Notification::Stopping(status) => self.systemd.stopping(status),
            Notification::Status(status) => self.systemd.status(status),
            Notification::ExtendTimeout(time) => self.systemd.extend(*time),
            Notification::Watchdog => self.systemd.feed(),
        }
    }
}

/// What may help against an error of the system.
fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => {
            "\nhint: more descriptors (ulimit -n, LimitNOFILE=) may be needed"
        }
        _ => "",
    }
}

/// How often the load is looked at, where it decides the number of workers.
const LOAD_TICK: Duration = Duration::from_millis(100);

/// For clients of the control socket to get their last answer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Events and orders that may wait to be dealt with.
const EVENTS: usize = 1_024;
const ORDERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_spoken_of_where_there_are_none_left() {
        for (errno, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::PIPE, false),
            (Errno::AGAIN, false),
            (Errno::NOMEM, false),
        ] {
            let hint = hint(&errno.into());
            assert_eq!(hint.contains("descriptors"), expected, "{errno}");
        }
        assert_eq!(hint(&io::Error::other("descriptors")), "");
    }
}
