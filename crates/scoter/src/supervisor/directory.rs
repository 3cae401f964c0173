//! The working directory of a generation.

use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};

/// The directory that the processes of a generation start in. It is held open because its name may
/// lead to another one later: deployments move links and replace directories.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// Its path when it was opened, for the log and for releases that know only the path.
    path: PathBuf,
    descriptor: Arc<OwnedFd>,
}

impl Directory {
    /// The directory of `--chdir`, or else the working directory of this process.
    ///
    /// # Errors
    ///
    /// Those of opening it. `--user` may not be allowed to open the working directory.
    pub(super) fn find(chdir: Option<&Path>) -> io::Result<Self> {
        match chdir {
            Some(path) => Self::open(path.to_owned(), path),
            None => Self::open(env::current_dir()?, Path::new(".")),
        }
    }

    /// The directory at this path.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub(super) fn named(path: PathBuf) -> io::Result<Self> {
        let name = path.clone();
        Self::open(path, &name)
    }

    /// A directory that an earlier release held open.
    pub(super) fn adopt(path: PathBuf, descriptor: OwnedFd) -> Self {
        let descriptor = Arc::new(descriptor);
        Self { path, descriptor }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A path by which a child of this process enters it, even if it has been moved.
    pub(super) fn entrance(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()).into()
    }

    fn open(path: PathBuf, name: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = open(name, flags, Mode::empty())?;
        Ok(Self::adopt(path, descriptor))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
