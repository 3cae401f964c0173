//! Why scoter does not serve.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::control::ControlError;
use crate::ipc::channel::Failed;
use crate::log::OpenError;
use crate::net::BindError;
use crate::python::application::LoadError;
use crate::start::{IdentityError, OutOfReach};

/// What ended a start. The exit code says whose turn it is.
///
/// | code | meaning |
/// |---|---|
/// | 1 | a failure of the system |
/// | 2 | arguments or a configuration that are wrong, or a socket that cannot be had |
/// | 3 | the application could not be loaded |
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is nothing to listen on.
    #[error("there is no address to listen on\nhint: --bind unix:/run/myproject/scoter.sock")]
    NoAddress,
    /// The second one finds the first one in its way.
    #[error("cannot listen on {0} twice\nhint: name it once")]
    Repeated(String),
    /// The admin socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// `--user` and `--group`.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A path that `--user` does not get at.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// `--pid-file`.
    #[error("cannot write --pid-file {}: {error}", path.display())]
    PidFile { path: PathBuf, error: io::Error },
    /// `--chdir`.
    #[error("cannot change to {}: {error}\nhint: --chdir names a directory", path.display())]
    Chdir { path: PathBuf, error: io::Error },
    /// The working directory.
    #[error(
        "the working directory {} cannot be used: {error}\nhint: it has been deleted, perhaps; \
         --chdir names another", path.display()
    )]
    Directory { path: PathBuf, error: io::Error },
    /// `--access-log`.
    #[error(transparent)]
    AccessLog(#[from] OpenError),
    /// The application.
    #[error("cannot load the application: {0}")]
    Load(#[from] LoadError),
    /// `--warm-up`.
    #[error("the application is loaded, but --warm-up failed: {0}")]
    WarmUp(String),
    /// A hook of the application.
    #[error("a hook of the application failed: {event}{traceback}")]
    Hook {
        event: &'static str,
        traceback: String,
    },
    /// The system.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// Python.
    #[error("cannot start{0}")]
    Python(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::System(_) | Self::Python(_) => 1,
            Self::OutOfReach(obstacle) => obstacle.exit_code(),
            Self::Bind(_)
            | Self::NoAddress
            | Self::Repeated(_)
            | Self::Control(_)
            | Self::Identity(_)
            | Self::PidFile { .. }
            | Self::Chdir { .. }
            | Self::Directory { .. }
            | Self::AccessLog(_) => 2,
            Self::Load(_) | Self::WarmUp(_) | Self::Hook { .. } => 3,
        }
    }

    /// What another process of ours is told.
    pub(crate) fn report(&self) -> Failed {
        Failed::new(self.exit_code(), &self.to_string())
    }
}
