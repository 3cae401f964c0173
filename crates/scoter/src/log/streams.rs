//! The standard streams that this process was started with.
//!
//! The application may close descriptors 1 and 2 or replace them with files of its own. The
//! server's output still goes where the operator wanted it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::fstat;
use rustix::stdio::{dup2_stderr, stderr, stdout};

use super::write_lock::is_same;
use crate::sys::descriptors::{Watch, duplicate, move_up, replace, watch};
use crate::sys::fork::{self, Own};

/// Keeps the current streams. Call it before the application is loaded.
pub(super) fn keep() {
    STDOUT.get_or_init(|| Kept::of("standard output", stdout()));
    STDERR.get_or_init(|| Kept::of("standard error", stderr()));
}

/// The kept standard output.
pub(super) fn standard_output() -> BorrowedFd<'static> {
    find(&STDOUT).unwrap_or_else(stdout)
}

/// The standard error of the server, whatever descriptor 2 is.
pub(crate) fn standard_error() -> BorrowedFd<'static> {
    find(&STDERR).unwrap_or_else(stderr)
}

/// Remembers the current standard error, before it is replaced.
pub(super) fn remember_standard_error() {
    REMEMBERED.get_or_init(|| Kept::of("former standard error", stderr()));
}

/// The standard error that was remembered.
pub(super) fn remembered_standard_error() -> Option<BorrowedFd<'static>> {
    find(&REMEMBERED)
}

/// Replaces standard error: the kept one, and descriptor 2, unless that is the application's by now.
///
/// # Errors
///
/// Those of dup2(2).
pub(super) fn replace_standard_error(by: impl AsFd) -> io::Result<()> {
    // A child would find a lock that nobody opens.
    fork::held_off(|| {
        let kept = STDERR.get().and_then(Option::as_ref);
        if kept.is_none_or(|kept| is_same(stderr(), &kept.fd)) {
            dup2_stderr(&by)?;
        }
        kept.map_or(Ok(()), |kept| kept.replace(&by))
    })
}

/// A duplicate of a stream, at a number that the application does not know.
#[derive(Debug)]
struct Kept {
    name: &'static str,
    fd: Own,
    file: Mutex<KeptFile>,
}

/// What the duplicate refers to.
#[derive(Debug)]
struct KeptFile {
    /// Device and inode.
    place: Option<(u64, u64)>,
    watch: Option<Watch>,
}

impl Kept {
    /// `None` if no descriptor is available.
    fn of(name: &'static str, stream: BorrowedFd<'_>) -> Option<Self> {
        let fd: Own = move_up(duplicate(stream).ok()?);
        let file = Mutex::new(KeptFile {
            place: Some(place(&fd)?),
            watch: Some(watch(name, &fd)),
        });
        Some(Self { name, fd, file })
    }

    fn replace(&self, by: impl AsFd) -> io::Result<()> {
        let mut file = self.lock();
        // It must not be found missing meanwhile.
        file.watch = None;
        let replaced = replace(&self.fd, by);
        if replaced.is_ok() {
            file.place = place(&self.fd);
        }
        file.watch = Some(watch(self.name, &self.fd));
        replaced
    }

    /// Whether the number has been closed and may now be a file of the application.
    fn is_lost(&self) -> bool {
        let file = self.lock();
        file.place.is_none() || place(&self.fd) != file.place
    }

    fn lock(&self) -> MutexGuard<'_, KeptFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the kept stream. A child of the application does not have it, and uses its own streams.
fn find(stream: &'static OnceLock<Option<Kept>>) -> Option<BorrowedFd<'static>> {
    let kept = stream.get()?.as_ref();
    let kept = kept.filter(|kept| !fork::is_child() && !kept.is_lost());
    kept.map(|kept| kept.fd.as_fd())
}

fn place(fd: impl AsFd) -> Option<(u64, u64)> {
    fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

static STDOUT: OnceLock<Option<Kept>> = OnceLock::new();

static STDERR: OnceLock<Option<Kept>> = OnceLock::new();

static REMEMBERED: OnceLock<Option<Kept>> = OnceLock::new();

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;

    fn write(kept: &Kept, text: &[u8]) {
        let mut file = File::from(kept.fd.as_fd().try_clone_to_owned().unwrap());
        file.write_all(text).unwrap();
    }

    #[test]
    fn stream_is_kept_when_its_number_is_reused() {
        let (mut reader, writer) = io::pipe().unwrap();
        let kept = Kept::of("test", writer.as_fd()).unwrap();
        drop(writer);
        assert!(!kept.is_lost());
        write(&kept, b"x");
        kept.lock().watch = None;
        // Application code, which does not know whose number that is.
        replace(&kept.fd, tempfile::tempfile().unwrap()).unwrap();
        assert!(kept.is_lost());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn replaced_stream_is_not_lost() {
        let (old, new) = (
            tempfile::tempfile().unwrap(),
            tempfile::NamedTempFile::new().unwrap(),
        );
        let kept = Kept::of("test", old.as_fd()).unwrap();
        kept.replace(new.as_file()).unwrap();
        assert!(!kept.is_lost());
        write(&kept, b"y");
        assert_eq!(std::fs::read(new.path()).unwrap(), b"y");
    }
}
