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

/// A lock for writing to a pipe or a socket, which one thread of one process holds at a time.
///
/// A write(2) of up to [`PIPE_BUF`] bytes is atomic (pipe(7)); other processes may write into the
/// middle of a longer one. A record lock on the pipe itself prevents that. Nothing has to be passed
/// between processes: all that write to the same pipe lock the same inode, including a master,
/// another generation, or another server. The kernel releases the lock when its holder dies. Record
/// locks belong to processes, not to threads (fcntl(2), "Advisory record locking"), hence the
/// mutex.
#[derive(Debug)]
pub(super) struct WriteLock<'a> {
    fd: BorrowedFd<'a>,
    _thread: Option<MutexGuard<'a, ()>>,
}

impl<'a> WriteLock<'a> {
    /// Waits for the lock, however long that takes. `threads` is shared by the threads of this
    /// process that write there.
    pub(super) fn acquire(fd: BorrowedFd<'a>, threads: &'a Mutex<()>) -> Self {
        let thread = threads.lock().unwrap_or_else(PoisonError::into_inner);
        // On any other error continue: a line that may be torn is better than none.
        while fcntl_lock(fd, FlockOperation::LockExclusive) == Err(Errno::INTR) {}
        Self {
            fd,
            _thread: Some(thread),
        }
    }

    /// Waits for the lock until `deadline`; `None` if it was not free by then.
    pub(super) fn acquire_until(
        fd: BorrowedFd<'a>,
        threads: &'a Mutex<()>,
        deadline: Instant,
    ) -> Option<Self> {
        loop {
            let thread = match threads.try_lock() {
                Ok(thread) => Some(Some(thread)),
                Err(TryLockError::Poisoned(poisoned)) => Some(Some(poisoned.into_inner())),
                // It was locked when the application forked; that thread does not exist here.
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

/// Whether writers need a lock: a write to a file or a terminal is never split, however long it is.
pub(super) fn is_stream(fd: impl AsFd) -> bool {
    let kind = fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

/// Whether two descriptors refer to the same file, pipe or socket.
pub(super) fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let place = |stat: Stat| (stat.st_dev, stat.st_ino);
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => place(one) == place(other),
        _ => false,
    }
}

/// Waits until the descriptor is writable, forever if there is no deadline.
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
            // Hang-ups and errors count as ready: the write reports them.
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The longest write(2) that Linux never splits on a pipe.
pub(super) const PIPE_BUF: usize = 4_096;

/// Pause between attempts to get the lock before a deadline. It is held only briefly while the pipe
/// is being read.
const RETRY: Duration = Duration::from_millis(1);
