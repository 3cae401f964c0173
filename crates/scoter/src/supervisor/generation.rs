//! A generation: one state of the code and the configuration, and the launcher that forks
//! its workers.

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::backoff::{Backoff, Service};
use super::event::Event;
use super::liveness::Silence;
use crate::config::{Options, Settings};
use crate::crash_report::CrashReport;
use crate::file_limit;
use crate::line::{Configuration, FromLauncher, Line, Received, ToLauncher};
use crate::listen::{Listener, SocketFile};
use crate::program::Program;

/// A generation, from its first launcher to its last worker.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u32,
    /// The working directory, links resolved: where code without `--chdir` is found.
    pub(super) directory: Option<PathBuf>,
    pub(super) settings: Settings,
    pub(super) options: Options,
    pub(super) launcher: Option<Launcher>,
    /// When the next launcher may be started, after one has died.
    pub(super) backoff: Backoff,
}

/// The process that forks a generation's workers.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) pid: Pid,
    /// Whether it can fork: with `--preload` the application is loaded.
    pub(super) prepared: bool,
    pub(super) started: Instant,
    /// Whether anything has been heard of it.
    pub(super) said_hello: bool,
    /// How many messages have come from it, and for how long none has that was due.
    pub(super) messages: u64,
    pub(super) silence: Silence,
    /// Whether its line has ended.
    pub(super) silent: bool,
    /// When its process ended, and how, while its line may still have something to say.
    pub(super) exited: Option<(Instant, Option<i32>)>,
    /// What its crash leaves; nothing of one that another master has started.
    pub(super) crash: Option<CrashReport>,
    line: Arc<AsyncFd<Line>>,
    reader: JoinHandle<()>,
}

/// A launcher that is to end by itself, once its last worker has.
#[derive(Debug)]
pub(super) struct Departing {
    pub(super) pid: Pid,
    /// When it has to be gone.
    pub(super) deadline: Instant,
    pub(super) killed: bool,
}

impl Departing {
    /// A launcher without workers, which has the exit handlers of a preloaded application
    /// to run.
    pub(super) fn new(pid: Pid) -> Self {
        Self {
            pid,
            deadline: Instant::now() + EXIT_TIME,
            killed: false,
        }
    }
}

impl Generation {
    /// The directory that a launcher has to be started in, unless that is where this process
    /// is: it may be one that the user of `--user` cannot enter by its name.
    fn elsewhere(&self) -> Option<&Path> {
        let directory = self.directory.as_deref();
        let directory = directory.filter(|_| self.options.chdir.is_none())?;
        let is_here = env::current_dir().is_ok_and(|here| here == directory);
        (!is_here).then_some(directory)
    }

    /// When its launcher has to be prepared.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let launcher = self.launcher.as_ref();
        let loading = launcher.filter(|launcher| !launcher.prepared)?;
        Some(loading.started + self.options.start_timeout.0 + LAST_WORDS)
    }
}

impl Launcher {
    /// Starts a launcher, and tells it what to launch.
    pub(super) fn start(
        generation: &Generation,
        program: &Program,
        listeners: &[Listener],
        control: Option<&SocketFile>,
        events: mpsc::Sender<Event>,
    ) -> io::Result<Self> {
        let (ours, theirs) = Line::pair()?;
        let mut command: Command = program.launcher();
        // The line goes as standard input: no other descriptor survives the exec.
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        if let Some(directory) = generation.elsewhere() {
            fs::metadata(directory).map_err(|error| {
                let text = format!("the working directory {}: {error}", directory.display());
                io::Error::new(error.kind(), text)
            })?;
            command.current_dir(directory);
        }
        // A stop with Ctrl-C is the master's to spread.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // The master reaps whatever ends, strangers included.
        let child = command.spawn().map_err(|error| {
            let program = Path::new(command.get_program()).display();
            io::Error::new(error.kind(), format!("{program}: {error}"))
        })?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let configuration = Configuration {
            settings: generation.settings.to_json(),
            listeners: listeners.iter().map(Listener::describe).collect(),
            control: control.cloned(),
            path: program.search_path().clone(),
            file_limit: Some(file_limit::before()),
        };
        // From here on the launcher learns that it is let go, if anything goes wrong.
        let mut launcher = Self::adopt(generation.number, pid, ours, false, events)?;
        let memory = configuration.to_memory()?;
        let crash = CrashReport::create()?;
        let sockets = listeners.iter().map(AsFd::as_fd);
        let fds = std::iter::once(memory.as_fd()).chain(sockets);
        let fds: Vec<_> = fds.chain([crash.as_fd()]).collect();
        launcher.line.get_ref().send(&ToLauncher::Configure, &fds)?;
        launcher.crash = Some(crash);
        Ok(launcher)
    }

    /// Takes over a launcher that runs already.
    pub(super) fn adopt(
        generation: u32,
        pid: Pid,
        line: Line,
        prepared: bool,
        events: mpsc::Sender<Event>,
    ) -> io::Result<Self> {
        let line = Arc::new(line.watch()?);
        let reader = tokio::spawn(read(generation, Arc::clone(&line), events));
        Ok(Self {
            pid,
            prepared,
            started: Instant::now(),
            said_hello: prepared,
            messages: 0,
            silence: Silence::default(),
            silent: false,
            exited: None,
            crash: None,
            line,
            reader,
        })
    }

    /// Has a worker forked.
    pub(super) fn fork(
        &self,
        worker: u32,
        serial: u64,
        multiprocess: bool,
        fds: [BorrowedFd<'_>; 3],
    ) -> io::Result<()> {
        let order = ToLauncher::Fork {
            worker,
            serial,
            multiprocess,
        };
        self.line.get_ref().send(&order, &fds)
    }

    /// What it has done for its generation.
    pub(super) fn service(&self) -> Service {
        Service {
            ready_for: self.prepared.then(|| self.started.elapsed()),
            finished: 0,
        }
    }

    /// Sends a signal, unless it has been reaped: the number may be another process's by now.
    pub(super) fn signal(&self, signal: Signal) {
        if self.exited.is_some() {
            return;
        }
        if let Err(error) = kill(self.pid, signal) {
            debug!(%error, pid = self.pid.as_raw(), "the launcher was not signalled");
        }
    }
}

impl AsFd for Launcher {
    /// Its line.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.get_ref().as_fd()
    }
}

impl Drop for Launcher {
    /// Lets the launcher end with its last worker. A line that ends without a word means to
    /// it that the whole server is gone.
    fn drop(&mut self) {
        self.reader.abort();
        let _ = self.line.get_ref().send(&ToLauncher::End, &[]);
    }
}

async fn read(generation: u32, line: Arc<AsyncFd<Line>>, events: mpsc::Sender<Event>) {
    loop {
        let received = line
            .async_io(Interest::READABLE, Line::receive::<FromLauncher>)
            .await;
        let event = match received {
            Ok(Received::Message(message, _)) => Event::Launcher(generation, message),
            Ok(Received::End) => Event::LauncherGone(generation),
            Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                warn!(%error, generation, "a launcher's line is broken");
                Event::LauncherGone(generation)
            }
            Err(error) => {
                warn!(%error, generation, "a launcher was not understood");
                continue;
            }
        };
        let last = matches!(event, Event::LauncherGone(_));
        if events.send(event).await.is_err() || last {
            return;
        }
    }
}

/// What a process has beyond `--start-timeout` to say itself where it hangs.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// For the exit handlers of a launcher.
const EXIT_TIME: Duration = Duration::from_secs(3);
