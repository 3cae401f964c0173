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
use crate::worker::slot::turns::Source;
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
            shared.progress.sleeps(self.index);
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
        shared.progress.looks(self.index);
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
        // The one source that is asked without a reason: the poller also names the others. From the
        // kept connections of a worker that ends the reactor takes what still comes.
        let polls = ending.is_none() && !shared.kept.is_empty();
        self.turns.expect(Source::Kept, polls);
        if !polls {
            self.turns.expect(Source::New, true);
        }
        if self.passed_unasked.is_due() {
            self.passed_unasked.reset();
            // A system call less than the attempts, if nobody has passed one on.
            let (held, passed) = shared.held.are_waiting(shared.kept.queue());
            if passed {
                self.turns.expect(Source::Passed, true);
            }
            // It is older than all that wait at its listener.
            if let Some(connection) = held.then(|| self.take_held(shared)).flatten() {
                return Some(Found::Connection(connection));
            }
        }
        if let Some(found) = self.ask_in_turn(shared) {
            return Some(found);
        }
        self.longest_run = Duration::ZERO;
        // Before it sleeps: it wakes up for connections that are passed on.
        self.passed_unasked.reset();
        if self.frees_memory {
            return Some(Found::Next(Next::FreeMemory));
        }
        if ending == Some(Ending::Drain) {
            if let Some(connection) = self.take_held(shared) {
                return Some(Found::Connection(connection));
            }
            self.expect_overlooked();
            if let Some(found) = self.ask_in_turn(shared) {
                return Some(found);
            }
            // The kernel's queues are empty. Requests in the reactor are still to come.
            self.stop_accepting();
        }
        None
    }

    /// Asks the sources that may have a connection.
    fn ask_in_turn(&mut self, shared: &Shared) -> Option<Found> {
        while let Some(source) = self.turns.next() {
            if source == Source::Kept {
                let event = self.poller.look();
                let event = event.unwrap_or_else(|errno| self.lose_poller(errno));
                self.turns.expect(Source::Kept, event.is_some());
                if let Some(event) = event {
                    return Some(Found::Event(event));
                }
            } else if let Some(found) = self.take_from(shared, source) {
                return Some(found);
            }
        }
        None
    }

    /// Takes a connection of a source other than [`Source::Kept`].
    fn take_from(&mut self, shared: &Shared, source: Source) -> Option<Found> {
        let connection = match source {
            Source::New => self.accept(),
            Source::Kept | Source::Passed => self.receive_passed(shared),
        };
        self.turns.note(source, connection.is_some());
        connection.map(Found::Connection)
    }

    /// Has the listeners and the queue asked even if the poller does not name them.
    fn expect_overlooked(&mut self) {
        self.passed_unasked.expect();
        self.turns.expect(Source::Passed, true);
        self.turns.expect(Source::New, true);
    }

    /// Takes a connection that a reactor holds for the first free slot.
    fn take_held(&mut self, shared: &Shared) -> Option<Arc<Connection>> {
        let held = shared.held.take(shared.connection_timeouts)?;
        self.turns.note(Source::New, true);
        Some(held)
    }

    /// Finds what the slot was woken for, unless another slot has already taken it.
    fn follow(&mut self, shared: &Shared, wake: Wake) -> Option<Found> {
        match wake {
            Wake::Listener => self.take_from(shared, Source::New),
            Wake::Passed => self.take_from(shared, Source::Passed),
            Wake::Held => self.take_held(shared).map(Found::Connection),
            Wake::Kept(ticket) => {
                let connection = shared.kept.claim(ticket)?;
                self.turns.note(Source::Kept, true);
                Some(Found::Connection(connection))
            }
            Wake::Ready => match shared.ready.pop() {
                Popped::Request(request) => Some(self.ready(request)),
                Popped::Nudged => {
                    self.expect_overlooked();
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
