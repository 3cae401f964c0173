//! The configurations of the generations, and the thread that reads a new one, so that a pipe
//! without a writer or an unresponsive file system does not block the master.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread::{self, available_parallelism};

use tokio::sync::mpsc;

use super::core::{Action, Plan};
use crate::config::{Options, Settings};
use crate::sys::signals::kept_from;

/// What a generation is started with.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// The working directory, links resolved: where code without `--chdir` is found.
    pub(super) directory: Option<PathBuf>,
    pub(super) settings: Settings,
    pub(super) options: Options,
}

/// What a reader has found.
pub(super) type Read = Result<Option<Box<Loaded>>, String>;

impl Loaded {
    /// A configuration, to be used in the directory that this process is in.
    pub(super) fn here(settings: Settings, options: Options) -> Self {
        Self {
            directory: env::current_dir().ok(),
            settings,
            options,
        }
    }

    /// The directory that a launcher has to be started in, unless that is where this process
    /// is: it may be one that the user of `--user` cannot enter by its name.
    pub(super) fn elsewhere(&self) -> Option<&Path> {
        let directory = self.directory.as_deref();
        let directory = directory.filter(|_| self.options.chdir.is_none())?;
        let is_here = env::current_dir().is_ok_and(|here| here == directory);
        (!is_here).then_some(directory)
    }

    /// What concerns its processes.
    pub(super) fn plan(&self) -> Plan {
        let options = &self.options;
        Plan {
            workers: options.workers,
            cpus: cpus(),
            slots: usize::from(options.threads),
            preload: options.preload,
            start_timeout: options.start_timeout.0,
            graceful_timeout: options.graceful_timeout.0,
            drain_delay: options.drain_delay.map(|delay| delay.0),
            max_lifetime: options.max_lifetime.map(|lifetime| lifetime.0),
            recycle_jitter: options.recycle_jitter,
            max_rss: options.max_rss,
        }
    }
}

/// Reads what `action` needs, in a thread: for a reload the configuration, for an upgrade
/// nothing, but enters the working directory for both. What it finds is sent.
///
/// # Errors
///
/// Those of the system, when it has no thread to give.
pub(super) fn read(
    action: Action,
    arguments: Vec<OsString>,
    options: Options,
    found: mpsc::Sender<Read>,
) -> std::io::Result<()> {
    let thread = thread::Builder::new().name("scoter-config".to_owned());
    let read = move || {
        let read = match action {
            Action::Reload => Settings::read_again(&arguments)
                .map(|(settings, options)| Some(Box::new(Loaded::here(settings, options)))),
            // The new release reads for itself.
            Action::Upgrade => Settings::enter_directory(&arguments, &options).map(|()| None),
        };
        // Nobody is there to hear it once the master is ending.
        let _ = found.blocking_send(read.map_err(|problem| problem.to_string()));
    };
    kept_from(|| thread.spawn(read)).map(drop)
}

/// One for each CPU that this process may use: the affinity mask and the quotas of both
/// kinds of cgroups count.
fn cpus() -> u32 {
    available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX))
}
