//! The semaphore on which slots sleep while the ready queue is empty.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use super::NAME;
use crate::sys::descriptors::move_up;
use crate::sys::fatal;
use crate::sys::fork::Own;

/// A count on which threads sleep while it is zero.
pub(crate) trait Semaphore {
    /// Adds one, and wakes a thread.
    fn add(&self);

    /// Takes one that is there.
    fn take(&self);
}

/// The kernel's (EFD_SEMAPHORE): a slot's epoll instance can wait for it and for other things.
#[derive(Debug)]
pub(crate) struct EventFd(Own);

impl EventFd {
    pub(super) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::SEMAPHORE | EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Self(move_up(eventfd(0, flags)?)))
    }
}

impl Semaphore for EventFd {
    fn add(&self) {
        // Fails only when 2^64 wake-ups are outstanding.
        if let Err(errno) = write(&self.0, &1u64.to_ne_bytes()) {
            fatal::examine(NAME, errno);
        }
    }

    fn take(&self) {
        if let Err(errno) = read(&self.0, &mut [0u8; 8]) {
            fatal::examine(NAME, errno);
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
