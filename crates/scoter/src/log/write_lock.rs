//! A lock among all processes that write to one pipe.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, FlockOperation, Stat, fcntl_lock, fstat};
use rustix::io::Errno;

use crate::sys::fork;

/// The right to write to a pipe or a socket: one thread of one process has it at a time.
///
/// A write(2) of up to [`PIPE_BUF`] bytes is never torn apart (pipe(7)); of a longer one the
/// lines of other processes may get into the middle. A record lock on the pipe itself keeps
/// them out. It takes nothing that would have to be passed on: whoever writes to the same
/// pipe locks the same inode, also a master, another generation, or another server. The
/// kernel releases it when its holder dies. It is the process that holds it, not the thread
/// (fcntl(2), "Advisory record locking"), hence the mutex.
#[derive(Debug)]
pub(super) struct WriteLock<'a> {
    fd: BorrowedFd<'a>,
    _thread: Option<MutexGuard<'a, ()>>,
}

impl<'a> WriteLock<'a> {
    /// Waits for the lock, however long that takes. `threads` is what the threads of this
    /// process that write there have in common.
    pub(super) fn acquire(fd: BorrowedFd<'a>, threads: &'a Mutex<()>) -> Self {
        let thread = threads.lock().unwrap_or_else(PoisonError::into_inner);
        // Any other error: a line that may be torn is better than none.
        while fcntl_lock(fd, FlockOperation::LockExclusive) == Err(Errno::INTR) {}
        Self {
            fd,
            _thread: Some(thread),
        }
    }

    /// Waits for the lock until `deadline`; `None` if others have it until then.
    pub(super) fn acquire_until(
        fd: BorrowedFd<'a>,
        threads: &'a Mutex<()>,
        deadline: Instant,
    ) -> Option<Self> {
        loop {
            let thread = match threads.try_lock() {
                Ok(thread) => Some(Some(thread)),
                Err(TryLockError::Poisoned(poisoned)) => Some(Some(poisoned.into_inner())),
                // The thread that held it when the application forked does not exist here.
                Err(TryLockError::WouldBlock) if fork::is_child() => Some(None),
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(thread) = thread {
                match fcntl_lock(fd, FlockOperation::NonBlockingLockExclusive) {
                    Err(Errno::AGAIN | Errno::ACCESS) => {}
                    _ => {
                        return Some(Self {
                            fd,
                            _thread: thread,
                        });
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::sleep(left.min(RETRY));
        }
    }
}

impl Drop for WriteLock<'_> {
    fn drop(&mut self) {
        let _ = fcntl_lock(self.fd, FlockOperation::Unlock);
    }
}

/// Whether writers need a lock: the kernel takes a write to a file or a terminal
/// whole, however long it is.
pub(super) fn is_stream(fd: impl AsFd) -> bool {
    let kind = fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

/// Whether two descriptors lead to one file, pipe or socket.
pub(super) fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let place = |stat: Stat| (stat.st_dev, stat.st_ino);
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => place(one) == place(other),
        _ => false,
    }
}

/// Waits until something can be written, forever where there is no deadline.
///
/// # Errors
///
/// `TimedOut` at the deadline, and those of poll(2).
pub(super) fn wait_writable(fd: impl AsFd, deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
            .map(Timespec::try_from)
            .transpose()
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], left.as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            // Hang-ups and errors count as ready: the write says what happened.
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Linux: what one write(2) to a pipe never splits.
pub(super) const PIPE_BUF: usize = 4_096;

/// Between attempts to get the lock before a deadline. It is held briefly where anybody reads.
const RETRY: Duration = Duration::from_millis(1);
