//! The file of a bound socket, and its directory.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::Permissions as Mode;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, Stat, StatxFlags, chownat, fstat, openat, statx};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::bind_lock::{BindLock, Unlocked};
use super::folder::Folder;

/// When a file was created: seconds and nanoseconds (statx(2), stx_btime).
type Birth = (i64, u32);

/// The file of a bound socket, known by its identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// `None` if the file system does not record it. It is needed because some file systems
    /// immediately reuse the inode number of a removed file.
    #[serde(default)]
    born: Option<Birth>,
    mode: u32,
    owner: u32,
    /// Not recorded by earlier releases.
    #[serde(default)]
    group: Option<u32>,
}

impl SocketFile {
    /// Finds the file of an inherited listening socket: the one at `path`, if connections to it
    /// arrive at `listener`.
    ///
    /// The connection made to find out is closed, and stays in the queue.
    ///
    /// # Errors
    ///
    /// System errors, if the file cannot be examined.
    pub(crate) fn of(listener: impl AsFd, path: &Path) -> io::Result<Option<Self>> {
        let path = std::path::absolute(path)?;
        let found = match OpenFile::at(&path) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let connected = stream_socket().and_then(|probe| {
            // Connects to the opened file, even if the path has been replaced by now.
            connect(&probe, &SocketAddrUnix::new(found.link())?)?;
            // unix_stream_connect() queues the connection before it returns.
            let mut queue = [PollFd::new(&listener, PollFlags::IN)];
            poll(&mut queue, Some(&Timespec::default()))
        });
        let is_ours = connected.is_ok_and(|ready| ready > 0);
        Ok(is_ours.then(|| Self::new(path, &found)))
    }

    pub(super) fn new(path: PathBuf, file: &OpenFile) -> Self {
        let stat = &file.stat;
        Self {
            path,
            device: stat.st_dev,
            inode: stat.st_ino,
            born: file.born,
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
            group: Some(stat.st_gid),
        }
    }

    /// The user who owns the file.
    pub(crate) fn owner(&self) -> Uid {
        Uid::from_raw(self.owner)
    }

    /// Who may connect, in human-readable form.
    pub(super) fn access(&self) -> String {
        let mut text = format!("mode {:o}", self.mode);
        let user = User::from_uid(self.owner()).ok().flatten();
        let owner = user.map_or_else(|| self.owner.to_string(), |user| user.name);
        let _ = write!(text, ", owner {owner}");
        if let Some(gid) = self.group {
            let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
            let group = group.map_or_else(|| gid.to_string(), |group| group.name);
            let _ = write!(text, ", group {group}");
        }
        text
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process may remove the file. In a directory with the sticky bit only the owners
    /// of either may: unlink(2), EPERM.
    pub(crate) fn is_removable(&self) -> bool {
        let may = || {
            let folder = Folder::of(&self.path)?;
            folder.require_writable()?;
            let found = fstat(&folder)?;
            let us = Uid::effective();
            let owners = [found.st_uid, self.owner];
            Ok::<_, Errno>(
                found.st_mode & rustix::fs::Mode::SVTX.bits() == 0
                    || us.is_root()
                    || owners.contains(&us.as_raw()),
            )
        };
        may().unwrap_or(false)
    }

    /// Removes the file, as [`SocketFile::unlink`] does. A failure is logged unless it was known
    /// from the start. Returns whether there is nothing left to remove.
    pub(crate) fn clear(&self) -> bool {
        match self.unlink() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                debug!(%error, socket = %self.path.display(), "the socket was not removed");
            }
            Err(error) => {
                warn!(%error, socket = %self.path.display(), "cannot remove the socket");
            }
            Ok(()) => return true,
        }
        false
    }

    /// Removes the file unless another server has replaced it meanwhile. Takes the lock, because a
    /// server that is starting may be about to.
    ///
    /// # Errors
    ///
    /// System errors. If a start holds the lock for too long the file stays.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        let folder = match Folder::of(&self.path) {
            Err(Errno::NOENT) => return Ok(()),
            folder => folder?,
        };
        if !self.is_in(&folder)? {
            return Ok(());
        }
        let _lock = match BindLock::take(&folder, UNLINK_TIMEOUT) {
            Ok(lock) => Some(lock),
            Err(Unlocked::Impossible) => None,
            Err(Unlocked::Held(_)) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another server is starting there",
                ));
            }
        };
        Ok(self.unlink_in(&folder)?)
    }

    /// Like [`SocketFile::unlink`], for a caller who has the lock or cannot have it.
    pub(super) fn unlink_in(&self, folder: &Folder) -> Result<(), Errno> {
        if self.is_in(folder)? {
            folder.unlink()?;
        }
        Ok(())
    }

    fn is_in(&self, folder: &Folder) -> Result<bool, Errno> {
        let found = match OpenFile::open(folder, folder.name()) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(errno),
        };
        // A release that did not record the birth may have made the file.
        let is_born_then = match (self.born, found.born) {
            (Some(noted), Some(born)) => noted == born,
            _ => true,
        };
        let identity = (found.stat.st_dev, found.stat.st_ino);
        Ok(is_born_then && identity == (self.device, self.inode))
    }
}

/// A socket's file, held open, so that no operation can affect another file.
#[derive(Debug)]
pub(super) struct OpenFile {
    fd: OwnedFd,
    pub(super) stat: Stat,
    born: Option<Birth>,
}

impl OpenFile {
    /// Opens the file at `path`, without following links.
    pub(super) fn at(path: &Path) -> Result<Self, Errno> {
        Self::open(CWD, path.as_os_str())
    }

    fn open(folder: impl AsFd, name: &OsStr) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(folder, name, flags, rustix::fs::Mode::empty())?;
        let stat = fstat(&fd)?;
        let born = statx(&fd, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok();
        let born = born.filter(|it| it.stx_mask & StatxFlags::BTIME.bits() != 0);
        let born = born.map(|it| (it.stx_btime.tv_sec, it.stx_btime.tv_nsec));
        Ok(Self { fd, stat, born })
    }

    pub(super) fn is_socket(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode).is_socket()
    }

    /// Sets its group, with only the file permissions of this thread.
    pub(super) fn set_group(&mut self, gid: Gid) -> Result<(), Errno> {
        let group = Some(rustix::fs::Gid::from_raw(gid.as_raw()));
        chownat(&self.fd, "", None, group, AtFlags::EMPTY_PATH)?;
        self.stat = fstat(&self.fd)?;
        Ok(())
    }

    /// Sets its mode, with only the file permissions of this thread.
    pub(super) fn set_mode(&mut self, mode: u32) -> io::Result<()> {
        // fchmod(2) does not accept O_PATH descriptors, and fchmodat2(2) needs Linux 6.6.
        std::fs::set_permissions(self.link(), Mode::from_mode(mode))?;
        self.stat = fstat(&self.fd)?;
        Ok(())
    }

    /// A path that refers to it while it is open: proc_pid_fd(5).
    fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

/// How long the end of a server waits for a start at the same path. Most of the event loop is
/// blocked meanwhile.
const UNLINK_TIMEOUT: Duration = Duration::from_millis(500);

/// A non-blocking Unix socket.
pub(super) fn stream_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn bound(path: &Path) -> SocketFile {
        UnixListener::bind(path).unwrap();
        SocketFile::new(path.to_owned(), &OpenFile::at(path).unwrap())
    }

    #[test]
    fn file_is_removed_once_even_if_its_mode_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let file = bound(&path);
        std::fs::set_permissions(&path, Mode::from_mode(0o600)).unwrap();
        file.unlink().unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        let _next = bound(&path);
        file.unlink().unwrap();
        file.unlink().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn file_of_another_server_with_the_same_inode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let file = bound(&path);
        let Some((seconds, nanoseconds)) = file.born else {
            return;
        };
        let earlier = SocketFile {
            born: Some((seconds - 1, nanoseconds)),
            ..file.clone()
        };
        earlier.unlink().unwrap();
        assert!(path.exists());
        let of_an_earlier_release = SocketFile { born: None, ..file };
        of_an_earlier_release.unlink().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn file_stays_while_a_start_may_be_about_to_replace_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let file = bound(&path);
        let folder = Folder::of(&path).unwrap();
        let lock = BindLock::take(&folder, Duration::ZERO).unwrap();
        let error = file.unlink().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(path.exists());
        drop(lock);
        file.unlink().unwrap();
        assert!(!path.exists());
    }
}
