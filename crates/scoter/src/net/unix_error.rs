//! Why a Unix socket cannot be had, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::bind_lock::LOCK_TIMEOUT;
use super::reason::reason;

/// Why a Unix socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnixError {
    /// No such user.
    #[error("--socket-owner {name}: there is no such user")]
    UnknownUser {
        /// The name as given.
        name: String,
    },
    /// No such group.
    #[error("--socket-group {name}: there is no such group")]
    UnknownGroup {
        /// The name as given.
        name: String,
    },
    /// A server listens there.
    #[error(
        "cannot listen on {address}: a running server answers there\nhint: stop it first, or \
         choose another path"
    )]
    InUse {
        /// The socket.
        address: String,
    },
    /// There is a file of another kind at the path.
    #[error(
        "cannot listen on unix:{}: the file exists and is not a socket\nhint: remove it or choose \
         another path", path.display()
    )]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// There is no such directory.
    #[error(
        "cannot listen on unix:{}: its directory does not exist\nhint: create it, or let systemd \
         do so with RuntimeDirectory=", path.display()
    )]
    NoDirectory {
        /// The socket.
        path: PathBuf,
    },
    /// This user may not give the socket to another one.
    #[error(
        "cannot set the owner of unix:{} to {owner} (--socket-owner): only root can\nhint: start \
         scoter as root with --user, or leave --socket-owner out", path.display()
    )]
    Owner {
        /// The socket.
        path: PathBuf,
        /// The user that should own it.
        owner: String,
    },
    /// This user may not give the socket to the group.
    #[error(
        "cannot set the group of unix:{} to {group} (--socket-group): user {user} is not a member \
         of it\nhint: `usermod -aG {group} {user}` as root, then log in again or restart the \
         service", path.display()
    )]
    Group {
        /// The socket.
        path: PathBuf,
        /// The group that should have it.
        group: String,
        /// Who runs scoter.
        user: String,
    },
    /// The directory is not writable.
    #[error(
        "cannot {action} unix:{}: permission denied\nhint: {hint}", path.display()
    )]
    Denied {
        /// The operation that failed.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// What would help.
        hint: &'static str,
    },
    /// Another start, or something else, has held the lock for too long.
    #[error(
        "cannot listen on unix:{}: another start has held the lock {} for {} s\nhint: remove it \
         if no other scoter is starting there", path.display(), lock.display(),
        LOCK_TIMEOUT.as_secs()
    )]
    Locked {
        /// The socket.
        path: PathBuf,
        /// The directory that is the lock.
        lock: PathBuf,
    },
    /// Another process interferes with the path.
    #[error(
        "cannot listen on unix:{}: another process has replaced the new socket's file\nhint: \
         check who else may write to its directory", path.display()
    )]
    Exchanged {
        /// The socket.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Io {
        /// The socket.
        address: String,
        /// The system's error.
        error: io::Error,
    },
}

pub(super) fn bind_error(path: &Path, errno: Errno) -> UnixError {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => denied_directory(path),
        Errno::NOENT => UnixError::NoDirectory {
            path: path.to_owned(),
        },
        Errno::ADDRINUSE => UnixError::InUse {
            address: format!("unix:{}", path.display()),
        },
        errno => other(path, reason(errno)),
    }
}

fn denied_directory(path: &Path) -> UnixError {
    UnixError::Denied {
        action: "listen on",
        path: path.to_owned(),
        hint: "the directory must be writable by the user that runs scoter (systemd: \
               RuntimeDirectory=)",
    }
}

pub(super) fn other(path: &Path, error: io::Error) -> UnixError {
    UnixError::Io {
        address: format!("unix:{}", path.display()),
        error,
    }
}
