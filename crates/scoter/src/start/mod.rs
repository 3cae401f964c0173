//! The steps before serving: names are looked up, sockets bound, privileges dropped.

mod error;
mod identity;
mod pid_file;
mod reach;
mod sockets;

use std::collections::BTreeSet;

use tracing::warn;

use crate::config::{Options, Settings};
use crate::control::{ControlListener, ReaderListener};
use crate::log;
use crate::net::Listener;
use crate::program::Program;
use crate::sys::file_limit::Demand;

pub(crate) use error::StartError;
pub(crate) use pid_file::PidFile;

pub(crate) use identity::warn_of_root;

use identity::{Identity, Variables};

/// The resources that are opened before the first worker.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) control: Option<ControlListener>,
    /// The sockets of `--metrics` and `--uwsgi-stats`.
    pub(crate) readers: Vec<ReaderListener>,
    /// The environment variables of `--user`.
    pub(crate) variables: Variables,
}

/// The inputs of a start.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) program: &'a Program,
    pub(crate) settings: &'a Settings,
    pub(crate) options: &'a Options,
}

/// What a server that starts with these options needs of the open file limit.
pub(crate) fn demand(options: &Options) -> Demand {
    options.demand(sockets::count(options))
}

impl Start<'_> {
    /// Binds the sockets, then switches to `--user` permanently, and opens the error log.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what failed. No socket is left behind.
    pub(crate) fn open(&self) -> Result<Opened, StartError> {
        let identity = self.prepare()?;
        let mut opened = sockets::open(self.options, &identity)?;
        opened.variables = identity.assume().inspect_err(|_| opened.close())?;
        if let Some(path) = &self.options.error_log {
            log::open_error_log(path).inspect_err(|_| opened.close())?;
        }
        opened.warn_of_what_stays(&identity.user_name());
        Ok(opened)
    }

    /// Checks whether [`Start::open`] would succeed, without binding anything, because a running
    /// server may have the sockets. Also switches to `--user`, and returns that user's environment
    /// variables.
    ///
    /// # Errors
    ///
    /// As [`Start::open`].
    pub(crate) fn check(&self) -> Result<Variables, StartError> {
        let identity = self.prepare()?;
        sockets::check(self.options, &identity)?;
        Ok(identity.assume()?)
    }

    /// Checks what a master that takes over does not inherit: looks up every configured user and
    /// group, without switching to any, and checks the process ID file.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what does not exist, or cannot be written.
    pub(crate) fn check_takeover(&self) -> Result<(), StartError> {
        sockets::permissions(self.options)?;
        Identity::look_up(self.options)?;
        if self.options.no_master {
            return Ok(());
        }
        PidFile::check(self.options.pid_file.as_deref())
    }

    fn prepare(&self) -> Result<Identity, StartError> {
        if let Some(umask) = self.options.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask.0));
        }
        let identity = Identity::of(self.options)?;
        match reach::check(self, &identity)? {
            Some(obstacle) => Err(obstacle.into()),
            None => Ok(identity),
        }
    }
}

impl Opened {
    /// Warns at the start about sockets that cannot be removed at the stop, because operators read
    /// the log then.
    fn warn_of_what_stays(&self, user: &str) {
        let listeners = self.listeners.iter().filter_map(Listener::file);
        let control = self.control.as_ref().and_then(ControlListener::file);
        let readers = self.readers.iter().filter_map(ReaderListener::file);
        let files = listeners.chain(control).chain(readers);
        let stay = files.filter(|file| !file.is_removable());
        let folders: BTreeSet<_> = stay.filter_map(|file| file.path().parent()).collect();
        for folder in folders {
            warn!(
                folder = %folder.display(),
                user,
                "sockets will remain in this directory after a stop, because this user may not \
                 write to it: the next start replaces them (to have them removed, let the user \
                 own the directory)"
            );
        }
    }

    /// Removes the sockets again.
    pub(crate) fn close(&self) {
        self.listeners.iter().for_each(Listener::close_to_newcomers);
        if let Some(control) = &self.control {
            control.close();
        }
        self.readers.iter().for_each(ReaderListener::close);
    }
}
