//! What a slot does next: looks for connections and for ready requests.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::sys::fatal;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::request::ready_queue::Popped;
use crate::worker::slot::poller::Wake;
use crate::worker::slot::{Next, Slot, part, survive};
use crate::worker::stop::Ending;

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
            // First, even if the slot is to leave: the kernel wakes one sleeping slot for a
            // connection (EPOLLEXCLUSIVE), and it was this one. No other slot comes for it until
            // it has finished a request or another connection arrives. A request in the ready
            // queue has woken another slot.
            if let Some(next) = wake.take().and_then(|wake| self.follow(shared, wake)) {
                return Some(next);
            }
            if let Some(connection) = self.signalled.take() {
                if let Some(next) = self.serve_from(connection) {
                    return Some(next);
                }
                continue;
            }
            if let Some(request) = shared.ready.try_pop() {
                self.wake_policy.request_taken();
                return Some(Next::Serve(request));
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
                match self.serve_from(connection) {
                    Some(next) => return Some(next),
                    None => continue,
                }
            }
            let mut asks_listeners = true;
            if ending.is_none() && !shared.kept.is_empty() {
                // Kept connections and new ones, in the order in which they became ready.
                wake = self
                    .poller
                    .look()
                    .unwrap_or_else(|errno| self.lose_poller(errno));
                if wake.is_some() {
                    continue;
                }
                asks_listeners = self.is_nudged;
            }
            let found = asks_listeners.then(|| self.accept()).flatten();
            let found = found.or_else(|| self.receive_overlooked(shared));
            if let Some(connection) = found {
                match self.serve_from(connection) {
                    Some(next) => return Some(next),
                    None => continue,
                }
            }
            self.longest_run = Duration::ZERO;
            // Before it sleeps: it wakes up for connections that are passed on.
            self.passed_unasked.reset();
            if self.frees_memory {
                return Some(Next::FreeMemory);
            }
            if ending == Some(Ending::Drain) {
                if let Some(connection) = self.receive_passed(shared) {
                    match self.serve_from(connection) {
                        Some(next) => return Some(next),
                        None => continue,
                    }
                }
                // The kernel's queues are empty. Requests in the reactor are still to come.
                self.stop_accepting();
            }
            return None;
        }
    }

    /// Does what the slot was woken for, unless another slot has already done it.
    fn follow(&mut self, shared: &Shared, wake: Wake) -> Option<Next> {
        match wake {
            Wake::Listener => {
                let connection = self.accept()?;
                self.serve_from(connection)
            }
            Wake::Kept(ticket) => {
                let connection = shared.kept.claim(ticket)?;
                self.serve_from(connection)
            }
            Wake::Passed => {
                let connection = self.receive_passed(shared)?;
                self.serve_from(connection)
            }
            Wake::Ready => match shared.ready.pop() {
                Popped::Request(request) => {
                    self.wake_policy.request_taken();
                    Some(Next::Serve(request))
                }
                Popped::Nudged => {
                    self.is_nudged = true;
                    None
                }
                Popped::Empty => None,
                Popped::Closed => Some(Next::End),
            },
            Wake::Unneeded => {
                shared.response_memory.consume_wakeup();
                Some(Next::FreeMemory)
            }
            Wake::Signal => Some(Next::CheckSignals),
            Wake::Stop => None,
        }
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
