//! How far a send came, or why it ended.

use std::io;

use thiserror::Error;

use crate::sys::pool::Panicked;

/// How far a send came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything has been sent.
    Done,
    /// The peer's buffer is full.
    Blocked,
}

/// Why a response cannot be sent whole.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    /// The peer went away.
    #[error("the peer disconnected: {0}")]
    Peer(io::Error),
    /// The peer took nothing until the write deadline.
    #[error("the peer accepted nothing for --write-timeout")]
    Stalled,
    /// The file cannot be read, or is shorter than it was.
    #[error("cannot read the file to its end: {0}")]
    File(io::Error),
    /// A thread that was to send a part.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}
