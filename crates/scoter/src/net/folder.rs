//! The directory of a socket's file.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, Stat, accessat, openat, statat, unlinkat};
use rustix::io::Errno;

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
