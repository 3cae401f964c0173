//! What the configuration may ask of the machine.

use std::io;
use std::path::{Path, PathBuf};

/// What the configuration may ask of the machine.
pub(crate) trait System {
    /// What does not change while it is read.
    fn host(&self) -> Host;

    /// The file's content.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::FileTooLarge`] if there are more bytes than `limit`.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// What is there, behind a link.
    fn kind(&self, path: &Path) -> Option<Kind>;

    /// Whether it is there, and this process may read it.
    fn is_readable(&self, path: &Path) -> bool;

    /// What is there, and be it a link.
    fn entry(&self, path: &Path) -> Option<Entry>;

    /// The absolute path without links.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf>;

    /// The paths that match, sorted; of directories with a slash at their end. At most `limit`.
    fn glob(&self, pattern: &str, limit: usize) -> Vec<PathBuf>;
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Other,
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) is_link: bool,
    pub(crate) inode: u64,
}

/// The machine and the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// That of the process, to which all relative paths are relative: not that of a file.
    pub(crate) directory: PathBuf,
    pub(crate) name: String,
    pub(crate) processors: usize,
    pub(crate) user_id: u32,
    /// The number again if it has no name.
    pub(crate) user: String,
    pub(crate) group_id: u32,
    /// The number again if it has no name.
    pub(crate) group: String,
    /// The path of the program.
    pub(crate) program: PathBuf,
    /// Microseconds since 1970.
    pub(crate) started: u64,
}
