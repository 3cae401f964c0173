//! The state that one release passes to the next, which takes over in the same process.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::execve;
use serde::{Deserialize, Serialize};

use super::configuration::Loaded;
use super::core;
use super::directory::Directory;
use super::worker_numbers::WorkerNumbers;
use crate::config::{Environment, Options, Settings};
use crate::control::{ControlListener, ReaderListener, ReloadStatus, Service, Totals, Transport};
use crate::ipc::scoreboard::Counts;
use crate::metrics::Reloads;
use crate::net::{AllowList, BindError, Description, Listener};
use crate::program::SearchPath;
use crate::program::{Program, RESUME};
use crate::start::{Opened, StartError};
use crate::sys::file_limit;
use crate::sys::raw_fd::own;

/// The state that one release passes to the next. Fields may be added, with a default, but not
/// removed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(super) supervisor: core::State,
    pub(super) started_at: Timestamp,
    pub(super) gone: Totals,
    /// What workers that have ended have counted.
    #[serde(default)]
    pub(super) counts: Counts,
    /// Their CPU time, by their number.
    #[serde(default)]
    pub(super) cpu: BTreeMap<u32, Duration>,
    #[serde(default)]
    pub(super) reloads: Reloads,
    pub(super) last_reload: Option<ReloadStatus>,
    pub(super) listeners: Vec<(RawFd, Description)>,
    pub(super) control: Option<(RawFd, PathBuf)>,
    #[serde(default)]
    pub(super) metrics: Option<(RawFd, Description)>,
    #[serde(default)]
    pub(super) uwsgi_stats: Option<(RawFd, Description, Transport)>,
    /// What the workers of each number have been through.
    #[serde(default)]
    pub(super) numbers: WorkerNumbers,
    /// Both ends of the queue of connections.
    #[serde(default)]
    pub(super) queue: Option<[RawFd; 2]>,
    /// The same of the queues that hold a connection of each listener.
    #[serde(default)]
    pub(super) held_connections: Vec<[RawFd; 2]>,
    /// What workers share for the module `uwsgi`.
    #[serde(default)]
    pub(super) uwsgi: Option<RawFd>,
    #[serde(default)]
    pub(super) path: SearchPath,
    /// The soft limit on open files that the server was started with.
    #[serde(default)]
    pub(super) file_limit: Option<u64>,
    pub(super) generations: Vec<GenerationState>,
    pub(super) launchers: Vec<LauncherState>,
    pub(super) workers: Vec<WorkerState>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GenerationState {
    pub(super) number: u32,
    #[serde(default)]
    pub(super) directory: Option<PathBuf>,
    /// That directory, held open.
    #[serde(default)]
    pub(super) held: Option<RawFd>,
    pub(super) settings: String,
    #[serde(default)]
    pub(super) environment: Environment,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LauncherState {
    pub(super) serial: u64,
    #[serde(rename = "line")]
    pub(super) channel: RawFd,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WorkerState {
    pub(super) serial: u64,
    pub(super) id: u32,
    #[serde(rename = "line")]
    pub(super) channel: RawFd,
    pub(super) board: RawFd,
}

/// Reads the state of an earlier release, if this process began as one.
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
    /// Takes over the sockets.
    ///
    /// # Errors
    ///
    /// [`StartError`] for an invalid descriptor.
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
        let metrics = self.metrics.take();
        let metrics = metrics.map(|(number, it)| (Service::Metrics, number, it));
        let stats = self.uwsgi_stats.take();
        let stats = stats.map(|(number, it, how)| (Service::UwsgiStats(how), number, it));
        let mut readers = Vec::new();
        for (service, number, description) in metrics.into_iter().chain(stats) {
            let allow = AllowList::new(options.metrics_allow.clone());
            let reader = ReaderListener::adopt(service, own(number)?, description, allow)?;
            readers.push(reader);
        }
        Ok(Opened {
            listeners,
            control,
            readers,
            variables: Vec::new(),
        })
    }
}

impl GenerationState {
    /// The configuration that the generation was started with, or `ours` if it cannot be read: the
    /// old release may have known options that this one does not.
    pub(super) fn loaded(self, ours: Option<&Loaded>) -> Option<Loaded> {
        let held = self.held.and_then(|number| own(number).ok());
        let theirs = Settings::from_json(&self.settings)
            .ok()
            .and_then(|settings| {
                let options = settings.options().ok()?;
                Some((settings, options))
            });
        let ours = || ours.map(|ours| (ours.settings.clone(), ours.options.clone()));
        let (settings, options) = theirs.or_else(ours)?;
        let directory = match (self.directory, held) {
            (Some(path), Some(held)) => Some(Directory::adopt(path, held)),
            // A release that held none named the directory it was in itself, also with --chdir.
            (path, _) => options
                .chdir
                .clone()
                .or(path)
                .and_then(|path| Directory::named(path).ok()),
        };
        Some(Loaded {
            directory,
            settings,
            options,
            environment: self.environment,
        })
    }
}

/// Executes the new release, which reads the state from the descriptor `state`.
pub(super) fn exec_with(program: &Program, state: RawFd) -> io::Result<Infallible> {
    let command = program.restart_command();
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

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, IntoRawFd};

    use super::*;
    use crate::config::Arguments;

    #[test]
    fn generation_of_a_release_that_holds_no_directory_stays_in_that_of_chdir() {
        let folder = tempfile::tempdir().unwrap();
        let [here, chdir, held] = ["here", "chdir", "held"].map(|name| folder.path().join(name));
        for directory in [&here, &chdir, &held] {
            std::fs::create_dir(directory).unwrap();
        }
        let option = format!("--chdir={}", chdir.display());
        for (options, holds, expected) in [
            (&["app", &*option][..], false, &chdir),
            (&["app"], false, &here),
            (&["app", &*option], true, &held),
        ] {
            let arguments: Vec<_> = ["scoter"].iter().chain(options).map(Into::into).collect();
            let settings = Settings::with(&Arguments::parse(&arguments).unwrap()).unwrap();
            let held = holds.then(|| Directory::named(held.clone()).unwrap());
            let held = held.map(|held| held.as_fd().try_clone_to_owned().unwrap().into_raw_fd());
            let state = GenerationState {
                number: 1,
                directory: Some(here.clone()),
                held,
                settings: settings.to_json(),
                environment: Environment::default(),
            };
            let directory = state.loaded(None).unwrap().directory.unwrap();
            let entered = std::fs::canonicalize(directory.entrance()).unwrap();
            assert_eq!(entered, *expected, "{options:?} {holds}");
        }
    }
}
