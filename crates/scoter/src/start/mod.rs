//! What is done before anything is served: names looked up, sockets bound, privileges given
//! up.

mod identity;
mod pid_file;
mod sockets;

use tracing::warn;

use crate::config::Options;
use crate::control::ControlListener;
use crate::failure::Failure;
use crate::listen::Listener;

pub(crate) use identity::IdentityError;
pub(crate) use pid_file::PidFile;

use identity::Identity;

/// What a server has before its first worker.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) control: Option<ControlListener>,
}

/// Looks up every user and group that is named, without becoming any of them.
///
/// # Errors
///
/// [`Failure`] names the one that does not exist.
pub(crate) fn check_names(options: &Options) -> Result<(), Failure> {
    sockets::permissions(options)?;
    Identity::look_up(options)?;
    Ok(())
}

/// Binds first, and becomes `--user` then: once and for good.
///
/// # Errors
///
/// [`Failure`] says what could not be had. No socket is left behind.
pub(crate) fn open(options: &Options) -> Result<Opened, Failure> {
    if let Some(umask) = options.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask.0));
    }
    let identity = Identity::of(options)?;
    let opened = sockets::open(options, &identity)?;
    if let Err(error) = identity.assume() {
        opened.close();
        return Err(error.into());
    }
    Ok(opened)
}

impl Opened {
    /// Removes the sockets again.
    pub(crate) fn close(&self) {
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        if let Some(Err(error)) = self.control.as_ref().map(ControlListener::close) {
            warn!(%error, "the control socket was not removed");
        }
    }
}
