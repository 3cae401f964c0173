//! Requests in flight, accessible to the reactor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::ipc::scoreboard::{Cell, Phase};
use crate::python::child_exit;
use crate::python::request_timeout::PythonThread;
use crate::request_head::RequestHead;
use crate::sys::clock::now;
use crate::worker::connection::Connection;
use crate::worker::request::intake::Request;
use crate::worker::response::report;
use crate::worker::response::revoked_request::RevokedRequest;
use crate::worker::stacks::slow::SlowRequest;

/// A slot as the reactor sees it.
///
/// The lock is the slot's twice a request, and the reactor's only once a request has run for
/// too long. Under it ends and timeouts exclude each other, so that what is done to a request
/// never hits the next one, with or without a GIL.
#[derive(Debug)]
pub(crate) struct InFlightSlot {
    slot: usize,
    request: Mutex<Option<InFlight>>,
    /// [`PythonThread`] of the slot, 0 before it runs.
    thread: AtomicU64,
    /// Whether the slot serves no more.
    ended: AtomicBool,
    /// The age at which the request times out because its application says so, in nanoseconds;
    /// [`NO_LIMIT`] if it says nothing.
    limit: AtomicU64,
}

/// The request that a slot serves.
#[derive(Debug)]
struct InFlight {
    connection: Arc<Connection>,
    head: Arc<RequestHead>,
    /// When it began to wait for a slot, if that is known.
    queued_since: Option<u64>,
    /// Whether it has been found to be slow.
    is_slow: bool,
    timed_out: Option<TimedOut>,
}

/// How far `--request-timeout` has got with a request.
#[derive(Debug)]
struct TimedOut {
    /// For how long this process has been running since then.
    since: Duration,
    /// Whether the GIL could be had, to examine the request.
    examined: bool,
    exception: Exception,
    /// Whether it has outlived `--request-grace`.
    stuck: bool,
}

/// What has become of the exception that is to end a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exception {
    /// Somebody is about to raise it.
    Due,
    /// It could not be raised when the request was last looked at.
    Postponed,
    Raised,
}

impl InFlightSlot {
    pub(crate) fn new(slot: usize) -> Self {
        Self {
            slot,
            request: Mutex::default(),
            thread: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            limit: AtomicU64::new(NO_LIMIT),
        }
    }

    /// Notes which thread the slot runs in.
    pub(crate) fn set_thread(&self, thread: PythonThread) {
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

    /// Notes the request that the slot is about to serve.
    pub(crate) fn begin(&self, request: &Request) {
        self.limit.store(NO_LIMIT, Ordering::Relaxed);
        *self.lock() = Some(InFlight {
            connection: Arc::clone(&request.connection),
            head: Arc::clone(&request.head),
            queued_since: request.queued_since,
            is_slow: false,
            timed_out: None,
        });
    }

    /// Notes the end of the request, whose application has returned. To be called by the slot, before
    /// Python executes anything else in its thread.
    pub(crate) fn finish(&self, py: Python<'_>, cell: &Cell, status: u16) -> Duration {
        let mut in_flight = self.lock();
        let Some(timed_out) = in_flight.take().and_then(|in_flight| in_flight.timed_out) else {
            return cell.end(status);
        };
        // Others wait for it with the GIL.
        drop(in_flight);
        if timed_out.exception == Exception::Raised {
            self.clear_exception(py);
        }
        cell.end(504)
    }

    /// The request, once, if it has taken as long as `limit` and still runs.
    pub(crate) fn become_slow(
        &self,
        cell: &Cell,
        limit: Duration,
        now: Instant,
    ) -> Option<SlowRequest> {
        if cell.phase() != Phase::Running {
            return None;
        }
        let mut in_flight = self.lock();
        let in_flight = in_flight.as_mut()?;
        let accepted = in_flight.connection.accepted();
        if in_flight.is_slow || now.saturating_duration_since(accepted) < limit {
            return None;
        }
        in_flight.is_slow = true;
        Some(SlowRequest {
            slot: self.slot,
            number: cell.requests(),
            head: Arc::clone(&in_flight.head),
            accepted,
        })
    }

    /// Has the request time out at an age, if that is earlier than `--request-timeout`.
    pub(crate) fn limit(&self, age: Option<Duration>) {
        let nanos = age.and_then(|age| u64::try_from(age.as_nanos()).ok());
        let limit = nanos.unwrap_or(NO_LIMIT);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Revokes the response of a request that has run for as long as `timeout`.
    pub(crate) fn time_out(&self, cell: &Cell, timeout: Duration) -> Option<RevokedRequest> {
        if cell.phase() != Phase::Running {
            return None;
        }
        let timeout_now = || {
            let limit = Duration::from_nanos(self.limit.load(Ordering::Relaxed));
            timeout.min(limit)
        };
        cell.age().filter(|age| *age >= timeout_now())?;
        let mut in_flight = self.lock();
        let in_flight = in_flight.as_mut()?;
        // Now that it cannot end, it is still the one and not its successor.
        let timeout = timeout_now();
        let age = cell.age().filter(|age| *age >= timeout)?;
        cell.time_out();
        in_flight.timed_out = Some(TimedOut {
            since: Duration::ZERO,
            examined: false,
            exception: Exception::Due,
            stuck: false,
        });
        Some(in_flight.revoke(self.slot, Some(age)))
    }

    /// The request, once, if it timed out as long ago as `grace` and still runs. `step` is for how
    /// long this process has been running since it was last asked: the request could not end
    /// while the process was frozen.
    pub(crate) fn become_stuck(
        &self,
        cell: &Cell,
        grace: Duration,
        step: Duration,
    ) -> Option<RevokedRequest> {
        if cell.phase() != Phase::TimedOut {
            return None;
        }
        let mut in_flight = self.lock();
        let in_flight = in_flight.as_mut()?;
        let timed_out = in_flight.timed_out.as_mut()?;
        timed_out.since += step;
        if timed_out.stuck || timed_out.since < grace {
            return None;
        }
        timed_out.stuck = true;
        Some(in_flight.revoke(self.slot, cell.age()))
    }

    /// Whether the slot's request has outlived `--request-grace`.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_timed_out(|timed_out| timed_out.stuck)
    }

    /// Whether that is because C code keeps the GIL: in all that time it could not be had.
    pub(crate) fn keeps_the_gil(&self) -> bool {
        self.is_timed_out(|timed_out| timed_out.stuck && !timed_out.examined)
    }

    fn is_timed_out(&self, test: impl FnOnce(&TimedOut) -> bool) -> bool {
        let in_flight = self.lock();
        in_flight
            .as_ref()
            .and_then(|in_flight| in_flight.timed_out.as_ref())
            .is_some_and(test)
    }

    /// Whether the slot serves no request.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().is_none()
    }

    /// Whether the slot still serves this very request.
    pub(crate) fn is_serving(&self, revoked: &RevokedRequest) -> bool {
        let in_flight = self.lock();
        in_flight
            .as_ref()
            .is_some_and(|in_flight| Arc::ptr_eq(&in_flight.connection, &revoked.connection))
    }

    /// Raises the exception in the request that `revoked` is about, if it still runs, or postpones
    /// it. `dump` is what `faulthandler` writes about all threads.
    pub(crate) fn raise_timeout(
        &self,
        py: Python<'_>,
        revoked: &RevokedRequest,
        dump: impl FnOnce() -> Option<String>,
    ) {
        let mut in_flight = self.lock();
        let request = in_flight
            .as_mut()
            .filter(|in_flight| Arc::ptr_eq(&in_flight.connection, &revoked.connection));
        if let Some(timed_out) = request.and_then(|in_flight| in_flight.timed_out.as_mut()) {
            timed_out.examined = true;
            timed_out.exception = match self.thread().raise_timeout(py, dump) {
                true => Exception::Raised,
                false => Exception::Postponed,
            };
        }
    }

    /// The request, if its exception was postponed, so that the caller tries again.
    pub(crate) fn take_postponed(&self, cell: &Cell) -> Option<RevokedRequest> {
        if cell.phase() != Phase::TimedOut {
            return None;
        }
        let mut in_flight = self.lock();
        let in_flight = in_flight.as_mut()?;
        let timed_out = in_flight.timed_out.as_mut()?;
        if timed_out.exception != Exception::Postponed {
            return None;
        }
        timed_out.exception = Exception::Due;
        Some(in_flight.revoke(self.slot, cell.age()))
    }

    /// Cancels an exception that has come too late.
    fn clear_exception(&self, py: Python<'_>) {
        for _ in 0..MAX_ATTEMPTS {
            match child_exit::checked(py, self.thread().clear_exception(py)) {
                Ok(()) => return,
                Err(error) => report::signal_handler_failed(py, &error),
            }
        }
    }

    /// Forgets a request that the application is not called for after all.
    pub(crate) fn abandon(&self) {
        *self.lock() = None;
    }

    /// Revokes the response of a request whose time is not over, because the process ends.
    pub(crate) fn revoke(&self, cell: &Cell) -> Option<RevokedRequest> {
        let in_flight = self.lock();
        let in_flight = in_flight
            .as_ref()
            .filter(|in_flight| in_flight.timed_out.is_none())?;
        Some(in_flight.revoke(self.slot, cell.age()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<InFlight>> {
        // Nothing that can panic runs under the lock.
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// Revokes the response. `age` is that of a request that has begun.
    fn revoke(&self, slot: usize, age: Option<Duration>) -> RevokedRequest {
        RevokedRequest {
            slot,
            connection: Arc::clone(&self.connection),
            head: Arc::clone(&self.head),
            age: age.unwrap_or_default(),
            queued: age.and_then(|age| {
                let since_then = now().saturating_sub(self.queued_since?);
                Some(Duration::from_nanos(since_then).saturating_sub(age))
            }),
            part: self.connection.owner().revoke(),
            examined: self.timed_out.as_ref().is_some_and(|t| t.examined),
        }
    }
}

/// The limit of a request whose application sets none.
const NO_LIMIT: u64 = u64::MAX;

/// How often an exception is cancelled at most, while handlers of signals fail.
const MAX_ATTEMPTS: usize = 3;
