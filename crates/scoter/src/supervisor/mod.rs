//! The master: owns the sockets, watches over launchers and workers, and never imports the
//! application.

mod cgroup;
mod configuration;
mod core;
mod exit_reason;
mod launcher;
mod link;
mod measure;
mod notices;
mod preflight;
mod runtime;
mod status;
mod systemd;
mod touch;
mod upgrade;
mod worker;

use std::ffi::OsString;

use nix::sys::signal::SigSet;
use rustix::thread::set_name;
use tokio::runtime::Builder;
use tracing::info;

use crate::config::{Options, Settings};
use crate::failure::Failure;
use crate::program::Program;
use crate::start::{PidFile, Start};

use configuration::Loaded;
use runtime::Runtime;

/// Runs a master until it is stopped. Returns the exit code.
///
/// # Errors
///
/// [`Failure`] says why it could not start.
pub(crate) fn run(
    program: Program,
    arguments: Vec<OsString>,
    settings: Settings,
    options: Options,
) -> Result<u8, Failure> {
    // Until there are handlers a signal waits: its default would end the process, with
    // sockets left behind.
    let _ = SigSet::all().thread_block();
    let mut resumed = upgrade::resumed()?;
    let opened = match &mut resumed {
        Some(state) => state.opened(&options)?,
        None => Start {
            program: &program,
            settings: &settings,
            options: &options,
        }
        .open()?,
    };
    let path = options.pid_file.as_deref();
    let _pid_file = if resumed.is_some() {
        PidFile::keep(path)
    } else {
        PidFile::write(path).inspect_err(|_| opened.close())?
    };
    let _ = set_name(c"scoter-master");
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let first = Loaded::here(settings, options);
        let mut master = Runtime::new(program, arguments, first, opened);
        let ended = master.run(resumed).await;
        master.close();
        let code = ended?;
        if code == 0 {
            info!("stopped");
        }
        Ok(code)
    })
}
