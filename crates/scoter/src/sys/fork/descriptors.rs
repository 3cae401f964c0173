//! The server's own descriptors, which are closed in forked children.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU64};

use nix::libc;
use rustix::fs::{Dir, Mode, OFlags, fstat, open};

use crate::sys::descriptors::{duplicate, move_up};
use crate::sys::raw_fd::with_borrowed;

/// A descriptor of the server's own.
///
/// A child that kept it open would block everyone that waits for it to be closed: a peer, the
/// master, the next server at the same address.
#[derive(Debug)]
pub(crate) struct Own {
    // First, because a closed number may be reused immediately.
    mark: Mark,
    fd: OwnedFd,
}

impl From<OwnedFd> for Own {
    fn from(fd: OwnedFd) -> Self {
        Self {
            mark: Mark::on(&fd),
            fd,
        }
    }
}

impl From<Own> for OwnedFd {
    fn from(Own { mark, fd }: Own) -> Self {
        drop(mark);
        fd
    }
}

impl Own {
    /// Another descriptor of the same file, with a high number if this one has one.
    ///
    /// # Errors
    ///
    /// System errors, if no descriptors are available.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        duplicate(&self.fd).map(Self::from)
    }
}

impl AsFd for Own {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Own {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Marks a descriptor as the server's own until it is dropped. Drop it before the descriptor is
/// closed.
#[derive(Debug)]
pub(crate) struct Mark(RawFd);

impl Mark {
    pub(crate) fn on(fd: impl AsFd) -> Self {
        let number = fd.as_fd().as_raw_fd();
        mark(number);
        Self(number)
    }

    /// Marks a descriptor that is never closed.
    pub(crate) fn for_good(fd: impl AsFd) {
        mark(fd.as_fd().as_raw_fd());
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some((word, bit)) = place(self.0) {
            word.fetch_and(!bit, Relaxed);
        }
    }
}

/// Runs `work`, and permanently marks the sockets, eventfds and epoll instances that it has opened,
/// for libraries that do not expose them.
///
/// # Errors
///
/// Those of reading `/proc/self/fd`.
pub(crate) fn mark_new<R>(work: impl FnOnce() -> R) -> io::Result<R> {
    let before = numbers()?;
    let result = work();
    for number in numbers()? {
        if !before.contains(&number) && is_of_a_runtime(number) {
            mark(number);
        }
    }
    Ok(result)
}

fn numbers() -> io::Result<Vec<RawFd>> {
    let mut numbers = Vec::new();
    let folder = open(
        "/proc/self/fd",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let own = folder.as_raw_fd();
    for entry in Dir::new(folder)? {
        let number = entry?
            .file_name()
            .to_str()
            .ok()
            .and_then(|name| name.parse().ok());
        numbers.extend(number.filter(|number: &RawFd| *number != own));
    }
    Ok(numbers)
}

fn is_of_a_runtime(number: RawFd) -> bool {
    let file = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
    let file = file.to_string_lossy();
    ["socket:", "anon_inode:[eventfd]", "anon_inode:[eventpoll]"]
        .iter()
        .any(|kind| file.starts_with(kind))
}

/// Opens the replacement for own descriptors in children.
///
/// # Errors
///
/// Those of opening `/dev/null`.
pub(super) fn prepare() -> io::Result<()> {
    if NULL.load(Relaxed) < 0 {
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let null = move_up::<OwnedFd>(null).into_raw_fd();
        NULL.store(null, Relaxed);
    }
    Ok(())
}

/// Replaces all own descriptors, in a child.
///
/// The numbers stay open, as `/dev/null`: the parent's objects in memory still use them, and must
/// neither write to the child's files nor close them.
pub(super) fn release() {
    let null = NULL.load(Relaxed);
    // The application may have closed or replaced it.
    let has_null = is_null(null);
    for (index, word) in MARKS.iter().enumerate() {
        let mut marked = word.swap(0, Relaxed);
        while marked != 0 {
            let number = index * 64 + marked.trailing_zeros() as usize;
            marked &= marked - 1;
            replace(number as RawFd, has_null.then_some(null));
        }
    }
}

#[expect(
    unsafe_code,
    reason = "numbers of objects that live in another process now"
)]
fn replace(number: RawFd, null: Option<RawFd>) {
    // SAFETY: both calls are async-signal-safe and take any number. The descriptor's owner
    // finds an open one, or none, which it gets an error for.
    unsafe {
        match null {
            Some(null) => libc::dup3(null, number, libc::O_CLOEXEC),
            None => libc::close(number),
        };
    }
}

fn is_null(number: RawFd) -> bool {
    if number < 0 {
        return false;
    }
    with_borrowed(number, |fd| fstat(fd)).is_ok_and(|stat| {
        stat.st_rdev == libc::makedev(1, 3) && stat.st_mode & libc::S_IFMT == libc::S_IFCHR
    })
}

fn mark(number: RawFd) {
    if let Some((word, bit)) = place(number) {
        word.fetch_or(bit, Relaxed);
    }
}

fn place(number: RawFd) -> Option<(&'static AtomicU64, u64)> {
    let number = usize::try_from(number).ok()?;
    Some((MARKS.get(number / 64)?, 1 << (number % 64)))
}

/// One bit per number. Pages are used only as needed, one for 32 768 numbers.
static MARKS: [AtomicU64; HIGHEST / 64] = [const { AtomicU64::new(0) }; HIGHEST / 64];

/// Numbers from here on are not marked: more than a process has by default (fs.nr_open).
const HIGHEST: usize = 1 << 20;

static NULL: AtomicI32 = AtomicI32::new(-1);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_marked(number: RawFd) -> bool {
        place(number).is_some_and(|(word, bit)| word.load(Relaxed) & bit != 0)
    }

    #[test]
    fn descriptor_is_marked_until_it_is_closed_or_given_away() {
        let (reader, writer) = io::pipe().unwrap();
        let own = Own::from(OwnedFd::from(reader));
        let number = own.as_raw_fd();
        assert!(is_marked(number));
        let given = OwnedFd::from(own);
        assert!(!is_marked(number));
        drop(given);

        let own = Own::from(OwnedFd::from(writer));
        let (number, copy) = (own.as_raw_fd(), own.try_clone().unwrap());
        assert!(is_marked(copy.as_raw_fd()));
        drop(own);
        assert!(!is_marked(number));
        assert!(is_marked(copy.as_raw_fd()));
    }

    #[test]
    fn numbers_beyond_all_limits_are_left_alone() {
        for number in [-1, RawFd::MAX, HIGHEST as RawFd] {
            assert!(place(number).is_none(), "{number}");
        }
        assert!(place(HIGHEST as RawFd - 1).is_some());
    }
}
