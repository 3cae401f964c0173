//! The requests of workers, and how long they keep a worker that is to end.

use std::time::{Duration, Instant};

use super::World;
use super::processes::{State, Worker};

impl Worker {
    /// Whether it can take a request.
    pub(super) fn is_available(&self) -> bool {
        let is_free = self.requests.len() < self.activity.slots;
        self.state == State::Serving && !self.is_frozen && is_free
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Zombie(_) | State::Gone)
    }

    /// Makes it end when its requests have ended, or at `by`.
    pub(super) fn leave(&mut self, by: Instant) {
        self.state = State::Ending;
        let leave_by = self.leave_by.get_or_insert(by);
        *leave_by = by.min(*leave_by);
    }

    /// Ends the requests that are due. Returns whether there were any.
    pub(super) fn finish_requests(&mut self, now: Instant) -> bool {
        let before = self.requests.len();
        self.requests.retain(|until| *until > now);
        self.activity.running = self.requests.len();
        self.activity.running < before
    }
}

impl World {
    /// Lets a worker begin a request. Returns whether any could take one.
    pub(crate) fn begin_request(&mut self, index: usize, time: Duration) -> bool {
        let workers = self.workers.values_mut();
        let mut available: Vec<_> = workers.filter(|it| it.is_available()).collect();
        let count = available.len();
        let worker = available.get_mut(index % count.max(1));
        if let Some(worker) = worker {
            worker.requests.push(self.now + time);
            worker.activity.running = worker.requests.len();
            worker.activity.requests += 1;
            self.watchdog.note_progress(self.now);
        }
        count > 0
    }

    /// Ends the running requests.
    pub(crate) fn end_requests(&mut self) {
        for worker in self.workers.values_mut() {
            worker.requests.fill(self.now);
        }
    }
}

/// `--graceful-timeout` of every generation.
pub(super) const GRACEFUL_TIMEOUT: Duration = Duration::from_secs(3);
