//! The requests that slots have in hand, where the reactor can get at them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::author::Taken;
use super::connection::Connection;
use super::report::Subject;
use super::request::Request;
use super::request_timeout::PythonThread;
use crate::log::RequestId;
use crate::request_head::RequestHead;
use crate::scoreboard::{Cell, Phase};

/// A slot as the reactor sees it.
///
/// The lock is the slot's twice a request, and the reactor's only once a request has run for
/// too long. Under it ends and timeouts exclude each other, so that what is done to a request
/// never hits the next one, with or without a GIL.
#[derive(Debug)]
pub(crate) struct Seat {
    slot: usize,
    held: Mutex<Option<Held>>,
    /// [`PythonThread`] of the slot.
    thread: AtomicU64,
    /// Whether the slot serves no more.
    ended: AtomicBool,
}

/// A request that a slot has in hand.
#[derive(Debug)]
struct Held {
    connection: Arc<Connection>,
    head: Arc<RequestHead>,
    request_id: RequestId,
    /// When it began to wait for a slot.
    since: Instant,
    timed_out: Option<TimedOut>,
}

/// How far `--request-timeout` has got with a request.
#[derive(Debug)]
struct TimedOut {
    at: Instant,
    /// Whether Python was at hand to be looked at.
    examined: bool,
    /// Whether an exception was sent after the request.
    raised: bool,
    /// Whether the time is over that it had to end.
    stuck: bool,
}

/// A request that the reactor acts on.
#[derive(Debug)]
pub(crate) struct Overdue {
    pub(crate) slot: usize,
    pub(crate) connection: Arc<Connection>,
    pub(crate) head: Arc<RequestHead>,
    pub(crate) request_id: RequestId,
    /// How long the application has run.
    pub(crate) age: Duration,
    /// How long the request had waited for that, if it has begun.
    pub(crate) queued: Option<Duration>,
    pub(crate) taken: Taken,
    /// Whether Python has been at hand since the request timed out.
    pub(crate) examined: bool,
}

impl Seat {
    pub(crate) fn new(slot: usize) -> Self {
        Self {
            slot,
            held: Mutex::default(),
            thread: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Notes which thread the slot runs in.
    pub(crate) fn take_place(&self, thread: PythonThread) {
        self.thread.store(thread.0, Ordering::Relaxed);
    }

    pub(crate) fn thread(&self) -> PythonThread {
        PythonThread(self.thread.load(Ordering::Relaxed))
    }

    /// Notes that the slot serves no more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Takes a request in hand, before the application begins with it.
    pub(crate) fn hold(&self, request: &Request) {
        *self.lock() = Some(Held {
            connection: Arc::clone(&request.connection),
            head: Arc::clone(&request.head),
            request_id: request.request_id.clone(),
            since: request.since,
            timed_out: None,
        });
    }

    /// Lets go of the request, whose application has ended. To be called by the slot, before
    /// Python executes anything else in its thread.
    pub(crate) fn release(&self, py: Python<'_>, cell: &Cell, status: u16) -> Duration {
        let mut held = self.lock();
        let timed_out = held.take().and_then(|held| held.timed_out);
        if timed_out.is_none() {
            return cell.end(status);
        }
        if timed_out.is_some_and(|timed_out| timed_out.raised) {
            // It may have come too late to be raised.
            self.thread().clear_exception(py);
        }
        cell.end(504)
    }

    /// Takes the response away from a request that has run for as long as `timeout`.
    pub(crate) fn time_out(&self, cell: &Cell, timeout: Duration) -> Option<Overdue> {
        if cell.phase() != Phase::Running {
            return None;
        }
        cell.age().filter(|age| *age >= timeout)?;
        let mut held = self.lock();
        let held = held.as_mut()?;
        // Now that it cannot end, it is still the one and not its successor.
        let age = cell.age().filter(|age| *age >= timeout)?;
        cell.time_out();
        held.timed_out = Some(TimedOut {
            at: Instant::now(),
            examined: false,
            raised: false,
            stuck: false,
        });
        Some(held.overdue(self.slot, Some(age)))
    }

    /// The request, once, if it timed out as long ago as `grace` and still runs.
    pub(crate) fn get_stuck(&self, cell: &Cell, grace: Duration) -> Option<Overdue> {
        if cell.phase() != Phase::TimedOut {
            return None;
        }
        let mut held = self.lock();
        let held = held.as_mut()?;
        let timed_out = held.timed_out.as_mut()?;
        if timed_out.stuck || timed_out.at.elapsed() < grace {
            return None;
        }
        timed_out.stuck = true;
        Some(held.overdue(self.slot, cell.age()))
    }

    /// Whether a request keeps the slot that had its time to end.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_timed_out(|timed_out| timed_out.stuck)
    }

    /// Whether it is so because C code keeps the GIL: in all that time Python was not at hand.
    pub(crate) fn keeps_the_gil(&self) -> bool {
        self.is_timed_out(|timed_out| timed_out.stuck && !timed_out.examined)
    }

    fn is_timed_out(&self, test: impl FnOnce(&TimedOut) -> bool) -> bool {
        let held = self.lock();
        held.as_ref()
            .and_then(|held| held.timed_out.as_ref())
            .is_some_and(test)
    }

    /// Whether the slot still has this very request.
    pub(crate) fn holds(&self, overdue: &Overdue) -> bool {
        let held = self.lock();
        held.as_ref()
            .is_some_and(|held| Arc::ptr_eq(&held.connection, &overdue.connection))
    }

    /// Raises the exception in the request that `overdue` is about, if it still runs.
    pub(crate) fn raise_timeout(&self, py: Python<'_>, overdue: &Overdue) {
        let mut held = self.lock();
        let request = held
            .as_mut()
            .filter(|held| Arc::ptr_eq(&held.connection, &overdue.connection));
        if let Some(timed_out) = request.and_then(|held| held.timed_out.as_mut()) {
            timed_out.examined = true;
            timed_out.raised = self.thread().raise_timeout(py);
        }
    }

    /// Lets go of a request that the application does not begin with after all.
    pub(crate) fn let_go(&self) {
        *self.lock() = None;
    }

    /// Takes the response away from a request that had its time left, because the process
    /// ends.
    pub(crate) fn give_up(&self, cell: &Cell) -> Option<Overdue> {
        let held = self.lock();
        let held = held.as_ref().filter(|held| held.timed_out.is_none())?;
        Some(held.overdue(self.slot, cell.age()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        // Nothing that can panic runs under the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Overdue {
    pub(crate) fn age_ms(&self) -> u64 {
        u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX)
    }

    /// What it is called in the log.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            head: &self.head,
            request_id: &self.request_id,
        }
    }
}

impl Held {
    /// Takes the response away. `age` is that of a request that has begun.
    fn overdue(&self, slot: usize, age: Option<Duration>) -> Overdue {
        Overdue {
            slot,
            connection: Arc::clone(&self.connection),
            head: Arc::clone(&self.head),
            request_id: self.request_id.clone(),
            age: age.unwrap_or_default(),
            queued: age.map(|age| self.since.elapsed().saturating_sub(age)),
            taken: self.connection.author().take(),
            examined: self.timed_out.as_ref().is_some_and(|t| t.examined),
        }
    }
}
