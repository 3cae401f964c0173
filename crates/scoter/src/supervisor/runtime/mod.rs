//! The master's loop: passes events to the supervisor and performs its commands. It decides
//! nothing itself.

mod exits;
mod metrics;
mod orders;
mod perform;
mod stacks;
mod status;
mod unserved;
mod upgrade;
mod uwsgi_stats;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::set_child_subreaper;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use orders::Reply;

use crate::config::{Change, Options, Settings};
use crate::control::{self, ControlListener, ReaderListener, ReloadStatus, Totals};
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::scoreboard::Counts;
use crate::metrics::Reloads;
use crate::net::{Help, LOOK_INTERVAL, Listener, QueueWatch};
use crate::program::Program;
use crate::start::Opened;
use crate::supervisor::configuration::{Loaded, Read};
use crate::supervisor::core::{
    Configuration, Event, Measurement, Measurements, OrderId, Plan, Supervisor, TICK,
};
use crate::supervisor::dev::{Dev, Session};
use crate::supervisor::exit_reason::ExitReasons;
use crate::supervisor::launcher::Launcher;
use crate::supervisor::link::Events;
use crate::supervisor::measure;
use crate::supervisor::preflight::Preflight;
use crate::supervisor::recent::Recent;
use crate::supervisor::systemd::Systemd;
use crate::supervisor::touch::Watch;
use crate::supervisor::upgrade::State;
use crate::supervisor::worker::Worker;
use crate::supervisor::worker_numbers::WorkerNumbers;
use crate::sys::file_limit;
use crate::sys::random;
use crate::sys::signals::{Signal, Signals, UnreadSignals};

/// What the master has open, and the supervisor that decides.
#[derive(Debug)]
pub(super) struct Runtime {
    core: Supervisor,
    program: Program,
    arguments: Vec<OsString>,
    /// The settings at the start: options that need a restart still have these values.
    at_start: Settings,
    plan: Plan,
    error_log: Option<PathBuf>,
    listeners: Vec<Listener>,
    /// One for each listener.
    queue_watches: Vec<QueueWatch>,
    control: Option<Arc<ControlListener>>,
    /// Those of `--metrics` and `--uwsgi-stats`.
    reader_listeners: Vec<Arc<ReaderListener>>,
    /// Where workers of all generations leave connections to each other.
    queue: Option<ConnectionQueue>,
    /// Where they hold a connection of each listener, once a generation has had a `--queue-timeout`.
    held: Vec<ConnectionQueue>,
    /// What workers share for the module `uwsgi`, once a generation has had it.
    uwsgi: Option<OwnedFd>,
    /// The configuration read last, until a generation is started with it.
    read: Option<Loaded>,
    generations: HashMap<u32, Loaded>,
    launchers: HashMap<u64, Launcher>,
    workers: HashMap<u64, Worker>,
    orders: HashMap<OrderId, Reply>,
    next_order: u64,
    preflight: Option<Preflight>,
    systemd: Systemd,
    /// Watches the files of `--reload-on-touch`.
    touched: Watch,
    exit_reasons: ExitReasons,
    started_at: Timestamp,
    /// The version of Python.
    python: String,
    /// The counts of workers that have ended.
    gone: Totals,
    gone_counts: Counts,
    /// Their CPU time, by their number.
    gone_cpu: BTreeMap<u32, Duration>,
    numbers: WorkerNumbers,
    recent: Recent,
    last_reload: Option<ReloadStatus>,
    reloads: Reloads,
    events: Events,
    incoming: mpsc::Receiver<Event>,
    readers: mpsc::Sender<Read>,
    found: mpsc::Receiver<Read>,
    /// Whether received events are handled before anything else.
    is_flushing: bool,
    exit_code: Option<u8>,
    unread_signals: Option<UnreadSignals>,
    /// What a developer has beside the server.
    dev: Option<Session>,
}

impl Runtime {
    pub(super) fn new(
        program: Program,
        arguments: Vec<OsString>,
        first: Loaded,
        opened: Opened,
        python: String,
        dev: Option<Dev>,
    ) -> io::Result<Self> {
        let (events, incoming) = mpsc::channel(EVENTS);
        let (readers, found) = mpsc::channel(1);
        let systemd = Systemd::new();
        let plan = first.plan();
        let source = Settings::source(&arguments);
        let now = Instant::now();
        let watchdog = systemd.watchdog();
        let dev = dev.map(|dev| Session::begin(dev, &first.options, source.clone(), &events));
        Ok(Self {
            core: Supervisor::new(plan.clone(), watchdog, random::fraction, source, now),
            program,
            arguments,
            at_start: first.settings.clone(),
            plan,
            error_log: first.options.error_log.clone(),
            queue_watches: opened
                .listeners
                .iter()
                .map(|_| QueueWatch::default())
                .collect(),
            listeners: opened.listeners,
            control: opened.control.map(Arc::new),
            reader_listeners: opened.readers.into_iter().map(Arc::new).collect(),
            queue: None,
            held: Vec::new(),
            uwsgi: None,
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
            python,
            gone: Totals::default(),
            gone_counts: Counts::default(),
            gone_cpu: BTreeMap::new(),
            numbers: WorkerNumbers::default(),
            reloads: Reloads::default(),
            recent: Recent::default(),
            last_reload: None,
            events,
            incoming,
            readers,
            found,
            is_flushing: false,
            exit_code: None,
            unread_signals: None,
            dev: dev.transpose()?,
        })
    }

    /// Supervises until everything has ended. Returns the exit code.
    ///
    /// # Errors
    ///
    /// System errors, if no descriptors or processes are available.
    pub(super) async fn run(&mut self, resumed: Option<State>) -> io::Result<u8> {
        let mut signals = Signals::install()?;
        self.unread_signals = Some(signals.unread()?);
        let mut children = signal(SignalKind::child())?;
        // Makes workers whose launcher is killed children of the master.
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
        let readers = self.reader_listeners.iter().map(|listener| {
            tokio::spawn(control::serve_readers(
                Arc::clone(listener),
                sender.clone(),
                closing.clone(),
            ))
        });
        let servers: Vec<_> = server.into_iter().chain(readers).collect();
        // An upgrade leaves signals blocked, so that none is lost in between.
        let _ = SigSet::all().thread_unblock();
        self.queue = Some(ConnectionQueue::new()?);
        match resumed {
            Some(state) => {
                self.resume(state)?;
                self.perform_all();
            }
            None => {
                self.handle(Event::Start);
            }
        }
        // A watchdog may have a shorter timeout.
        let watchdog = self.systemd.watchdog();
        let mut tick = interval(watchdog.map_or(TICK, |time| (time / 2).min(TICK)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut load = interval(LOAD_TICK);
        load.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                // Messages come before missed heartbeats: after a pause of the whole machine both
                // are pending.
                biased;
                Some(event) = self.incoming.recv() => self.on_incoming(event),
                Some(read) = self.found.recv() => self.on_read(read),
                _ = children.recv() => self.reap(),
                arrived = signals.next() => {
                    let signal = match arrived.signal {
                        // The developer's terminal has been closed: without it nobody could
                        // press Ctrl-C to free the port.
                        Signal::Hup if self.dev.is_some() => Signal::Term,
                        signal => signal,
                    };
                    self.handle(Event::Signal(signal));
                }
                Some(order) = orders.recv() => self.on_order(order),
                _ = tick.tick() => self.on_tick(),
                _ = load.tick(), if self.core.follows_load() => {
                    let is_waiting = self.is_anybody_waiting();
                    self.handle(Event::Load { is_waiting });
                }
                _ = look.tick() => self.watch_queues(),
                () = timeout => {
                    self.observe();
                    self.core.handle_timeout(Instant::now());
                    self.perform_all();
                }
            }
        };
        for queue in self.queue.iter().chain(&self.held) {
            unserved::refuse_unserved(queue).await;
        }
        if let Some(dev) = &mut self.dev {
            dev.end().await;
        }
        // Clients that still wait for a result learn that there will be none.
        drop(orders);
        self.orders.clear();
        closing.cancel();
        for server in servers {
            let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
        }
        Ok(code)
    }

    /// Removes the sockets.
    pub(super) fn close(&self) {
        if let Some(control) = &self.control {
            control.close();
        }
        for reader in &self.reader_listeners {
            reader.close();
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

    /// Performs the supervisor's commands, and reports their results to it immediately.
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
            // All received events, and the commands that follow from them, come first.
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
        if let Some(dev) = &mut self.dev {
            dev.see(&event);
        }
        self.core.handle(event, Instant::now());
    }

    fn on_read(&mut self, read: Read) {
        let read = read.and_then(|loaded| {
            let Some(loaded) = loaded else {
                return Ok(None);
            };
            let loaded = *loaded;
            let changed = Settings::changed(&self.at_start, &loaded.settings);
            let needs_restart = changed.iter().filter(|opt| opt.change == Change::Restart);
            let configuration = Configuration {
                plan: loaded.plan(),
                needs_restart: needs_restart.map(|opt| opt.name.to_owned()).collect(),
            };
            self.check_file_limit(&loaded.options)?;
            for mistake in loaded.settings.without_effect(&loaded.options) {
                warn!("{mistake}");
            }
            for remark in loaded.settings.uwsgi_remarks() {
                warn!("{remark}");
            }
            self.read = Some(loaded);
            Ok(Some(configuration))
        });
        self.handle(Event::Configuration(read));
    }

    /// Raises the limit if these options need more descriptors, and checks that they are enough.
    fn check_file_limit(&self, options: &Options) -> Result<(), String> {
        let sockets = self.listeners.len();
        let demand = options.demand(sockets);
        let current = self.generations.get(&self.core.current());
        let current = current.map(|current| current.options.demand(sockets));
        let needs_more = current.is_some_and(|current| demand.needs_more_than(&current));
        if needs_more {
            file_limit::raise(&demand);
        }
        file_limit::check(&demand).map_err(|too_low| too_low.to_string())?;
        if needs_more {
            file_limit::warn_if_low(&demand);
        }
        Ok(())
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

    fn on_tick(&mut self) {
        self.reap();
        self.systemd.catch_up();
        self.measure();
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

    /// Measures the workers, for rates and what they have taken so far.
    fn measure(&mut self) {
        let now = Instant::now();
        let cpu: HashMap<_, _> = self
            .core
            .processes()
            .map(|(serial, pid)| (serial, measure::cpu(pid)))
            .collect();
        for (serial, worker) in &mut self.workers {
            worker.measure(cpu.get(serial).copied().flatten(), now);
        }
        let (requests, counts) = (self.totals().requests, self.counts());
        self.recent.note(requests, &counts, now);
    }

    /// Has the log say which of the kernel's queues overflow.
    fn watch_queues(&mut self) {
        let now = Instant::now();
        self.observe();
        let help = match self.core.is_exhausted() {
            true => Help::Exhausted,
            false => Help::Possible,
        };
        for (listener, watch) in self.listeners.iter().zip(&mut self.queue_watches) {
            if let Some(notice) = watch.look(listener, help, now) {
                notice.log(listener);
            }
        }
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
}

/// How often the load is checked, if it decides the number of workers.
const LOAD_TICK: Duration = Duration::from_millis(100);

/// How long clients of the control socket have to receive their last response.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Events and orders that may be pending.
const EVENTS: usize = 1_024;
const ORDERS: usize = 16;
