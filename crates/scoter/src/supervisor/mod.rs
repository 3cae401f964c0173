//! The master: owns the sockets, supervises launchers and workers, and never imports the
//! application.

mod cgroup;
mod configuration;
mod core;
mod dev;
mod directory;
mod exit_reason;
mod launcher;
mod link;
mod measure;
mod notices;
mod preflight;
mod recent;
mod runtime;
mod systemd;
mod touch;
mod upgrade;
mod worker;
mod worker_numbers;

use std::ffi::OsString;
use std::io;

use tokio::runtime::Builder;
use tracing::info;

use crate::config::{Environment, Options, Settings};
use crate::program::Program;
use crate::start::Opened;
use crate::sys::process_name::set_process_name;

pub(crate) use dev::{Dev, DevError};
pub(crate) use upgrade::{State, resumed};

use configuration::Loaded;
use runtime::Runtime;

/// What a master begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// The variables of the first generation.
    pub(crate) environment: Environment,
    pub(crate) opened: Opened,
    /// What an earlier release has left.
    pub(crate) resumed: Option<State>,
    /// The version of Python.
    pub(crate) python: String,
    /// What a developer has beside the server.
    pub(crate) dev: Option<Dev>,
}

/// Runs a master until it is stopped. Returns the exit code.
///
/// # Errors
///
/// System errors, if no descriptors or processes are available.
pub(crate) fn run(
    program: Program,
    arguments: Vec<OsString>,
    settings: Settings,
    options: Options,
    beginning: Beginning,
) -> io::Result<u8> {
    name_master(&options);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let Beginning {
            environment,
            opened,
            resumed,
            python,
            dev,
        } = beginning;
        let first = Loaded::here(settings, options, environment);
        let is_quiet = dev.is_some();
        let mut master = Runtime::new(program, arguments, first, opened, python, dev)?;
        let ended = master.run(resumed).await;
        master.close();
        let code = ended?;
        if code == 0 && !is_quiet {
            info!("stopped");
        }
        Ok(code)
    })
}

fn name_master(options: &Options) {
    let name = options.name.as_ref();
    set_process_name(name.map(|name| name.0.as_str()), "master");
}
