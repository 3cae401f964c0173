//! Upgrade: the master gives way to the release that is installed now, in the same process,
//! while the workers serve on; then it reloads.

use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::{Pid, execve};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::backoff::Backoff;
use super::generation::{Generation, Launcher};
use super::reload::{Again, Reply};
use super::supervisor::Supervisor;
use super::worker::{Phase, Worker};
use crate::config::{Options, Settings};
use crate::control::{ControlListener, ReloadError, ReloadStatus, Totals};
use crate::failure::Failure;
use crate::file_limit;
use crate::line::Line;
use crate::listen::{AllowList, BindError, Description, Listener};
use crate::process::own;
use crate::scoreboard::Scoreboard;
use crate::search_path::SearchPath;
use crate::start::Opened;

/// The variable that names the descriptor with the [`State`].
pub(crate) const RESUME: &str = "SCOTER_UPGRADE_FD";

/// What one release leaves to the next. Fields may come, with a default, but not go.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    current: u32,
    next_generation: u32,
    next_serial: u64,
    wanted: u32,
    started_at: Timestamp,
    gone: Totals,
    last_reload: Option<ReloadStatus>,
    listeners: Vec<(RawFd, Description)>,
    control: Option<(RawFd, PathBuf)>,
    #[serde(default)]
    path: SearchPath,
    /// The soft limit of open files that the server was started with.
    #[serde(default)]
    file_limit: Option<u64>,
    generations: Vec<GenerationState>,
    workers: Vec<WorkerState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GenerationState {
    number: u32,
    #[serde(default)]
    directory: Option<PathBuf>,
    settings: String,
    launcher: Option<LauncherState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LauncherState {
    pid: i32,
    line: RawFd,
    prepared: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct WorkerState {
    serial: u64,
    id: u32,
    generation: u32,
    pid: Option<i32>,
    phase: Phase,
    age: Duration,
    /// Until its deadline, and until `--max-lifetime` is over.
    deadline: Option<Duration>,
    expires: Option<Duration>,
    replace: Option<String>,
    line: RawFd,
    board: RawFd,
}

/// The new release, asked whether it understands the configuration.
#[derive(Debug)]
pub(super) struct Preflight {
    pub(super) pid: Pid,
    origin: &'static str,
    /// What it has to say.
    output: File,
    begun: Instant,
    reply: Option<Reply>,
}

impl Preflight {
    /// Forgets it: there is something else to do.
    pub(super) fn cancel(self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        if let Some(reply) = self.reply {
            let _ = reply.send(Err(ReloadError::Busy("the server stops".to_owned())));
        }
    }
}

/// Takes what an earlier release has left, if this process has begun as one.
///
/// # Errors
///
/// Those of reading it; the workers of the earlier release then end by themselves.
pub(super) fn resumed() -> io::Result<Option<State>> {
    let Some(number) = env::var_os(RESUME) else {
        return Ok(None);
    };
    let number = number.to_str().and_then(|number| number.parse().ok());
    let mut file = File::from(own(number.ok_or(io::ErrorKind::InvalidInput)?)?);
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    let state: State = serde_json::from_str(&text)?;
    if let Some(before) = state.file_limit {
        file_limit::inherit(before);
    }
    Ok(Some(state))
}

impl State {
    /// Takes the sockets over.
    ///
    /// # Errors
    ///
    /// [`Failure`] for a descriptor that is not what it should be.
    pub(super) fn opened(&mut self, options: &Options) -> Result<Opened, Failure> {
        let allow = AllowList::new(options.allow.clone());
        let mut listeners = Vec::new();
        for (number, description) in self.listeners.drain(..) {
            let listener = Listener::adopt(own(number)?, description, &allow);
            listeners.push(listener.map_err(BindError::from)?);
        }
        let control = match self.control.take() {
            Some((number, path)) => Some(ControlListener::from_fd(own(number)?, &path)?),
            None => None,
        };
        Ok(Opened { listeners, control })
    }
}

impl Supervisor {
    /// Asks the installed release whether it can take over, and lets it if so.
    pub(super) fn begin_upgrade(&mut self, origin: &'static str, reply: Option<Reply>) {
        if let Some(busy) = self.busy() {
            return self.put_off(origin, busy, Again::Upgrade, reply);
        }
        self.begin_reading(Again::Upgrade, origin, reply);
    }

    /// The working directory has been entered: what is there is what the new release finds.
    pub(super) fn begin_preflight(&mut self, origin: &'static str, reply: Option<Reply>) {
        let preflight = || {
            let output = tempfile::tempfile()?;
            let mut command = self.program.preflight();
            command
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output.try_clone()?);
            // The master reaps whatever ends, strangers included.
            let child = command.spawn()?;
            let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
            Ok((Pid::from_raw(pid), output))
        };
        match preflight() {
            Ok((pid, output)) => {
                info!(origin, "upgrading: asking the installed release");
                self.preflight = Some(Preflight {
                    pid,
                    origin,
                    output,
                    begun: Instant::now(),
                    reply,
                });
            }
            Err::<_, io::Error>(error) => self.refuse_upgrade(origin, &error.to_string(), reply),
        }
    }

    /// Gives way to the new release if that has said yes.
    pub(super) fn after_preflight(&mut self, mut preflight: Preflight, status: Option<i32>) {
        if status == Some(0) {
            let error = self.give_way();
            return self.refuse_upgrade(preflight.origin, &error.to_string(), preflight.reply);
        }
        let mut said = String::new();
        let _ = preflight.output.rewind();
        let _ = preflight.output.read_to_string(&mut said);
        let problem = match said.trim() {
            "" => "the installed release cannot be started".to_owned(),
            said => said.to_owned(),
        };
        self.refuse_upgrade(preflight.origin, &problem, preflight.reply);
    }

    /// Ends a look at the installed release that takes too long.
    pub(super) fn limit_preflight(&self) {
        if let Some(preflight) = &self.preflight {
            if preflight.begun.elapsed() > PREFLIGHT_TIME {
                let _ = kill(preflight.pid, Signal::SIGKILL);
            }
        }
    }

    fn refuse_upgrade(&mut self, origin: &'static str, problem: &str, reply: Option<Reply>) {
        error!(origin, "no upgrade, nothing has changed: {problem}");
        self.systemd.reloading("upgrade refused");
        self.note_failed_reload(self.next_generation, problem);
        if let Some(reply) = reply {
            let _ = reply.send(Err(ReloadError::Broken(problem.to_owned())));
        }
        let early = self.early.take();
        self.follow(early);
    }

    /// A launcher comes from another release than this master: the package has been changed
    /// under it.
    pub(super) fn meet_other_version(&mut self, generation: u32, version: &str) {
        let just_resumed = self
            .resumed
            .is_some_and(|resumed| resumed.elapsed() < PREFLIGHT_TIME);
        if just_resumed || !self.started {
            let ours = env!("CARGO_PKG_VERSION");
            return self.on_failed_start(
                generation,
                &crate::line::Failed::new(
                    1,
                    &format!("the installation is inconsistent: releases {ours} and {version}"),
                ),
            );
        }
        info!(version, "another release is installed now");
        let reply = self.rollout.take().and_then(|mut rollout| {
            self.undo(&mut rollout);
            rollout.into_reply()
        });
        self.begin_upgrade("a new release", reply);
    }

    /// Becomes the new release. Returns why it did not.
    fn give_way(&mut self) -> io::Error {
        // What the readers have taken from the lines would be lost.
        while let Ok(event) = self.incoming.try_recv() {
            self.on_event(event);
        }
        if let Some(busy) = self.busy() {
            return io::Error::other(busy);
        }
        let state = self.state();
        let kept = self.descriptors();
        let exec = || {
            let mut file = File::from(memfd_create("scoter-state", MemfdFlags::empty())?);
            file.write_all(&serde_json::to_vec(&state)?)?;
            for fd in &kept {
                fcntl_setfd(fd, FdFlags::empty())?;
            }
            let command = self.program.again();
            let arguments = std::iter::once(command.get_program()).chain(command.get_args());
            let arguments: Vec<_> = arguments.map(|text| c_string(text.to_owned())).collect();
            let variables: Vec<_> = env::vars_os()
                .filter(|(name, _)| name != RESUME)
                .map(|(mut variable, value)| {
                    variable.push("=");
                    variable.push(value);
                    c_string(variable)
                })
                .chain([c_string(format!("{RESUME}={}", file.as_raw_fd()).into())])
                .collect();
            let program = c_string(command.get_program().to_owned());
            let Err(errno) = execve(&program, &arguments, &variables);
            Err::<std::convert::Infallible, _>(io::Error::from(errno))
        };
        // They wait for the new release: what this one took now it would never act on, and the
        // default of most would end the process before there are handlers again (std's own exec
        // would let them through).
        let mask = match SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK) {
            Ok(mask) => mask,
            Err(errno) => return errno.into(),
        };
        info!("giving way to the installed release");
        let error = match exec() {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let _ = mask.thread_set_mask();
        for fd in &kept {
            let _ = fcntl_setfd(fd, FdFlags::CLOEXEC);
        }
        error
    }

    fn state(&self) -> State {
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        State {
            current: self.current,
            next_generation: self.next_generation,
            next_serial: self.next_serial,
            wanted: self.scale.wanted(),
            started_at: self.started_at,
            gone: self.gone.clone(),
            last_reload: self.last_reload.clone(),
            listeners: self
                .listeners
                .iter()
                .map(|listener| (listener.as_fd().as_raw_fd(), listener.describe()))
                .collect(),
            control: self
                .control
                .as_ref()
                .map(|control| (control.as_fd().as_raw_fd(), control.path().to_owned())),
            path: self.program.search_path().clone(),
            file_limit: Some(file_limit::before()),
            generations: self
                .generations
                .iter()
                .map(|generation| GenerationState {
                    number: generation.number,
                    directory: generation.directory.clone(),
                    settings: generation.settings.to_json(),
                    launcher: generation.launcher.as_ref().map(|launcher| LauncherState {
                        pid: launcher.pid.as_raw(),
                        line: launcher.as_fd().as_raw_fd(),
                        prepared: launcher.prepared,
                    }),
                })
                .collect(),
            workers: self
                .workers
                .iter()
                .map(|worker| WorkerState {
                    serial: worker.serial,
                    id: worker.id,
                    generation: worker.generation,
                    pid: worker.pid.map(Pid::as_raw),
                    phase: worker.phase,
                    age: worker.started.elapsed(),
                    deadline: worker.deadline.map(left),
                    expires: worker.expires.map(left),
                    replace: worker.replace.clone(),
                    line: worker.as_fd().as_raw_fd(),
                    board: worker.board.as_fd().as_raw_fd(),
                })
                .collect(),
        }
    }

    /// Everything that the new release needs open.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let control = self.control.iter().map(AsFd::as_fd);
        let launchers = self.generations.iter();
        let launchers = launchers.filter_map(|generation| generation.launcher.as_ref());
        let lines = self.workers.iter().map(AsFd::as_fd);
        let boards = self.workers.iter().map(|worker| worker.board.as_fd());
        listeners
            .chain(control)
            .chain(launchers.map(AsFd::as_fd))
            .chain(lines)
            .chain(boards)
            .collect()
    }

    /// Takes over from an earlier release, and replaces its workers.
    pub(super) fn resume(&mut self, state: State) -> io::Result<()> {
        let now = Instant::now();
        self.current = state.current;
        self.next_generation = state.next_generation;
        self.next_serial = state.next_serial;
        self.scale.set(state.wanted);
        self.started_at = state.started_at;
        self.gone = state.gone;
        self.program.keep_search_path(state.path);
        self.last_reload = state.last_reload;
        self.proven = true;
        self.started = true;
        self.resumed = Some(now);
        for generation in state.generations {
            self.adopt_generation(generation)?;
        }
        for worker in state.workers {
            let mut adopted = Worker::new(
                worker.serial,
                worker.id,
                worker.generation,
                Line::from(own(worker.line)?),
                Scoreboard::attach(own(worker.board)?)?,
                self.events.clone(),
            )?;
            adopted.pid = worker.pid.map(Pid::from_raw);
            adopted.phase = worker.phase;
            adopted.started = now.checked_sub(worker.age).unwrap_or(now);
            adopted.ready = (worker.phase != Phase::Starting).then_some(adopted.started);
            adopted.deadline = worker.deadline.map(|left| now + left);
            adopted.expires = worker.expires.map(|left| now + left);
            adopted.replace = worker.replace;
            self.workers.push(adopted);
        }
        info!(
            version = env!("CARGO_PKG_VERSION"),
            "taken over from the release before"
        );
        self.reload("the upgrade", None);
        Ok(())
    }

    fn adopt_generation(&mut self, state: GenerationState) -> io::Result<()> {
        // The old release may have known options that this one does not.
        let (settings, options) = Settings::from_json(&state.settings)
            .ok()
            .and_then(|settings| settings.options().ok().map(|options| (settings, options)))
            .unwrap_or_else(|| (self.settings.clone(), self.options.clone()));
        let launcher = match state.launcher {
            Some(launcher) => Some(Launcher::adopt(
                state.number,
                Pid::from_raw(launcher.pid),
                Line::from(own(launcher.line)?),
                launcher.prepared,
                self.events.clone(),
            )?),
            None => None,
        };
        self.generations.push(Generation {
            number: state.number,
            directory: state.directory,
            settings,
            options,
            launcher,
            backoff: Backoff::default(),
        });
        Ok(())
    }
}

fn c_string(text: std::ffi::OsString) -> CString {
    CString::new(text.into_vec()).unwrap_or_default()
}

/// How long the installed release may think.
const PREFLIGHT_TIME: Duration = Duration::from_secs(60);
