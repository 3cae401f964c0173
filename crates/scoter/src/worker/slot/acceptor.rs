//! Where a slot gets connections: from the listeners and from other workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::slot::Slot;

impl Slot {
    /// Leaves new connections to others.
    pub(super) fn stop_accepting(&mut self) {
        let shared = &self.shared;
        self.poller.stop_accepting(shared);
        self.cell().leave();
        shared.report_not_accepting();
        shared.reactor.slot_drained(self.index);
    }

    /// Takes the next connection, from each listener in turn.
    pub(super) fn accept(&mut self) -> Option<Arc<Connection>> {
        let listeners = &self.shared.listeners;
        let open_sockets_over = self
            .shared
            .stop
            .begun_for()
            .is_some_and(|time| time > OPEN_SOCKET_TIMEOUT);
        for turn in 0..listeners.len() {
            let index = (self.next_listener + turn) % listeners.len();
            let listener = &listeners[index];
            if open_sockets_over && listener.stays_open() {
                continue;
            }
            if let Some(fd) = listener.accept() {
                self.next_listener = index + 1;
                let timeouts = self.shared.connection_timeouts;
                let connection = Connection::new(fd, listener.family(), timeouts);
                return Some(Arc::new(connection));
            }
        }
        None
    }

    /// Takes a connection that another worker has passed on.
    pub(super) fn receive_passed(&mut self, shared: &Shared) -> Option<Arc<Connection>> {
        self.passed_unasked.reset();
        shared.kept.receive_passed(shared.connection_timeouts)
    }
}

/// The time that a slot has spent on other requests since it last asked for connections that were
/// passed on.
///
/// While the slot is busy, nothing wakes it for them, and there may be no end to what it finds at
/// the listeners. The time is that of the clock readings which each request needs anyway.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// When to ask, since the first of the requests began.
    due: Option<Instant>,
    /// When the last one began.
    begun: Option<Instant>,
    /// Whether one took so long that it is time.
    was_long: bool,
}

impl Unasked {
    /// A request begins at `now`.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
        if self.due.is_none() {
            self.due = now.checked_add(MAX_UNASKED);
        }
    }

    /// A request has ended, whose application ran for `time`.
    pub(super) fn end(&mut self, time: Duration) {
        self.was_long |= time >= MAX_UNASKED;
    }

    /// There may be one that no slot was woken for.
    pub(super) fn expect(&mut self) {
        self.was_long = true;
    }

    pub(super) fn is_due(&self) -> bool {
        self.was_long || (self.due.is_some() && self.begun >= self.due)
    }

    pub(super) fn reset(&mut self) {
        self.due = None;
        self.was_long = false;
    }
}

/// How long a busy slot does not ask. Long compared to the system call, and short compared to what a
/// connection has waited for until it is passed on.
const MAX_UNASKED: Duration = Duration::from_millis(1);

/// How long a stopping slot accepts from a socket that stays open to newcomers.
const OPEN_SOCKET_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_asks_after_one_long_request_or_many_short_ones_but_not_after_sleep() {
        let mut unasked = Unasked::default();
        let start = Instant::now();
        let short = MAX_UNASKED / 10;
        unasked.begin(start);
        unasked.end(MAX_UNASKED);
        assert!(unasked.is_due());
        unasked.reset();
        assert!(!unasked.is_due());
        // Part of the time passes between the requests, as if others had the interpreter.
        let due = (0..20).position(|turn| {
            unasked.begin(start + turn * 2 * short);
            unasked.end(short);
            unasked.is_due()
        });
        assert_eq!(due, Some(5));
        unasked.reset();
        unasked.begin(start + 1_000 * MAX_UNASKED);
        unasked.end(short);
        assert!(!unasked.is_due());
    }
}
