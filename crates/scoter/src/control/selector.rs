//! Which running server a command is for.

use std::path::PathBuf;

/// Which running server a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerSelector {
    /// The one with this control socket.
    Path(PathBuf),
    /// The one with this `--name`.
    Name(String),
    /// The one whose master has this process ID.
    Pid(i32),
    /// Nothing says which.
    Any,
}

impl ServerSelector {
    /// Reads a process ID, if it is a number; names are none.
    pub(crate) fn pid(text: &str) -> Option<Self> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let pid = text.parse().ok().filter(|_| is_number);
        pid.map(Self::Pid)
    }
}
