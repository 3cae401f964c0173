//! The configurations of the generations, and the thread that reads a new one, so that a pipe
//! without a writer or an unresponsive file system does not block the master.

use std::ffi::OsString;
use std::thread;

use tokio::sync::mpsc;

use super::core::{Action, Plan};
use super::directory::Directory;
use crate::config::{Environment, Options, Settings};
use crate::sys::scheduling::cpus;
use crate::sys::signals::kept_from;

/// The configuration that a generation is started with.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// The directory that its processes start in, by default the master's.
    pub(super) directory: Option<Directory>,
    pub(super) settings: Settings,
    pub(super) options: Options,
    /// The variables of its processes beside the master's.
    pub(super) environment: Environment,
}

/// The result of a reader.
pub(super) type Read = Result<Option<Box<Loaded>>, String>;

impl Loaded {
    /// A configuration for the current directory of this process, or that of `--chdir`. If that
    /// cannot be entered, the launcher will report it.
    pub(super) fn here(settings: Settings, options: Options, environment: Environment) -> Self {
        Self {
            directory: Directory::find(options.chdir.as_deref()).ok(),
            settings,
            options,
            environment,
        }
    }

    /// The part that the supervisor needs.
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

/// Starts a thread that re-enters the working directory and, for a reload, reads the configuration.
/// The result is sent to `found`.
///
/// # Errors
///
/// System errors, if no threads are available.
pub(super) fn read(
    action: Action,
    arguments: Vec<OsString>,
    options: Options,
    found: mpsc::Sender<Read>,
) -> std::io::Result<()> {
    let thread = thread::Builder::new().name("scoter-config".to_owned());
    let read = move || {
        let read = match action {
            Action::Reload => Settings::read_again(&arguments).and_then(|(settings, options)| {
                let environment = Environment::of(&options)?;
                let loaded = Loaded::here(settings, options, environment);
                Ok(Some(Box::new(loaded)))
            }),
            // The new release reads the configuration itself.
            Action::Upgrade => Settings::enter_directory(&arguments, &options).map(|()| None),
        };
        // Fails if the master is ending.
        let _ = found.blocking_send(read.map_err(|problem| problem.to_string()));
    };
    kept_from(|| thread.spawn(read)).map(drop)
}
