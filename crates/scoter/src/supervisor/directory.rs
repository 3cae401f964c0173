//! The working directory of a generation.

use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};

/// The directory that the processes of a generation start in. It is held open: by its name
/// another one may be found later, since deployments move links and replace directories.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// As it was found, for the log and for releases that know no more.
    path: PathBuf,
    descriptor: Arc<OwnedFd>,
}

impl Directory {
    /// The directory of `--chdir`, else the one that this process is in.
    ///
    /// # Errors
    ///
    /// Those of opening it. The user of `--user` may be in a directory that he cannot open.
    pub(super) fn find(chdir: Option<&Path>) -> io::Result<Self> {
        match chdir {
            Some(path) => Self::open(path.to_owned(), path),
            None => Self::open(env::current_dir()?, Path::new(".")),
        }
    }

    /// The directory of this name.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub(super) fn named(path: PathBuf) -> io::Result<Self> {
        let name = path.clone();
        Self::open(path, &name)
    }

    /// One that an earlier release has held.
    pub(super) fn adopt(path: PathBuf, descriptor: OwnedFd) -> Self {
        let descriptor = Arc::new(descriptor);
        Self { path, descriptor }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A name by which a child of this process enters it, whatever has become of its own.
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
