//! Why a server cannot start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::identity::IdentityError;
use super::reach::OutOfReach;
use crate::config::MistypedCommand;
use crate::control::ControlError;
use crate::net::BindError;
use crate::sys::file_limit::TooLow;
use crate::sys::limits;

/// Why the steps before serving failed.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// The command line.
    #[error(transparent)]
    Command(#[from] MistypedCommand),
    /// A socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is nothing to listen on.
    #[error("no address to listen on\nhint: --bind unix:/run/scoter/scoter.sock")]
    NoAddress,
    /// The same address is given twice.
    #[error("cannot listen on {0} twice\nhint: name it once")]
    Repeated(String),
    /// Requests and orders cannot share a socket.
    #[error(
        "--control and --bind name the same socket, {}\nhint: choose another path for --control, \
         or leave it out", .0.display()
    )]
    ControlIsBound(PathBuf),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// `--user` and `--group`.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A path that `--user` cannot access.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// `--pid-file`.
    #[error("cannot write --pid-file {}: {error}", path.display())]
    PidFile { path: PathBuf, error: io::Error },
    /// The open file limit.
    #[error("cannot start: {0}")]
    FileLimit(#[from] TooLow),
    /// The system.
    #[error("cannot start: {}{}", .0, limits::hint_for(.0))]
    System(#[from] io::Error),
}

impl StartError {
    /// The exit code for this error.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::System(_) | Self::FileLimit(_) => 1,
            Self::Command(_) => 3,
            Self::OutOfReach(obstacle) => obstacle.exit_code(),
            _ => 2,
        }
    }
}
