//! The standard streams that this process was started with.
//!
//! The application may close descriptors 1 and 2 or replace them with files of its own. The
//! server's output still goes where the operator wanted it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use rustix::fs::fstat;
use rustix::stdio::{stderr, stdout};

use crate::sys::descriptors::{duplicate, move_up, watch_for_ever};
use crate::sys::fork::{self, Own};

/// Keeps the current streams. Call it before the application is loaded.
pub(super) fn keep() {
    for (name, stream, number) in [
        ("standard output", &STDOUT, stdout()),
        ("standard error", &STDERR, stderr()),
    ] {
        if let Some(kept) = stream.get_or_init(|| Kept::of(number)) {
            watch_for_ever(name, &kept.fd);
        }
    }
}

/// The kept standard output.
pub(super) fn standard_output() -> BorrowedFd<'static> {
    find(&STDOUT).unwrap_or_else(stdout)
}

/// The kept standard error.
pub(super) fn standard_error() -> BorrowedFd<'static> {
    find(&STDERR).unwrap_or_else(stderr)
}

/// A duplicate of a stream, at a number that the application does not know.
#[derive(Debug)]
struct Kept {
    fd: Own,
    /// Device and inode.
    place: (u64, u64),
}

impl Kept {
    /// `None` if no descriptor is available.
    fn of(stream: BorrowedFd<'_>) -> Option<Self> {
        let place = place(stream)?;
        let fd = move_up(duplicate(stream).ok()?);
        Some(Self { fd, place })
    }

    /// Whether the number has been closed and may now be a file of the application.
    fn is_lost(&self) -> bool {
        place(self.fd.as_fd()) != Some(self.place)
    }
}

/// Finds the kept stream. A child of the application does not have it, and uses its own streams.
fn find(stream: &'static OnceLock<Option<Kept>>) -> Option<BorrowedFd<'static>> {
    let kept = stream.get()?.as_ref();
    let kept = kept.filter(|kept| !fork::is_child() && !kept.is_lost());
    kept.map(|kept| kept.fd.as_fd())
}

fn place(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

static STDOUT: OnceLock<Option<Kept>> = OnceLock::new();

static STDERR: OnceLock<Option<Kept>> = OnceLock::new();

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use rustix::io::dup2;

    use super::*;

    #[test]
    fn stream_is_kept_when_its_number_is_reused() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let kept = Kept::of(writer.as_fd()).unwrap();
        drop(writer);
        assert!(!kept.is_lost());
        let mut file = File::from(kept.fd.as_fd().try_clone_to_owned().unwrap());
        file.write_all(b"x").unwrap();
        drop(file);
        let mut fd = std::os::fd::OwnedFd::from(kept.fd);
        dup2(tempfile::tempfile().unwrap(), &mut fd).unwrap();
        let kept = Kept {
            fd: fd.into(),
            place: kept.place,
        };
        assert!(kept.is_lost());
        drop(kept);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}
