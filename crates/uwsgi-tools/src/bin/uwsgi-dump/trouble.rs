use std::io;

use crate::capture::OpenError;

/// Why a command ends before it is done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Nobody reads the output any more: not worth a word.
    #[error("nobody reads the output")]
    ClosedOutput,
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
}

/// Only of the output: other errors say what they are about.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedOutput,
            _ => Self::Output(error),
        }
    }
}
