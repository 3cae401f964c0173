//! The queue from the reactor to the slots: requests whose packet and body have arrived.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use crate::sys::descriptors::move_up;
use crate::sys::fatal;
use crate::sys::fork::Own;
use crate::worker::request::intake::Request;

/// Complete requests, first in, first out, and an eventfd that wakes one slot for each.
///
/// Its length is bounded by the reactor's permits: a request keeps its own until a slot
/// takes it.
#[derive(Debug)]
pub(crate) struct ReadyQueue {
    queue: Mutex<Queue>,
    /// The queue's length, readable without the lock by slots under load.
    length: AtomicUsize,
    /// A semaphore (EFD_SEMAPHORE) that counts the requests in the queue: it changes only
    /// under the lock, so that no wake-up is lost and none is left over.
    wakeups: Own,
}

#[derive(Debug, Default)]
struct Queue {
    requests: VecDeque<Request>,
    closed: bool,
}

/// What a slot finds in the queue.
#[derive(Debug)]
pub(crate) enum Popped {
    /// A request to serve.
    Request(Box<Request>),
    /// Nothing now.
    Empty,
    /// Nothing now, and nothing will follow.
    Closed,
}

impl ReadyQueue {
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::SEMAPHORE | EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Self {
            queue: Mutex::default(),
            length: AtomicUsize::new(0),
            wakeups: move_up(eventfd(0, flags)?),
        })
    }

    pub(crate) fn push(&self, request: Request) {
        let mut queue = self.lock();
        queue.requests.push_back(request);
        self.length.store(queue.requests.len(), Ordering::Release);
        self.wake();
    }

    /// Takes a request, without touching the lock where there is none.
    pub(crate) fn try_pop(&self) -> Option<Box<Request>> {
        if self.length.load(Ordering::Acquire) == 0 {
            return None;
        }
        match self.pop() {
            Popped::Request(request) => Some(request),
            Popped::Empty | Popped::Closed => None,
        }
    }

    pub(crate) fn pop(&self) -> Popped {
        let mut queue = self.lock();
        match queue.requests.pop_front() {
            Some(request) => {
                self.length.store(queue.requests.len(), Ordering::Release);
                if let Err(errno) = read(&self.wakeups, &mut [0u8; 8]) {
                    fatal::examine(NAME, errno);
                }
                Popped::Request(Box::new(request))
            }
            None if queue.closed => {
                // One wake-up wakes one slot (EPOLLEXCLUSIVE): pass it on.
                self.wake();
                Popped::Closed
            }
            None => Popped::Empty,
        }
    }

    /// Says that nothing will be pushed any more. The slots see it one after the other.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        self.wake();
    }

    /// Whether nothing will be pushed any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn wake(&self) {
        // Fails only when 2^64 wake-ups are outstanding.
        if let Err(errno) = write(&self.wakeups, &1u64.to_ne_bytes()) {
            fatal::examine(NAME, errno);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for ReadyQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeups.as_fd()
    }
}

/// What it is called where it is lost.
pub(crate) const NAME: &str = "ready queue";
