//! `--pid-file`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use tracing::warn;

use crate::failure::Failure;

/// A file with the master's process ID, removed when the master ends.
#[derive(Debug)]
pub(crate) struct PidFile(Option<Written>);

#[derive(Debug)]
struct Written {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl PidFile {
    /// Writes it, over whatever an earlier master has left.
    ///
    /// # Errors
    ///
    /// [`Failure::PidFile`] names the file.
    pub(crate) fn write(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        match write(path) {
            Ok(written) => Ok(Self(Some(written))),
            Err(error) => Err(failure(path, error)),
        }
    }

    /// Keeps the file that this process has written before an upgrade, or writes it. A server
    /// that runs does not end for want of it.
    pub(crate) fn keep(path: Option<&Path>) -> Self {
        let kept = path.and_then(|path| match Written::found(path) {
            Ok(Some(written)) => Some(written),
            _ => write(path)
                .inspect_err(|error| {
                    let path = path.display();
                    warn!(%path, %error, "cannot write --pid-file: the server runs on without it");
                })
                .ok(),
        });
        Self(kept)
    }

    /// Finds out whether [`PidFile::keep`] would have it.
    ///
    /// # Errors
    ///
    /// [`Failure::PidFile`] names the file.
    pub(crate) fn check(path: Option<&Path>) -> Result<(), Failure> {
        path.map_or(Ok(()), |path| {
            check(path).map_err(|error| failure(path, error))
        })
    }
}

fn failure(path: &Path, error: io::Error) -> Failure {
    Failure::PidFile {
        path: path.to_owned(),
        error,
    }
}

/// Finds out whether a master that takes over could have the file. One that is there may be
/// its own, and stay.
fn check(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(in_the_way()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let rights = Access::WRITE_OK | Access::EXEC_OK;
            Ok(accessat(CWD, folder(path), rights, AtFlags::EACCESS)?)
        }
        Err(error) => Err(error),
    }
}

/// Whoever reads it finds a whole number or no file.
fn write(path: &Path) -> io::Result<Written> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(in_the_way());
    }
    let folder = folder(path);
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(ours().as_bytes())?;
    let identity = identity(file.as_file())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(Written {
        path: path.to_owned(),
        identity,
    })
}

fn in_the_way() -> io::Error {
    io::Error::other("what is there is no regular file")
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}

impl Written {
    /// The file at `path`, if it has the number of this process.
    fn found(path: &Path) -> io::Result<Option<Self>> {
        let found = Self {
            path: path.to_owned(),
            identity: identity(&open(path)?)?,
        };
        Ok(found.is_ours()?.then_some(found))
    }

    /// Whether nobody has written another number, or put another file there. No link is
    /// followed, and nothing waited for: the folder may be somebody else's.
    fn is_ours(&self) -> io::Result<bool> {
        let file = open(&self.path)?;
        if identity(&file)? != self.identity {
            return Ok(false);
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok(text == ours())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(written) = &self.0 {
            if written.is_ours().unwrap_or(false) {
                let _ = fs::remove_file(&written.path);
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits()).open(path)
}

fn ours() -> String {
    format!("{}\n", std::process::id())
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Bytes that a number and a line feed can have, and one more.
const LONGEST: u64 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_put_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        type Put = fn(&Path);
        let put: [(&str, Put); 4] = [
            ("a link", |path| {
                std::os::unix::fs::symlink("/dev/zero", path).unwrap();
            }),
            ("a link to a copy", |path| {
                let copy = path.with_extension("copy");
                fs::write(&copy, ours()).unwrap();
                std::os::unix::fs::symlink(copy, path).unwrap();
            }),
            ("a FIFO", |path| {
                let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
                nix::unistd::mkfifo(path, mode).unwrap();
            }),
            ("another number", |path| fs::write(path, "1\n").unwrap()),
        ];
        for (what, put) in put {
            let written = PidFile::write(Some(&path)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), ours());
            fs::remove_file(&path).unwrap();
            put(&path);
            drop(written);
            assert!(fs::symlink_metadata(&path).is_ok(), "{what}");
            fs::remove_file(&path).unwrap();
        }
        drop(PidFile::write(Some(&path)).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn upgrade_keeps_what_is_ours_and_does_without_what_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let first = write(&path).unwrap();
        let kept = PidFile::keep(Some(&path));
        assert_eq!(identity(&open(&path).unwrap()).unwrap(), first.identity);
        drop(kept);
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        assert!(PidFile::check(Some(&path)).is_err());
        drop(PidFile::keep(Some(&path)));
        assert!(path.exists());
        fs::remove_dir(&path).unwrap();
        assert!(PidFile::check(Some(&path)).is_ok());
        let nowhere = folder.path().join("nowhere/pid");
        assert!(PidFile::check(Some(&nowhere)).is_err());
        assert!(PidFile::keep(Some(&nowhere)).0.is_none());
    }
}
