//! The directory of a socket's file.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, Stat, accessat, openat, statat, unlinkat};
use rustix::io::Errno;

/// The open directory of a path: replacing it, or putting a link in its place, has no effect on
/// what is done in it.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the directory of `path`, which must be absolute.
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

    /// The path's name within the directory.
    pub(super) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// Looks up the file with that name, without following a link.
    pub(super) fn look(&self) -> Result<Option<Stat>, Errno> {
        match statat(&self.fd, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Fails unless files can be created and removed in it.
    pub(super) fn require_writable(&self) -> Result<(), Errno> {
        let rights = Access::WRITE_OK | Access::EXEC_OK;
        accessat(&self.fd, ".", rights, AtFlags::EACCESS)
    }

    /// Removes the file with that name.
    pub(super) fn unlink(&self) -> Result<(), Errno> {
        unlinkat(&self.fd, self.name(), AtFlags::empty())
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
