//! Log files, which are appended to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use thiserror::Error;

/// Why a log file cannot be opened.
#[derive(Debug, Error)]
#[error("cannot open the {log} {}: {error}", path.display())]
pub(crate) struct FileError {
    pub(super) log: &'static str,
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// Opens a file for appending; if it does not exist, creates it with mode 640. As root, does not
/// follow a link that another user has made, which could lead to any file.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    open(path, OFlag::empty())
}

/// As [`append_to`], but a named pipe that nobody reads is an error instead of a wait for a reader.
pub(super) fn append_without_waiting(path: &Path) -> io::Result<File> {
    let file = open(path, OFlag::O_NONBLOCK).map_err(|error| {
        // fifo(7)
        if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
            return io::Error::other("it is a named pipe that nobody reads");
        }
        error
    })?;
    // Whoever writes there waits for room.
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

fn open(path: &Path, flags: OFlag) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    options.custom_flags(flags.bits());
    if !rustix::process::geteuid().is_root() {
        return options.open(path);
    }
    let unlinked = (flags | OFlag::O_NOFOLLOW).bits();
    match options.clone().custom_flags(unlinked).open(path) {
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

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn named_pipe_is_not_waited_for_and_then_waits_for_its_reader() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let error = append_without_waiting(&pipe).unwrap_err().to_string();
        assert_eq!(error, "it is a named pipe that nobody reads");
        let keeper = OpenOptions::new().read(true).write(true).open(&pipe);
        let _keeper = keeper.unwrap();
        let file = append_without_waiting(&pipe).unwrap();
        assert!(!fcntl_getfl(&file).unwrap().contains(OFlags::NONBLOCK));
    }

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
