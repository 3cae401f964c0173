//! The control socket itself, and who may use it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};
use rustix::io::ioctl_fionbio;
use rustix::net::listen;
use thiserror::Error;
use tracing::warn;

use super::socket::RegisteredSocket;
use crate::net::{Family, Permissions, SocketFile, UnixError, bind_path, check_path};

/// A bound control socket. Its file stays until [`ControlListener::close`]: a server that is
/// replaced leaves it to its successor.
#[derive(Debug)]
pub(crate) struct ControlListener {
    fd: OwnedFd,
    path: PathBuf,
    /// `None` if the file at the path no longer belongs to this socket.
    file: Option<SocketFile>,
}

/// Why there is no control socket.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    /// It could not be bound.
    #[error("control socket: {0}\nhint: --control PATH moves it, --control off disables it")]
    Bind(#[from] UnixError),
    /// The inherited descriptor is not a listening socket.
    #[error("control socket {}: cannot take it over: {error}", path.display())]
    Inherited {
        /// The path that it should be bound to.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl ControlListener {
    /// Binds the socket with mode 600. It belongs to `owner`, by default the user of this process.
    /// The owner, root and the user that the process switches to may use it.
    ///
    /// # Errors
    ///
    /// [`ControlError::Bind`] if a server is running, the path is another kind of file, or
    /// permissions are missing.
    pub(crate) fn bind(path: &Path, owner: Option<Uid>) -> Result<Self, ControlError> {
        let (fd, file) = bind_path(path, &Permissions::private(owner), BACKLOG)?;
        Ok(Self {
            fd,
            path: path.to_owned(),
            file: Some(file),
        })
    }

    /// Checks whether [`ControlListener::bind`] would succeed. A running server at the path is not
    /// an error.
    ///
    /// # Errors
    ///
    /// As [`ControlListener::bind`].
    pub(crate) fn check(path: &Path, owner: Option<Uid>) -> Result<(), ControlError> {
        Ok(check_path(path, &Permissions::private(owner))?)
    }

    /// Takes over the socket that this process, before an upgrade, bound to `path`.
    ///
    /// # Errors
    ///
    /// [`ControlError::Inherited`] if `fd` is not a listening socket.
    pub(crate) fn from_fd(fd: OwnedFd, path: &Path) -> Result<Self, ControlError> {
        let take_over = || -> io::Result<()> {
            ioctl_fionbio(&fd, true)?;
            // unix_listen() records the listening process, which clients wait for to end.
            Ok(listen(&fd, BACKLOG)?)
        };
        take_over().map_err(|error| ControlError::Inherited {
            path: path.to_owned(),
            error,
        })?;
        // Not fatal: the socket works without a record of its file.
        let file = SocketFile::of(&fd, path).unwrap_or_else(|error| {
            let socket = path.display();
            warn!(
                %socket,
                %error,
                "cannot check the control socket's file: it will remain after a stop"
            );
            None
        });
        Ok(Self {
            fd,
            path: path.to_owned(),
            file,
        })
    }

    /// Removes the file if it still belongs to this socket, so that no more clients connect. Those
    /// already connected are served for as long as [`serve`](super::serve) runs.
    pub(crate) fn close(&self) {
        // No shutdown(2): tokio would report the listener as ready forever.
        if let Some(file) = &self.file {
            file.clear();
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its file, if that still belongs to this socket.
    pub(crate) fn file(&self) -> Option<&SocketFile> {
        self.file.as_ref()
    }

    /// Who may use the socket, given the process's current user.
    pub(super) fn admitted(&self) -> Admitted {
        Admitted {
            ours: geteuid(),
            owner: self.file.as_ref().map(SocketFile::owner),
        }
    }

    /// Registers the socket with the current runtime.
    pub(super) fn register(&self) -> io::Result<RegisteredSocket> {
        RegisteredSocket::new(self.fd.try_clone()?, Family::Unix)
    }
}

impl AsFd for ControlListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The users who may give orders, besides root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    /// The process's own user, who could also send it signals.
    ours: Uid,
    /// The user who started the server, if different.
    owner: Option<Uid>,
}

impl Admitted {
    pub(super) fn includes(self, peer: Uid) -> bool {
        peer.is_root() || peer == self.ours || Some(peer) == self.owner
    }
}

/// Clients that may wait while the master is busy replacing itself, or while one user reconnects
/// continually.
const BACKLOG: i32 = 1_024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn root_the_own_user_and_the_owner_are_admitted() {
        let uid = Uid::from_raw;
        let admitted = Admitted {
            ours: uid(33),
            owner: Some(uid(1_000)),
        };
        for (peer, expected) in [
            (0, true),
            (33, true),
            (1_000, true),
            (1, false),
            (34, false),
        ] {
            assert_eq!(admitted.includes(uid(peer)), expected, "{peer}");
        }
        let nobody_else = Admitted {
            ours: uid(33),
            owner: None,
        };
        assert!(!nobody_else.includes(uid(1_000)));
    }

    #[test]
    fn socket_is_private_and_its_file_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        let listener = ControlListener::bind(&path, None).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        listener.close();
        assert!(!path.exists());
    }

    #[test]
    fn live_socket_is_refused_and_a_stale_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        let first = ControlListener::bind(&path, None).unwrap();
        let error = ControlListener::bind(&path, None).unwrap_err().to_string();
        assert!(
            error.starts_with("control socket: cannot listen on unix:"),
            "{error}"
        );
        assert!(error.contains("a running server answers there"), "{error}");
        assert!(error.contains("--control off"), "{error}");
        // The file stays, as after SIGKILL.
        drop(first);
        ControlListener::bind(&path, None).unwrap();
    }

    #[test]
    fn inherited_socket_serves_and_removes_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        let before = ControlListener::bind(&path, None).unwrap();
        let fd = before.as_fd().try_clone_to_owned().unwrap();
        drop(before);
        let after = ControlListener::from_fd(fd, &path).unwrap();
        assert_eq!(after.admitted().owner, Some(geteuid()));
        UnixStream::connect(&path).unwrap();
        after.close();
        assert!(!path.exists());
    }

    #[test]
    fn file_of_another_server_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        let ours = ControlListener::bind(&path, None).unwrap();
        fs::remove_file(&path).unwrap();
        let _theirs = ControlListener::bind(&path, None).unwrap();
        let fd = ours.as_fd().try_clone_to_owned().unwrap();
        let inherited = ControlListener::from_fd(fd, &path).unwrap();
        ours.close();
        inherited.close();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn descriptor_that_does_not_listen_is_not_taken_over() {
        let (one, _other) = UnixStream::pair().unwrap();
        let error = ControlListener::from_fd(one.into(), Path::new("/run/c")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("control socket /run/c: cannot take it over")
        );
    }
}
