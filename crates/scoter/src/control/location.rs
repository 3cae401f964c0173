//! The location of the control socket, as set by `--control`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::net::Address;

/// Where the control socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ControlLocation {
    /// Beside the first Unix socket that is served.
    Beside,
    /// There is none.
    Off,
    /// At this path.
    At(PathBuf),
}

impl ControlLocation {
    /// Parses a word that is not a path.
    pub(crate) fn from_word(text: &OsStr) -> Option<Self> {
        match text.to_str()? {
            "auto" | "on" => Some(Self::Beside),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// The socket's path for a server with these addresses, if it has one.
    pub(crate) fn path(&self, bind: &[Address]) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::At(path) => Some(path.clone()),
            Self::Beside => bind.iter().find_map(|address| match address {
                Address::Unix(path) => Some(beside(path)),
                Address::Abstract(_) | Address::Tcp(_) | Address::Inherited(_) => None,
            }),
        }
    }
}

fn beside(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".control");
    PathBuf::from(path)
}
