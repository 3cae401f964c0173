//! A lock that lets one start at a time bind a socket.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::folder::Folder;

/// While it is held, no other start can look for a stale socket at the same path, and no stop can
/// remove its socket. Without the lock, two processes could find the same stale socket, and the
/// second would replace or remove the first one's new socket.
///
/// The lock is a directory beside the socket, which is removed with the lock. Any user who may read
/// the socket's own directory could lock that; only its owner and root can open this one. A user
/// who may write there can create it first and keep it: a start then waits, and fails with the
/// path, as it would at a socket of that user.
#[derive(Debug)]
pub(super) struct BindLock<'a> {
    folder: BorrowedFd<'a>,
    name: OsString,
    _held: OwnedFd,
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum Unlocked {
    /// The directory cannot hold a lock. Binding will report what is wrong with it.
    Impossible,
    /// Another process has held the lock at this path for the whole time.
    Held(PathBuf),
}

impl<'a> BindLock<'a> {
    /// Waits for the lock, for no longer than `patience`.
    pub(super) fn take(folder: &'a Folder, patience: Duration) -> Result<Self, Unlocked> {
        let name = lock_name(folder);
        let started = Instant::now();
        loop {
            match try_take(folder.as_fd(), &name) {
                Ok(Some(held)) => {
                    return Ok(Self {
                        folder: folder.as_fd(),
                        name,
                        _held: held,
                    });
                }
                Ok(None) if started.elapsed() < patience => std::thread::sleep(LOCK_RETRY),
                Ok(None) => return Err(Unlocked::Held(folder.path().with_file_name(name))),
                Err(_) => return Err(Unlocked::Impossible),
            }
        }
    }
}

impl Drop for BindLock<'_> {
    fn drop(&mut self) {
        // Removed while it is still locked: a process that waits for it checks whether it still
        // exists.
        let _ = unlinkat(self.folder, &self.name, AtFlags::REMOVEDIR);
    }
}

/// `None` if another process holds it.
fn try_take(folder: BorrowedFd<'_>, name: &OsString) -> Result<Option<OwnedFd>, Errno> {
    match mkdirat(folder, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(held) = openat(folder, name, flags, Mode::empty()) else {
        // It has been removed, belongs to another user, or is not a directory.
        return Ok(None);
    };
    match flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(None),
        // Some network file systems do not support locks.
        Err(errno) => {
            let _ = unlinkat(folder, name, AtFlags::REMOVEDIR);
            return Err(errno);
        }
    }
    let (ours, there) = (
        fstat(&held)?,
        statat(folder, name, AtFlags::SYMLINK_NOFOLLOW),
    );
    let is_there = there.is_ok_and(|there| {
        FileType::from_raw_mode(there.st_mode).is_dir()
            && (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
    });
    Ok(is_there.then_some(held))
}

fn lock_name(folder: &Folder) -> OsString {
    let mut name = OsString::from(".");
    name.push(folder.name());
    name.push(".lock");
    name
}

/// How long a start waits for another one at the same path.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_taken_in_turns_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::of(&directory.path().join("s")).unwrap();
        let first = BindLock::take(&folder, LOCK_TIMEOUT).unwrap();
        assert!(
            try_take(folder.as_fd(), &lock_name(&folder))
                .unwrap()
                .is_none()
        );
        drop(first);
        drop(BindLock::take(&folder, LOCK_TIMEOUT).unwrap());
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn lock_of_a_killed_start_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(".s.lock")).unwrap();
        let folder = Folder::of(&directory.path().join("s")).unwrap();
        drop(BindLock::take(&folder, LOCK_TIMEOUT).unwrap());
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
