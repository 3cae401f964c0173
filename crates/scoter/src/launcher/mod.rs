//! The launcher: one process per generation of the code, from which the workers are forked.
//!
//! It is started by exec and has one thread, so that forking is safe. With `--preload` it
//! imports the application first, and its workers share that memory. Once its channel to the
//! master has closed, it exits with its last worker.

mod lookout;

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::time::TimeSpec;
use pyo3::prelude::*;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::stdio::{dup2_stdin, stdin};
use rustix::thread::set_name;
use tracing::{error, warn};

use lookout::Lookout;

use crate::config::{Options, Settings};
use crate::failure::Failure;
use crate::ipc::channel::{Channel, Received};
use crate::ipc::messages::{Configuration, Failed, FromLauncher, FromWorker, ToLauncher};
use crate::ipc::scoreboard::Scoreboard;
use crate::log::{self, ProcessRole};
use crate::net::{AllowList, BindError, Description, Listener, SocketFile};
use crate::python::application::Loaded;
use crate::python::child_processes::{Deadline, terminate_children};
use crate::python::exit_handlers::run_exit_handlers;
use crate::python::faulthandler::describe_crashes_in;
use crate::python::fork_hooks::{watch_forks, watch_hooks_of_forks};
use crate::python::hooks::set_worker_id;
use crate::python::search_path;
use crate::python::signal_handlers;
use crate::python::start_watch::{StartWatch, too_late};
use crate::python::traceback::traceback;
use crate::sys::descriptors::{fill_standard_streams, move_up, watch_for_ever};
use crate::sys::disposition::{Disposition, survive};
use crate::sys::file_limit;
use crate::sys::fork::{self, Own};
use crate::sys::process::exit_now;
use crate::sys::signals::ACTED_ON;
use crate::worker::{
    Dispositions, MASTER_GONE, MasterLink, WorkerContext, is_first_to_miss_master, serve,
};

/// Runs a launcher, whose line to the master is its standard input. Returns the exit code
/// where it never came to fork.
pub(crate) fn run(py: Python<'_>) -> u8 {
    fill_standard_streams();
    let Ok(line) = take_line() else {
        return 2;
    };
    match prepare(py, &line) {
        Ok(Some(launcher)) => launcher.with(line).run(py),
        Ok(None) => 0,
        Err(failure) => {
            // The master says it; without one there is nobody to serve for.
            let _ = line.send(&FromLauncher::Failed(failure.report()), &[]);
            failure.exit_code()
        }
    }
}

/// Moves the line away from where the application would look for its standard input.
fn take_line() -> io::Result<Channel> {
    let line: Own = move_up(fcntl_dupfd_cloexec(stdin(), 3)?);
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    Ok(Channel::from(line))
}

/// Learns what to launch, and loads it if it is to be shared. `None`: the master has gone.
fn prepare(py: Python<'_>, line: &Channel) -> Result<Option<Prepared>, Failure> {
    let _ = set_name(c"scoter-launcher");
    watch_forks(py).map_err(Failure::python(py))?;
    fork::replace(&ACTED_ON.map(|signal| signal as i32), || {
        ACTED_ON.into_iter().for_each(survive);
    });
    line.send(
        &FromLauncher::Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        &[],
    )?;
    let Some((configuration, mut fds)) = py.detach(|| await_configuration(line))? else {
        return Ok(None);
    };
    let python = Failure::python(py);
    if let Some(crash) = fds.pop() {
        describe_crashes_in(py, crash).map_err(&python)?;
    }
    let options = Settings::from_json(&configuration.settings)
        .map_err(|error| error.to_string())
        .and_then(|settings| settings.options().map_err(|error| error.to_string()))
        .map_err(io::Error::other)?;
    if let Some(before) = configuration.file_limit {
        file_limit::inherit(before);
    }
    log::init(options.log_level, options.log_format);
    search_path::apply(configuration.path, py).map_err(&python)?;
    let mut prepared = Prepared {
        options,
        listeners: configuration
            .listeners
            .into_iter()
            .zip(fds.into_iter().map(move_up))
            .collect(),
        control: configuration.control,
        preloaded: None,
    };
    // For the slots of every worker: imported once, in pages that they share.
    py.import("threading").map_err(&python)?;
    if prepared.options.preload {
        let lookout = Lookout::post(line, prepared.estate()?)?;
        let answer = line.try_clone()?;
        let timeout = prepared.options.start_timeout.0;
        let watch = StartWatch::post(py, timeout, move |doing| {
            let failed = too_late(doing);
            let code = failed.code;
            let _ = answer.send(&FromLauncher::Failed(failed), &[]);
            exit_now(code)
        });
        let loaded = preload(py, &prepared.options);
        drop(watch);
        lookout.relieve();
        prepared.preloaded = Some(loaded?);
    }
    watch_hooks_of_forks(py).map_err(&python)?;
    Ok(Some(prepared))
}

fn await_configuration(line: &Channel) -> io::Result<Option<(Configuration, Vec<Own>)>> {
    loop {
        wait(Some(line), SigSet::empty())?;
        match line.receive() {
            Ok(Received::Message(ToLauncher::Configure, mut fds)) if !fds.is_empty() => {
                let configuration = Configuration::from_memory(fds.remove(0).into())?;
                return Ok(Some((configuration, fds)));
            }
            Ok(Received::Message(ToLauncher::Configure, _)) => {
                return Err(io::Error::other("the configuration did not arrive"));
            }
            Ok(Received::Message(ToLauncher::Fork { .. }, _)) => {}
            Ok(Received::Message(ToLauncher::End, _) | Received::End) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn preload(py: Python<'_>, options: &Options) -> Result<Loaded, Failure> {
    let python = Failure::python(py);
    // The workers run the handlers that the application installs.
    signal_handlers::share(py).map_err(&python)?;
    ACTED_ON.into_iter().for_each(survive);
    let dispositions = Dispositions::current();
    let loaded = Loaded::load(py, options)?;
    dispositions.restore();
    freeze(py).map_err(&python)?;
    Ok(loaded)
}

/// Moves what there is out of the collector's sight: a collection in a worker would write
/// to the pages that it shares (gc.freeze in Python's documentation).
fn freeze(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    gc.call_method0("collect")?;
    gc.call_method0("freeze")?;
    Ok(())
}

/// What every worker of this generation is given.
struct Prepared {
    options: Options,
    listeners: Vec<(Description, Own)>,
    control: Option<SocketFile>,
    preloaded: Option<Loaded>,
}

impl Prepared {
    fn with(self, line: Channel) -> Launcher {
        Launcher {
            line,
            given: self,
            workers: HashSet::new(),
        }
    }

    /// What is to be cleared up when the master is gone.
    fn estate(&self) -> Result<Estate, Failure> {
        let allow = AllowList::new(Vec::new());
        let mut listeners = Vec::new();
        for (description, fd) in &self.listeners {
            let listener = Listener::adopt(fd.try_clone()?, description.clone(), &allow);
            listeners.push(listener.map_err(BindError::from)?);
        }
        Ok(Estate {
            listeners,
            control: self.control.clone(),
        })
    }

    fn into_context(
        self,
        line: Own,
        board: Own,
        multiprocess: bool,
    ) -> Result<WorkerContext, Failure> {
        let allow = AllowList::new(self.options.allow.clone());
        let adopt = |(description, fd)| Listener::adopt(fd, description, &allow);
        let listeners: Result<_, _> = self.listeners.into_iter().map(adopt).collect();
        Ok(WorkerContext {
            listeners: listeners.map_err(BindError::from)?,
            board: Scoreboard::attach(board)?,
            master: MasterLink::Channel(Channel::from(line)),
            multiprocess,
            control: self.control,
            preloaded: self.preloaded,
            options: self.options,
        })
    }
}

/// What a master that is gone leaves behind.
#[derive(Debug)]
struct Estate {
    listeners: Vec<Listener>,
    control: Option<SocketFile>,
}

impl Estate {
    /// Lets nobody connect any more, and removes the sockets.
    fn clear(&self) {
        let first = is_first_to_miss_master(&self.listeners);
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        if let Some(control) = &self.control {
            let _ = control.unlink();
        }
        if first {
            error!("{MASTER_GONE}");
        }
    }
}

struct Launcher {
    line: Channel,
    given: Prepared,
    workers: HashSet<Pid>,
}

/// A worker that has just been forked, in its own process.
struct Newborn {
    worker: u32,
    line: Own,
    board: Own,
    crash: Own,
}

impl Launcher {
    /// Forks and reaps until the master is done with this generation, then ends the process.
    fn run(mut self, py: Python<'_>) -> ! {
        // What the application has installed is for the workers' children, not for workers.
        let before = Disposition::of(Signal::SIGCHLD as i32);
        // A worker that ends between two looks must interrupt the wait behind them: CHLD is
        // let through only while waiting.
        fork::replace(&[Signal::SIGCHLD as i32], || survive(Signal::SIGCHLD));
        let children = SigSet::from_iter([Signal::SIGCHLD]);
        let mask = children
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .unwrap_or_else(|_| SigSet::empty());
        self.tell(&FromLauncher::Prepared);
        let mut open = true;
        while open || !self.workers.is_empty() {
            self.reap();
            let waited = py.detach(|| wait(open.then_some(&self.line), mask));
            if let Err(error) = waited {
                error!(%error, "the launcher cannot wait for orders");
                break;
            }
            while open {
                match self.line.receive() {
                    Ok(Received::Message(
                        ToLauncher::Fork {
                            worker,
                            serial,
                            multiprocess,
                        },
                        fds,
                    )) => {
                        let newborn = self.fork(py, worker, serial, fds);
                        if let Some(newborn) = newborn {
                            before.restore();
                            let _ = mask.thread_set_mask();
                            become_worker(py, self, newborn, multiprocess);
                        }
                    }
                    Ok(Received::Message(ToLauncher::Configure, _)) => {}
                    Ok(Received::Message(ToLauncher::End, _)) => open = false,
                    Ok(Received::End) => {
                        open = false;
                        // Workers have a line of their own, and more to say.
                        if self.workers.is_empty() {
                            if let Ok(estate) = self.given.estate() {
                                estate.clear();
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        error!(%error, "invalid message from the master");
                    }
                    // An application that closes descriptors which are not its own.
                    Err(error) => {
                        error!(%error, "the launcher's channel to the master is broken");
                        exit_now(1);
                    }
                }
            }
        }
        if self.given.preloaded.is_some() {
            let deadline = Deadline::set(py, EXIT_PATIENCE);
            run_exit_handlers(py, EXIT_PATIENCE);
            drop(deadline);
            terminate_children();
        }
        exit_now(0)
    }

    /// Forks a worker. In its process it comes back with what belongs to it.
    fn fork(&mut self, py: Python<'_>, worker: u32, serial: u64, fds: Vec<Own>) -> Option<Newborn> {
        let Ok([line, board, crash]) = <[Own; 3]>::try_from(fds) else {
            self.tell(&FromLauncher::ForkFailed {
                serial,
                error: "its descriptors did not arrive".to_owned(),
            });
            return None;
        };
        self.warn_of_threads(py, worker);
        // CPython's own fork: its hooks put locks and thread states right, and run what
        // libraries registered with os.register_at_fork().
        let fork = || py.import("os")?.call_method0("fork")?.extract::<i32>();
        let message = match fork::of_our_own(fork).map(Pid::from_raw) {
            Ok(None) => {
                return Some(Newborn {
                    worker,
                    line,
                    board,
                    crash,
                });
            }
            Ok(Some(pid)) => {
                self.workers.insert(pid);
                FromLauncher::Forked {
                    serial,
                    pid: pid.as_raw_pid(),
                }
            }
            Err(error) => FromLauncher::ForkFailed {
                serial,
                error: Failed::new(1, &traceback(py, &error)).message,
            },
        };
        self.tell(&message);
        None
    }

    /// A lock that another thread holds during a fork stays locked in the child for ever.
    fn warn_of_threads(&self, py: Python<'_>, worker: u32) {
        if self.given.preloaded.is_none() {
            return;
        }
        let names = live_threads(py).unwrap_or_default();
        if !names.is_empty() {
            let threads = names.join(", ");
            warn!(
                worker,
                threads,
                "--preload forks while application threads are running: the worker does not have \
                 them, and the locks they hold stay locked (start them in scoter.hooks.post_fork)"
            );
        }
    }

    fn reap(&mut self) {
        let ended: Vec<_> = self
            .workers
            .iter()
            .filter_map(|&pid| match waitpid(Some(pid), WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => Some((pid, status.as_raw())),
                _ => None,
            })
            .collect();
        for (pid, status) in ended {
            self.workers.remove(&pid);
            self.tell(&FromLauncher::Exited {
                pid: pid.as_raw_pid(),
                status,
            });
        }
    }

    fn tell(&self, message: &FromLauncher) {
        // A master that is gone is noticed by the end of the line.
        let _ = self.line.send(message, &[]);
    }
}

fn become_worker(py: Python<'_>, launcher: Launcher, newborn: Newborn, multiprocess: bool) -> ! {
    // The launcher's line must end with the launcher.
    drop(launcher.line);
    set_worker_id(newborn.worker);
    log::set_process_role(ProcessRole::Worker { id: newborn.worker });
    let name = CString::new(format!("scoter-w{}", newborn.worker)).unwrap_or_default();
    let _ = set_name(&name);
    if let Err(failure) = describe_crashes_in(py, newborn.crash) {
        let traceback = traceback(py, &failure);
        warn!(%traceback, "no stack will be logged if this worker crashes");
    }
    let line: Own = move_up(newborn.line);
    let report = line.try_clone().map(Channel::from);
    if let Ok(report) = &report {
        watch_for_ever("channel to the master, for a failed start", report);
    }
    let served = launcher
        .given
        .into_context(line, newborn.board, multiprocess)
        .and_then(|context| serve(py, context));
    let failure = match served {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let told = report.and_then(|line| line.send(&FromWorker::Failed(failure.report()), &[]));
    if told.is_err() {
        error!("{failure}");
    }
    exit_now(failure.exit_code())
}

/// Waits for a message, for a worker's end, or for a moment.
fn wait(line: Option<&Channel>, mask: SigSet) -> io::Result<()> {
    let mut fds: Vec<_> = line
        .iter()
        .map(|line| PollFd::new(line.as_fd(), PollFlags::POLLIN))
        .collect();
    // A thread that the application has started may receive CHLD instead.
    let timeout = Some(TimeSpec::from_duration(LONGEST_WAIT));
    match ppoll(&mut fds, timeout, Some(mask)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn live_threads(py: Python<'_>) -> PyResult<Vec<String>> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?;
    let mut names = Vec::new();
    for thread in threading.call_method0("enumerate")?.try_iter()? {
        let thread = thread?;
        if !thread.is(&main) {
            names.push(thread.getattr("name")?.to_string());
        }
    }
    Ok(names)
}

/// How long a worker's end goes unnoticed at most.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// For the threads and processes that a preloaded application has left running.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
