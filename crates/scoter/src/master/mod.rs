//! The master: owns the sockets, watches over launchers and workers, and never imports the
//! application.

mod backoff;
mod cgroup;
mod event;
mod generation;
mod obituary;
mod pid_file;
mod privileges;
mod recycling;
mod reload;
mod scaling;
mod sockets;
mod status;
mod stopping;
mod supervisor;
mod systemd;
mod touch;
mod upgrade;
mod worker;

use std::ffi::OsString;

use tokio::runtime;

use crate::config::{Options, Settings};
use crate::failure::Failure;
use crate::program::Program;

pub(crate) use privileges::PrivilegeError;
pub(crate) use sockets::bind;
pub(crate) use upgrade::RESUME;

use pid_file::PidFile;
use privileges::Identity;
use supervisor::Supervisor;

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
    let mut resumed = upgrade::resumed()?;
    if let Some(umask) = options.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask.0));
    }
    let (listeners, control) = match &mut resumed {
        Some(state) => state.sockets(&options)?,
        None => {
            let identity = Identity::of(&options)?;
            let sockets = sockets::open(&options, &identity)?;
            identity.assume()?;
            sockets
        }
    };
    let _pid_file = PidFile::write(options.pid_file.as_deref())?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let supervisor = Supervisor::new(program, arguments, settings, options, listeners, control);
        Ok(supervisor.run(resumed).await?)
    })
}
