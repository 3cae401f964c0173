//! A worker's process, from the import of the application to its exit handlers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use tracing::{error, info};
use wsgi_environ::{ForwardedProto, ServerInfo};

use super::dispositions::Dispositions;
use crate::config::Options;
use crate::failure::Failure;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::messages::{Development, FromWorker};
use crate::ipc::scoreboard::Scoreboard;
use crate::log::{self, AccessLog, AccessLogFilter};
use crate::net::{Address, Listener, SocketFile};
use crate::python::application::Loaded;
use crate::python::child_processes::Deadline;
use crate::python::exit_handlers::run_exit_handlers;
use crate::python::hooks::{Event, run_hooks};
use crate::python::signal_handlers;
use crate::python::signal_wakeups::SignalWakeups;
use crate::python::start_watch::{StartWatch, Step, too_late};
use crate::python::uwsgi_module;
use crate::start::StartError;
use crate::sys::durations::millis;
use crate::sys::fatal;
use crate::sys::file_limit;
use crate::sys::process::{exit_now, wait_for_the_end};
use crate::sys::signals;
use crate::worker::dev::Dev;
use crate::worker::held::HeldConnections;
use crate::worker::kept::balance::{self, Overflow};
use crate::worker::mounts::Mounts;
use crate::worker::one_thread;
use crate::worker::orders::Orders;
use crate::worker::reactor::start as start_reactor;
use crate::worker::slot::{Service, Slot};
use crate::worker::warm_up::warm_up;
use crate::worker::{MasterLink, Queues, Shared};

/// What a worker is given.
#[derive(Debug)]
pub(crate) struct WorkerContext {
    pub(crate) options: Options,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) board: Scoreboard,
    pub(crate) master: MasterLink,
    /// Where workers leave connections to each other, if there may be others.
    pub(crate) queue: Option<ConnectionQueue>,
    /// Where they hold a connection of each listener; nothing of a master that has none.
    pub(crate) held: Vec<ConnectionQueue>,
    /// `wsgi.multiprocess`: whether other workers are wanted beside this one.
    pub(crate) multiprocess: bool,
    /// The files of the master's own sockets, to be removed if the master no longer can.
    pub(crate) master_files: Vec<SocketFile>,
    /// The application, where it was loaded before the fork.
    pub(crate) preloaded: Option<Loaded>,
    /// What it does besides for `scoter dev`.
    pub(crate) development: Option<Development>,
}

/// Serves until the worker is told to end, and ends the process then.
///
/// # Errors
///
/// [`Failure`] says why there is nothing to serve.
pub(crate) fn serve(py: Python<'_>, context: WorkerContext) -> Result<Infallible, Failure> {
    let WorkerContext {
        options,
        listeners,
        board,
        master,
        queue,
        held,
        multiprocess,
        master_files,
        preloaded,
        development,
    } = context;
    signals::block();
    signal_handlers::share(py).map_err(Failure::python(py))?;
    let listeners: Vec<_> = listeners.into_iter().map(Listener::secured).collect();
    let queue = match queue {
        // To find late requests on kept connections, as the other workers' reactors do.
        None if options.queue_timeout.is_some() => Some(ConnectionQueue::new()?),
        queue => queue,
    };
    let queue = queue.map(ConnectionQueue::secured);
    let needed = options.queue_timeout.map_or(0, |_| listeners.len());
    let held = HeldConnections::new(held, needed)?;
    log::start_thread()?;
    let filter = AccessLogFilter::new(options.access_log_skip.clone(), options.access_log_sample);
    let (to, format) = (&options.access_log, &options.access_log_format);
    let access_log = AccessLog::open(to, format, filter)?.start()?;
    let board = Arc::new(board);
    let dev = development.map(Dev::new);
    let queues = Queues {
        passed: queue,
        held,
    };
    let (shared, handoffs) =
        Shared::new(listeners, access_log, &options, board, master, queues, dev)?;
    shared.prepare_for_losses();
    let timeout = options.graceful_timeout.0;
    start_reactor(Arc::clone(&shared), handoffs, slots(&options), || {
        let orders = Orders::of(&shared.master, master_files, options.error_log.clone())?;
        signals::unblock();
        tokio::spawn(Dispositions::current().keep());
        if options.uwsgi_module {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                shared.stop.begun().await;
                uwsgi_module::begin_end();
            });
        }
        // A request on a kept connection that no slot sees is not seen to be late.
        if multiprocess || options.queue_timeout.is_some() {
            let overflow = Overflow::new(&shared.kept)?;
            fatal::never_ending("balance", balance::run(Arc::clone(&shared), overflow));
        }
        Ok(orders.follow(Arc::clone(&shared), timeout))
    })?;

    let worker = Worker {
        options: &options,
        shared: &shared,
        multiprocess,
    };
    let served = worker.load_and_serve(py, preloaded);
    // Python writes there until the end of the process.
    let _wakeups = match served {
        Ok(wakeups) => wakeups,
        Err(failure) => {
            if let Failure::Python(_) | Failure::System(_) = failure {
                // A thread of the application may have closed one since the last check.
                fatal::check_descriptors();
            }
            worker.close();
            return Err(failure);
        }
    };
    if let Err(failure) = run_hooks(py, Event::WorkerExit) {
        error!("{failure}");
    }
    worker.close();
    if let MasterLink::None = shared.master {
        info!("stopped");
    }
    // The reactor still enforces --graceful-timeout.
    let spent = shared.stop.begun_for().unwrap_or_default();
    let left = timeout.saturating_sub(spent + EXIT_HANDLERS_TIME);
    let deadline = Deadline::set(py, left);
    run_exit_handlers(py, left);
    drop(deadline);
    // The interpreter's teardown and daemon threads get in each other's way.
    exit_now(0)
}

/// A worker on its way.
struct Worker<'a> {
    options: &'a Options,
    shared: &'a Arc<Shared>,
    multiprocess: bool,
}

impl Worker<'_> {
    fn load_and_serve(
        &self,
        py: Python<'_>,
        preloaded: Option<Loaded>,
    ) -> Result<SignalWakeups, Failure> {
        self.shared.monitor.prepare(py);
        let watch = self.watch_start(py);
        let dispositions = Dispositions::current();
        let started = Instant::now();
        let loaded = match preloaded {
            Some(loaded) => loaded,
            None => self.load(py)?,
        };
        let import_time = started.elapsed();
        watch.enter(Step::Hooks);
        if self.options.uwsgi_module {
            uwsgi_module::begin_worker();
        }
        run_hooks(py, Event::PostFork)?;
        run_hooks(py, Event::WorkerStart)?;
        dispositions.restore();
        // Before anything new can get the number of a lost descriptor: two eventfds or epoll
        // instances cannot be told apart.
        fatal::check_descriptors();

        let wakeups = SignalWakeups::install(py).map_err(Failure::python(py))?;
        let service = Service {
            application: loaded.application.clone_ref(py),
            mounts: Mounts::new(py, &loaded.mounts).map(Arc::new),
            server: self.server_info(),
        };
        if let Some(path) = &self.options.warm_up {
            watch.enter(Step::WarmUp);
            let warmed_up = warm_up(py, &service, &path.0);
            fatal::check_descriptors();
            warmed_up.map_err(Failure::WarmUp)?;
        }
        drop(watch);
        one_thread::expect(self.options.threads);
        let demand = self.options.demand(self.shared.listeners.len());
        file_limit::check_loaded(&demand).map_err(StartError::from)?;
        let slots = self
            .make_slots(py, &service, &wakeups)
            .map_err(Failure::python(py))?;
        let threads = start_threads(py, slots.len() - 1).map_err(Failure::python(py))?;
        // First, for the master may have an end in mind as soon as it hears of it.
        if !self.shared.start.complete() {
            py.detach(|| -> () { wait_for_the_end() });
        }
        self.announce(&loaded, import_time);
        run_slots(py, slots, threads).map_err(Failure::python(py))?;
        py.detach(|| self.shared.wait_for_responses());
        Ok(wakeups)
    }

    fn load(&self, py: Python<'_>) -> Result<Loaded, Failure> {
        let loaded = Loaded::load(py, self.options);
        match &self.shared.dev {
            Some(dev) => dev.loaded(py, loaded, &self.shared.master),
            None => Ok(loaded?),
        }
    }

    /// Has somebody say so if the start takes long. Without a master it is for the platform to
    /// end it.
    fn watch_start(&self, py: Python<'_>) -> StartWatch {
        let shared = Arc::clone(self.shared);
        let last_resort = shared.monitor.last_resort().cloned();
        let timeout = self.options.start_timeout.0;
        StartWatch::post_with(py, timeout, last_resort, move |doing| {
            if let MasterLink::None = shared.master {
                return error!("the application is still not ready: {doing}");
            }
            let failed = too_late(doing);
            let code = failed.code;
            shared.master.send(&FromWorker::Failed(failed));
            exit_now(code)
        })
    }

    fn make_slots(
        &self,
        py: Python<'_>,
        service: &Service,
        wakeups: &SignalWakeups,
    ) -> PyResult<Vec<Slot>> {
        (0..slots(self.options))
            .map(|index| {
                // The first slot runs in the main thread, where Python runs signal handlers.
                let signals = match index {
                    0 => Some(wakeups.receiver()?),
                    _ => None,
                };
                Slot::new(py, index, Arc::clone(self.shared), service, signals)
            })
            .collect()
    }

    /// What requests are told where the front end says nothing.
    fn server_info(&self) -> ServerInfo {
        let tcp = self
            .shared
            .listeners
            .iter()
            .find_map(|listener| match listener.address() {
                Address::Tcp(address) => Some(address),
                _ => None,
            });
        ServerInfo {
            multithread: self.options.threads > 1,
            multiprocess: self.multiprocess,
            server_name: tcp.map_or_else(|| "localhost".to_owned(), |tcp| tcp.ip().to_string()),
            server_port: tcp.map_or(80, SocketAddr::port),
            forwarded_proto: if self.options.trust_forwarded_proto {
                ForwardedProto::Trust
            } else {
                ForwardedProto::Ignore
            },
        }
    }

    fn announce(&self, loaded: &Loaded, import_time: Duration) {
        let import_ms = millis(import_time);
        if let MasterLink::None = self.shared.master {
            info!(name = loaded.name, import_ms, "application loaded");
            info!(threads = self.options.threads, "ready");
            log::start_is_over();
        }
        self.shared.master.send(&FromWorker::Ready {
            pid: rustix::process::getpid().as_raw_pid(),
            application: loaded.name.clone(),
            import_ms,
        });
    }

    /// Ends what is not Python's. The sockets are the server's: they go with it alone.
    fn close(&self) {
        if let MasterLink::None = self.shared.master {
            self.shared.close_to_newcomers();
        }
        self.shared.access_log.close();
        if self.options.uwsgi_module {
            uwsgi_module::end_worker();
        }
    }
}

/// A thread that waits for its slot.
struct SlotThread<'py> {
    slot: mpsc::Sender<Slot>,
    thread: Bound<'py, PyAny>,
}

/// Starts threads of Python, so that `threading` and everything built on it knows them. They
/// serve nobody yet: if there cannot be as many, the worker has not begun.
fn start_threads(py: Python<'_>, count: usize) -> PyResult<Vec<SlotThread<'_>>> {
    let class = py.import("threading")?.getattr("Thread")?;
    let here = thread::current().id();
    // gevent's greenlets all run in the thread that they are started from.
    let is_patched = Arc::new(AtomicBool::new(false));
    (1..=count)
        .map(|index| {
            let (sender, receiver) = mpsc::channel::<Slot>();
            let receiver = Mutex::new(receiver);
            let patched = Arc::clone(&is_patched);
            let target = PyCFunction::new_closure(py, Some(c"slot"), None, move |args, _| {
                if thread::current().id() == here {
                    patched.store(true, Ordering::Relaxed);
                    return;
                }
                let py = args.py();
                let slot = py.detach(|| {
                    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                    receiver.recv()
                });
                if let Ok(slot) = slot {
                    slot.run(py);
                }
            })?;
            let arguments = PyDict::new(py);
            arguments.set_item("target", target)?;
            arguments.set_item("name", format!("scoter-slot-{index}"))?;
            // A request that never ends must not keep the interpreter from its exit.
            arguments.set_item("daemon", true)?;
            let thread = class.call((), Some(&arguments))?;
            thread.call_method0("start")?;
            if is_patched.load(Ordering::Relaxed) {
                return Err(PyRuntimeError::new_err(
                    "threading does not start threads, because it has been patched (by gevent?): \
                     use --threads 1, or do not patch it",
                ));
            }
            Ok(SlotThread {
                slot: sender,
                thread,
            })
        })
        .collect()
}

/// Runs the slots until the worker stops: the first one here, the others in `threads`.
fn run_slots(py: Python<'_>, slots: Vec<Slot>, threads: Vec<SlotThread<'_>>) -> PyResult<()> {
    let mut slots = slots.into_iter();
    let main = slots.next();
    for (waiting, slot) in threads.iter().zip(slots) {
        waiting
            .slot
            .send(slot)
            .map_err(|_| PyRuntimeError::new_err("a thread ended before it had anything to do"))?;
    }
    if let Some(main) = main {
        main.run(py);
    }
    for SlotThread { thread, .. } in threads {
        thread.call_method0("join")?;
    }
    Ok(())
}

fn slots(options: &Options) -> usize {
    usize::from(options.threads)
}

/// What is left of `--graceful-timeout` for exit handlers when threads do not end.
const EXIT_HANDLERS_TIME: Duration = Duration::from_secs(1);
