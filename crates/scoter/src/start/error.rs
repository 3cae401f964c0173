//! Why a server cannot start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::identity::IdentityError;
use super::reach::OutOfReach;
use crate::control::{ControlError, ReaderError};
use crate::log::FileError;
use crate::net::BindError;
use crate::sys::file_limit::TooLow;
use crate::sys::limits;

/// Why the steps before serving failed.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// There is no module with the name that is read as APP, but a command with a similar one.
    #[error(
        "there is no module {word:?}, and no such command\nhint: did you mean {meant}? The commands \
         are {commands}, as the first argument; to serve a module {word}, set --chdir or \
         --pythonpath to the directory that contains {word}.py"
    )]
    MistypedCommand {
        /// The word.
        word: String,
        /// What it probably means.
        meant: String,
        /// All commands.
        commands: String,
    },
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
    /// The socket of `--metrics` or `--uwsgi-stats`.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// `--user` and `--group`.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A path that `--user` cannot access.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// `--pid-file`.
    #[error("cannot write --pid-file {}: {error}", path.display())]
    PidFile { path: PathBuf, error: io::Error },
    /// `--error-log`.
    #[error(transparent)]
    ErrorLog(#[from] FileError),
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
            Self::MistypedCommand { .. } => 3,
            Self::OutOfReach(obstacle) => obstacle.exit_code(),
            _ => 2,
        }
    }
}
