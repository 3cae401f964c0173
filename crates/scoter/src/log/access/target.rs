//! Where access log lines go: `--access-log`.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use rustix::io::Errno;
use thiserror::Error;

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere; no lines are formatted.
    Off,
    /// The end of a file.
    File(PathBuf),
}

impl AccessLogTo {
    /// Parses a word that is not a file name.
    pub(crate) fn from_word(text: &OsStr) -> Option<Self> {
        match text.to_str()? {
            "on" | "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Why the access log cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// The file cannot be opened.
    #[error("cannot open the access log {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// Standard output or standard error cannot be used.
    #[error("cannot write an access log: {0}")]
    Stream(io::Error),
}

/// Opens a file for appending. As root, does not follow a link that another user has made, which
/// could lead to any file.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    if !rustix::process::geteuid().is_root() {
        return options.open(path);
    }
    let flags = OFlag::O_NOFOLLOW.bits();
    match options.clone().custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            if std::fs::symlink_metadata(path)?.uid() != 0 {
                return Err(io::Error::other(
                    "it is a symbolic link owned by another user, which root does not follow",
                ));
            }
            options.open(path)
        }
        opened => opened,
    }
}

pub(super) fn duplicate(stream: impl AsFd) -> Result<File, OpenError> {
    let fd = stream.as_fd().try_clone_to_owned();
    fd.map(File::from).map_err(OpenError::Stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_of_another_user_is_not_followed_as_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        append_to(&link).unwrap();
        assert!(target.exists());
        std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
        let error = append_to(&link).unwrap_err().to_string();
        assert!(error.contains("another user"), "{error}");
        // The link's target may be opened by its own name.
        append_to(&target).unwrap();
    }
}
