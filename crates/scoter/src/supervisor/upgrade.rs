//! What one release leaves to the next, which takes over in the same process.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::execve;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::configuration::Loaded;
use super::core;
use super::launcher::Launcher;
use super::runtime::Runtime;
use super::worker::Worker;
use crate::config::{Options, Settings};
use crate::control::{ControlListener, ReloadStatus, Totals};
use crate::ipc::channel::Line;
use crate::ipc::scoreboard::Scoreboard;
use crate::net::{AllowList, BindError, Description, Listener};
use crate::program::SearchPath;
use crate::program::{Program, RESUME};
use crate::start::{Opened, StartError};
use crate::sys::file_limit;
use crate::sys::process::own;

/// What one release leaves to the next. Fields may come, with a default, but not go.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    supervisor: core::State,
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
    launchers: Vec<LauncherState>,
    workers: Vec<WorkerState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GenerationState {
    number: u32,
    #[serde(default)]
    directory: Option<PathBuf>,
    settings: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LauncherState {
    serial: u64,
    line: RawFd,
}

#[derive(Debug, Serialize, Deserialize)]
struct WorkerState {
    serial: u64,
    id: u32,
    line: RawFd,
    board: RawFd,
}

/// Takes what an earlier release has left, if this process has begun as one.
///
/// # Errors
///
/// Those of reading it; the workers of the earlier release then end by themselves.
pub(crate) fn resumed() -> io::Result<Option<State>> {
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
    /// [`StartError`] for a descriptor that is not what it should be.
    pub(crate) fn opened(&mut self, options: &Options) -> Result<Opened, StartError> {
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
        Ok(Opened {
            listeners,
            control,
            variables: Vec::new(),
        })
    }
}

impl Runtime {
    /// Executes the new release. Returns why it did not.
    pub(super) fn exec_new_release(&self) -> io::Error {
        let state = self.state();
        let kept = self.descriptors();
        let exec = || {
            let mut file = File::from(memfd_create("scoter-state", MemfdFlags::empty())?);
            file.write_all(&serde_json::to_vec(&state)?)?;
            for fd in &kept {
                fcntl_setfd(fd, FdFlags::empty())?;
            }
            exec_with(&self.program, file.as_raw_fd())
        };
        // They wait for the new release: what this one took now it would never act on, and the
        // default of most would end the process before there are handlers again.
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
        let raw = |fd: BorrowedFd<'_>| fd.as_raw_fd();
        State {
            supervisor: self.core.state(Instant::now()),
            started_at: self.started_at,
            gone: self.gone.clone(),
            last_reload: self.last_reload.clone(),
            listeners: self
                .listeners
                .iter()
                .map(|listener| (raw(listener.as_fd()), listener.describe()))
                .collect(),
            control: self
                .control
                .as_ref()
                .map(|control| (raw(control.as_fd()), control.path().to_owned())),
            path: self.program.search_path().clone(),
            file_limit: Some(file_limit::before()),
            generations: self
                .generations
                .iter()
                .map(|(number, loaded)| GenerationState {
                    number: *number,
                    directory: loaded.directory.clone(),
                    settings: loaded.settings.to_json(),
                })
                .collect(),
            launchers: self
                .launchers
                .iter()
                .map(|(serial, launcher)| LauncherState {
                    serial: *serial,
                    line: raw(launcher.as_fd()),
                })
                .collect(),
            workers: self
                .workers
                .iter()
                .map(|(serial, worker)| WorkerState {
                    serial: *serial,
                    id: worker.id,
                    line: raw(worker.as_fd()),
                    board: raw(worker.board.as_fd()),
                })
                .collect(),
        }
    }

    /// Everything that the new release needs open.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let control = self.control.iter().map(AsFd::as_fd);
        let launchers = self.launchers.values().map(AsFd::as_fd);
        let workers = self.workers.values();
        let boards = workers.clone().map(|worker| worker.board.as_fd());
        listeners
            .chain(control)
            .chain(launchers)
            .chain(workers.map(AsFd::as_fd))
            .chain(boards)
            .collect()
    }

    /// Takes over from an earlier release.
    ///
    /// # Errors
    ///
    /// Those of descriptors that are not what they should be.
    pub(super) fn resume(&mut self, state: State) -> io::Result<()> {
        self.started_at = state.started_at;
        self.gone = state.gone;
        self.program.keep_search_path(state.path);
        self.last_reload = state.last_reload;
        let ours = self.read.take();
        for generation in state.generations {
            if let Some(loaded) = generation.loaded().or_else(|| ours.clone()) {
                self.generations.insert(generation.number, loaded);
            }
        }
        for launcher in state.launchers {
            let line = Line::from(own(launcher.line)?);
            let adopted = Launcher::adopt(launcher.serial, line, self.events.clone())?;
            self.launchers.insert(launcher.serial, adopted);
        }
        for worker in state.workers {
            let line = Line::from(own(worker.line)?);
            let board = Scoreboard::attach(own(worker.board)?)?;
            let events = self.events.clone();
            let adopted = Worker::adopt(worker.serial, worker.id, line, board, events)?;
            self.workers.insert(worker.serial, adopted);
        }
        let plans = &self.generations;
        let plan = self.plan.clone();
        let plan_of = |number| {
            plans
                .get(&number)
                .map_or_else(|| plan.clone(), Loaded::plan)
        };
        self.core.resume(state.supervisor, plan_of, Instant::now());
        Ok(())
    }
}

impl GenerationState {
    /// The old release may have known options that this one does not.
    fn loaded(&self) -> Option<Loaded> {
        let settings = Settings::from_json(&self.settings).ok()?;
        let options = settings.options().ok()?;
        Some(Loaded {
            directory: self.directory.clone(),
            settings,
            options,
        })
    }
}

fn exec_with(program: &Program, state: RawFd) -> io::Result<Infallible> {
    let command = program.again();
    let arguments = std::iter::once(command.get_program()).chain(command.get_args());
    let arguments: Vec<_> = arguments.map(|text| c_string(text.to_owned())).collect();
    let variables: Vec<_> = env::vars_os()
        .filter(|(name, _)| name != RESUME)
        .map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            c_string(variable)
        })
        .chain([c_string(format!("{RESUME}={state}").into())])
        .collect();
    let program = c_string(command.get_program().to_owned());
    execve(&program, &arguments, &variables).map_err(io::Error::from)
}

fn c_string(text: OsString) -> CString {
    CString::new(text.into_vec()).unwrap_or_default()
}
