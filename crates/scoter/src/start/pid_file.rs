//! `--pid-file`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

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
            Err(error) => Err(Failure::PidFile {
                path: path.to_owned(),
                error,
            }),
        }
    }
}

/// Whoever reads it finds a whole number or no file.
fn write(path: &Path) -> io::Result<Written> {
    let in_the_way = fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    if in_the_way {
        return Err(io::Error::other("what is there is no regular file"));
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
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

impl Written {
    /// Whether nobody has written another number, or put another file there. No link is
    /// followed, and nothing waited for: the folder may be somebody else's.
    fn is_ours(&self) -> io::Result<bool> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(&self.path)?;
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
}
