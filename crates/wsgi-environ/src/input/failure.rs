use std::io;

use pyo3::PyErr;
use pyo3::exceptions::{PyConnectionResetError, PyOSError, PyTimeoutError};
use thiserror::Error;

/// The state of a request body at the end of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputEnd {
    /// Bytes of the body that have not been received yet. Closing the connection
    /// before they are read resets it, and nginx answers 502.
    pub unread: u64,
    /// Whether a thread of the application is still waiting in a read. It holds
    /// the transport, so call
    /// [`Transport::interrupt`](crate::Transport::interrupt) once the response has
    /// been sent. The number of unread bytes is then unknown, and `unread` is 0.
    pub busy: bool,
    /// Why the last read failed, if it did.
    pub failed: Option<InputFailure>,
}

/// Why a request body could not be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputFailure {
    /// The client sent less than it announced.
    #[error("client closed the connection: {received} of {expected} body bytes arrived")]
    ShortBody {
        /// Bytes that arrived.
        received: u64,
        /// The request's Content-Length.
        expected: u64,
    },
    /// Nothing arrived within the body deadline.
    #[error("client sent nothing for too long: {received} of {expected} body bytes arrived")]
    TimedOut {
        /// Bytes that arrived.
        received: u64,
        /// The request's Content-Length.
        expected: u64,
    },
    /// The connection broke.
    #[error("connection lost ({kind}): {received} of {expected} body bytes arrived")]
    Lost {
        /// Bytes that arrived.
        received: u64,
        /// The request's Content-Length.
        expected: u64,
        /// The transport's error.
        kind: io::ErrorKind,
    },
    /// The server's own copy of the body cannot be read: a full or broken disk.
    #[error("spooled request body is unreadable ({kind}) after {read} of {expected} bytes")]
    Spool {
        /// Bytes that were read.
        read: u64,
        /// The request's Content-Length.
        expected: u64,
        /// The file system's error.
        kind: io::ErrorKind,
    },
}

impl InputFailure {
    /// Makes the exception that the application gets.
    pub(super) fn to_exception(&self) -> PyErr {
        let message = self.to_string();
        match self {
            Self::ShortBody { .. } | Self::Lost { .. } => PyConnectionResetError::new_err(message),
            Self::TimedOut { .. } => PyTimeoutError::new_err(message),
            Self::Spool { .. } => PyOSError::new_err(message),
        }
    }
}
