//! The file of a bound socket, and the folder that it is in.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::Permissions as Mode;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, OFlags, Stat, accessat, chownat, fstat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, connect};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::unix::stream_socket;

/// The folder of a path, open: whoever exchanges it, or puts a link in its place, has no say in
/// what happens in it.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder of `path`, which is absolute.
    pub(super) fn of(path: &Path) -> Result<Self, Errno> {
        let parent = path.parent().unwrap_or_else(|| Path::new("/"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            fd: openat(CWD, parent, flags, rustix::fs::Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// The path that it was opened for.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of that path in the folder.
    pub(super) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// What has that name, itself and not what it may link to.
    pub(super) fn look(&self) -> Result<Option<Stat>, Errno> {
        match statat(&self.fd, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Whether names can be made and taken away in it.
    pub(super) fn require_writable(&self) -> Result<(), Errno> {
        let rights = Access::WRITE_OK | Access::EXEC_OK;
        accessat(&self.fd, ".", rights, AtFlags::EACCESS)
    }

    /// Takes that name away.
    pub(super) fn unlink(&self) -> Result<(), Errno> {
        unlinkat(&self.fd, self.name(), AtFlags::empty())
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The file of a bound socket, known by its identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    mode: u32,
    owner: u32,
    /// Earlier releases did not note it.
    #[serde(default)]
    group: Option<u32>,
}

impl SocketFile {
    /// Finds the file of a listening socket that this process has inherited: the one at
    /// `path`, if connections to it arrive at `listener`.
    ///
    /// The connection that finds it out is left in the queue, and closed already.
    ///
    /// # Errors
    ///
    /// Those of the system, when the file cannot be looked at.
    pub(crate) fn of(listener: impl AsFd, path: &Path) -> io::Result<Option<Self>> {
        let path = std::path::absolute(path)?;
        let found = match OpenFile::at(&path) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let connected = stream_socket().and_then(|probe| {
            // What was opened, whatever is at the path by now.
            connect(&probe, &SocketAddrUnix::new(found.link())?)?;
            // unix_stream_connect() has queued it before it returns.
            let mut queue = [PollFd::new(&listener, PollFlags::IN)];
            poll(&mut queue, Some(&Timespec::default()))
        });
        let is_ours = connected.is_ok_and(|ready| ready > 0);
        Ok(is_ours.then(|| Self::new(path, &found.stat)))
    }

    pub(super) fn new(path: PathBuf, stat: &Stat) -> Self {
        Self {
            path,
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
            group: Some(stat.st_gid),
        }
    }

    /// The user whom the file belongs to.
    pub(crate) fn owner(&self) -> Uid {
        Uid::from_raw(self.owner)
    }

    /// Who may connect, as people write it.
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

    /// Whether this process may remove the file. In a folder with the sticky bit only the
    /// owners of both may: unlink(2), EPERM.
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

    /// Removes the file, as [`SocketFile::unlink`], and says so where that fails, unless it was
    /// clear from the start that it would.
    pub(crate) fn clear(&self) {
        match self.unlink() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                debug!(%error, socket = %self.path.display(), "the socket stays");
            }
            Err(error) => {
                warn!(%error, socket = %self.path.display(), "cannot remove the socket");
            }
            Ok(()) => {}
        }
    }

    /// Removes the file unless another server has put its own there meanwhile.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        let folder = match Folder::of(&self.path) {
            Err(Errno::NOENT) => return Ok(()),
            folder => folder?,
        };
        match folder.look()? {
            Some(found) if (found.st_dev, found.st_ino) == (self.device, self.inode) => {
                Ok(folder.unlink()?)
            }
            _ => Ok(()),
        }
    }
}

/// A socket's file, held by a descriptor: what is done to it is done to no other.
#[derive(Debug)]
pub(super) struct OpenFile {
    fd: OwnedFd,
    pub(super) stat: Stat,
}

impl OpenFile {
    /// Opens what is at `path`, and follows no link.
    pub(super) fn at(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, rustix::fs::Mode::empty())?;
        let stat = fstat(&fd)?;
        Ok(Self { fd, stat })
    }

    pub(super) fn is_socket(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode).is_socket()
    }

    /// Gives it a group, with no more than the rights that this thread has to files.
    pub(super) fn set_group(&mut self, gid: Gid) -> Result<(), Errno> {
        let group = Some(rustix::fs::Gid::from_raw(gid.as_raw()));
        chownat(&self.fd, "", None, group, AtFlags::EMPTY_PATH)?;
        self.stat = fstat(&self.fd)?;
        Ok(())
    }

    /// Gives it a mode, with no more than the rights that this thread has to files.
    pub(super) fn set_mode(&mut self, mode: u32) -> io::Result<()> {
        // fchmod(2) takes no descriptor like this one, and fchmodat2(2) is of Linux 6.6.
        std::fs::set_permissions(self.link(), Mode::from_mode(mode))?;
        self.stat = fstat(&self.fd)?;
        Ok(())
    }

    /// A path that leads to it for as long as it is open: proc_pid_fd(5).
    fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}
