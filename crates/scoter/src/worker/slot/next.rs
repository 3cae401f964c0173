//! What a slot does next: looks for connections and for ready requests.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::sys::fatal;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::request::intake::Request;
use crate::worker::request::ready_queue::Popped;
use crate::worker::slot::poller::Wake;
use crate::worker::slot::{Next, Slot, part, survive};
use crate::worker::stop::Ending;

/// What a slot finds when it looks for something to do.
enum Found {
    /// A connection on which a request may have arrived.
    Connection(Arc<Connection>),
    /// A source that has something.
    Event(Wake),
    Next(Next),
}

impl Slot {
    pub(super) fn next(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut wake = None;
        loop {
            if let Some(next) = self.look(&shared, wake) {
                return next;
            }
            let woken = self.wake_policy.sleep(|| self.poller.wait());
            wake = Some(woken.unwrap_or_else(|errno| self.lose_poller(errno)));
        }
    }

    /// Looks for something to do, first what the slot was woken for, if it has slept.
    fn look(&mut self, shared: &Shared, mut wake: Option<Wake>) -> Option<Next> {
        loop {
            match self.find(shared, wake.take())? {
                Found::Connection(connection) => {
                    if let Some(next) = self.serve_from(connection) {
                        return Some(next);
                    }
                }
                Found::Event(event) => wake = Some(event),
                Found::Next(next) => return Some(next),
            }
        }
    }

    /// Asks all sources in turn, first the one that the slot was woken for.
    fn find(&mut self, shared: &Shared, wake: Option<Wake>) -> Option<Found> {
        // First, even if the slot is to leave: the kernel wakes one sleeping slot for a connection
        // (EPOLLEXCLUSIVE), and it was this one. No other slot comes for it until it has finished a
        // request or another connection arrives. A request in the ready queue has woken another
        // slot.
        if let Some(found) = wake.and_then(|wake| self.follow(shared, wake)) {
            return Some(found);
        }
        if let Some(connection) = self.signalled.take() {
            return Some(Found::Connection(connection));
        }
        if let Some(request) = shared.ready.try_pop() {
            return Some(self.ready(request));
        }
        if !self.poller.is_accepting() {
            return None;
        }
        let ending = shared.stop.ending();
        if ending == Some(Ending::Retire) {
            // Other workers take what arrives from now on.
            self.stop_accepting();
            return None;
        }
        if let Some(connection) = self.receive_passed_in_turn(shared) {
            return Some(Found::Connection(connection));
        }
        let mut asks_listeners = true;
        if ending.is_none() && !shared.kept.is_empty() {
            // Kept connections and new ones, in the order in which they became ready.
            let event = self.poller.look();
            if let Some(event) = event.unwrap_or_else(|errno| self.lose_poller(errno)) {
                return Some(Found::Event(event));
            }
            asks_listeners = self.is_nudged;
        }
        let found = asks_listeners.then(|| self.accept()).flatten();
        if let Some(connection) = found.or_else(|| self.receive_overlooked(shared)) {
            return Some(Found::Connection(connection));
        }
        self.longest_run = Duration::ZERO;
        // Before it sleeps: it wakes up for connections that are passed on.
        self.passed_unasked.reset();
        if self.frees_memory {
            return Some(Found::Next(Next::FreeMemory));
        }
        if ending == Some(Ending::Drain) {
            if let Some(connection) = self.receive_passed(shared) {
                return Some(Found::Connection(connection));
            }
            // The kernel's queues are empty. Requests in the reactor are still to come.
            self.stop_accepting();
        }
        None
    }

    /// Finds what the slot was woken for, unless another slot has already taken it.
    fn follow(&mut self, shared: &Shared, wake: Wake) -> Option<Found> {
        match wake {
            Wake::Listener => self.accept().map(Found::Connection),
            Wake::Kept(ticket) => shared.kept.claim(ticket).map(Found::Connection),
            Wake::Passed => self.receive_passed(shared).map(Found::Connection),
            Wake::Ready => match shared.ready.pop() {
                Popped::Request(request) => Some(self.ready(request)),
                Popped::Nudged => {
                    self.is_nudged = true;
                    None
                }
                Popped::Empty => None,
                Popped::Closed => Some(Found::Next(Next::End)),
            },
            Wake::Unneeded => {
                shared.response_memory.consume_wakeup();
                Some(Found::Next(Next::FreeMemory))
            }
            Wake::Signal => Some(Found::Next(Next::CheckSignals)),
            Wake::Stop => None,
        }
    }

    /// Takes a request that the reactor has completed.
    fn ready(&mut self, request: Box<Request>) -> Found {
        self.wake_policy.request_taken();
        Found::Next(Next::Serve(request))
    }

    /// Receives a request from a connection, if one has arrived.
    fn serve_from(&mut self, connection: Arc<Connection>) -> Option<Next> {
        // Boxed inside, so that only a pointer is returned.
        let request = survive(|| self.receive(connection).map(Box::new))?;
        Some(Next::Serve(request))
    }

    fn lose_poller(&self, errno: Errno) -> ! {
        fatal::check_descriptors();
        fatal::end_process(&part(self.index), &errno)
    }
}

#[cfg(test)]
mod tests;
