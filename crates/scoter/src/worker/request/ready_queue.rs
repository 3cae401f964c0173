//! The queue from the reactor to the slots: requests whose packet and body have arrived.

mod semaphore;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

#[cfg(all(test, feature = "loom"))]
use loom::sync::{Mutex, MutexGuard, atomic::AtomicUsize};
#[cfg(not(all(test, feature = "loom")))]
use std::sync::{Mutex, MutexGuard, atomic::AtomicUsize};

use rustix::io::Errno;

use crate::worker::request::intake::Request;
use semaphore::{EventFd, Semaphore};

/// Complete requests, first in, first out, and an eventfd that wakes one slot for each.
///
/// Its length is bounded by the reactor's permits: a request keeps its own until a slot
/// takes it.
#[derive(Debug)]
pub(crate) struct ReadyQueue<R = Request, S = EventFd> {
    queue: Mutex<Queue<R>>,
    /// The queue's length, readable without the lock by slots under load.
    length: AtomicUsize,
    /// Counts the requests in the queue: it changes only under the lock, so that no wake-up is
    /// lost and none is left over.
    wakeups: S,
}

#[derive(Debug)]
struct Queue<R> {
    requests: VecDeque<R>,
    closed: bool,
    /// Whether a slot is to wake up without a request: counted like one.
    nudged: bool,
}

/// What a slot finds in the queue.
#[derive(Debug)]
pub(crate) enum Popped<R = Request> {
    /// A request to serve.
    Request(Box<R>),
    /// Nothing now.
    Empty,
    /// Nothing, but connections may wait that no slot was woken for.
    Nudged,
    /// Nothing now, and nothing will follow.
    Closed,
}

impl ReadyQueue {
    pub(crate) fn new() -> Result<Self, Errno> {
        EventFd::new().map(Self::with)
    }
}

impl<R, S: Semaphore> ReadyQueue<R, S> {
    fn with(wakeups: S) -> Self {
        Self {
            queue: Mutex::new(Queue {
                requests: VecDeque::new(),
                closed: false,
                nudged: false,
            }),
            length: AtomicUsize::new(0),
            wakeups,
        }
    }

    /// Adds a request.
    ///
    /// # Errors
    ///
    /// It comes back if the queue is closed: no slot may be left to take it.
    pub(crate) fn push(&self, request: R) -> Result<(), R> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(request);
        }
        queue.requests.push_back(request);
        self.length.store(queue.requests.len(), Ordering::Release);
        self.wakeups.add();
        Ok(())
    }

    /// Takes a request, without touching the lock where there is none. Wake-ups for anything else
    /// are left to slots that sleep.
    pub(crate) fn try_pop(&self) -> Option<Box<R>> {
        if self.length.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.take(&mut self.lock())
    }

    pub(crate) fn pop(&self) -> Popped<R> {
        let mut queue = self.lock();
        if let Some(request) = self.take(&mut queue) {
            return Popped::Request(request);
        }
        if queue.closed {
            // One wake-up wakes one slot (EPOLLEXCLUSIVE): pass it on.
            self.wakeups.add();
            return Popped::Closed;
        }
        if !std::mem::take(&mut queue.nudged) {
            return Popped::Empty;
        }
        self.wakeups.take();
        Popped::Nudged
    }

    fn take(&self, queue: &mut Queue<R>) -> Option<Box<R>> {
        let request = queue.requests.pop_front()?;
        self.note_taken(queue);
        Some(Box::new(request))
    }

    fn note_taken(&self, queue: &Queue<R>) {
        self.length.store(queue.requests.len(), Ordering::Release);
        self.wakeups.take();
    }

    /// Takes the first request for which this holds, out of its turn.
    pub(crate) fn take_if(&self, holds: impl Fn(&R) -> bool) -> Option<Box<R>> {
        if self.length.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = self.lock();
        let at = queue.requests.iter().position(holds)?;
        let request = queue.requests.remove(at)?;
        self.note_taken(&queue);
        Some(Box::new(request))
    }

    /// Wakes a sleeping slot, to look for connections that no slot was woken for.
    pub(crate) fn nudge(&self) {
        let mut queue = self.lock();
        if queue.closed || std::mem::replace(&mut queue.nudged, true) {
            return;
        }
        self.wakeups.add();
    }

    /// Announces that nothing more will be pushed. The slots see it one after the other.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        self.wakeups.add();
    }

    /// Whether nothing more will be pushed.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Queue<R>> {
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

#[cfg(all(test, feature = "loom"))]
mod model;

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn wakes(queue: &ReadyQueue<u8>) -> bool {
        let mut fds = [PollFd::new(&queue.wakeups, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
    }

    #[test]
    fn nudges_wake_one_slot_once() {
        let queue = ReadyQueue::with(EventFd::new().unwrap());
        queue.nudge();
        queue.nudge();
        queue.push(1).unwrap();
        assert!(wakes(&queue));
        assert!(matches!(queue.pop(), Popped::Request(request) if *request == 1));
        assert!(wakes(&queue));
        assert!(matches!(queue.pop(), Popped::Nudged));
        assert!(!wakes(&queue));
        assert!(matches!(queue.pop(), Popped::Empty));
    }

    #[test]
    fn slot_that_comes_too_late_for_a_request_leaves_the_nudge_to_a_sleeping_one() {
        let queue = ReadyQueue::<u8>::with(EventFd::new().unwrap());
        queue.nudge();
        // As read before another slot took the request.
        queue.length.store(1, Ordering::Release);
        assert!(queue.try_pop().is_none());
        assert!(wakes(&queue));
        assert!(matches!(queue.pop(), Popped::Nudged));
    }

    #[test]
    fn request_taken_out_of_its_turn_takes_its_wakeup_along() {
        let queue = ReadyQueue::with(EventFd::new().unwrap());
        for request in [1, 2, 3] {
            queue.push(request).unwrap();
        }
        assert_eq!(queue.take_if(|request| *request == 2).as_deref(), Some(&2));
        assert_eq!(queue.take_if(|request| *request == 2), None);
        for expected in [1, 3] {
            assert!(wakes(&queue));
            assert_eq!(queue.try_pop().as_deref(), Some(&expected));
        }
        assert!(!wakes(&queue));
    }

    #[test]
    fn closed_queue_takes_no_request_and_no_nudge() {
        let queue = ReadyQueue::<u8>::with(EventFd::new().unwrap());
        queue.nudge();
        queue.close();
        queue.nudge();
        assert_eq!(queue.push(1), Err(1));
        for _ in 0..3 {
            assert!(matches!(queue.pop(), Popped::Closed));
            assert!(wakes(&queue));
        }
    }
}
