//! The reactor's periodic work: its heartbeat, checks of the worker's descriptors, of request
//! timeouts and of connections that nobody accepts, and the logging of refusals and of overloads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::log::{AccessLog, say};
use crate::net::{Help, Listener, QueueWatch};
use crate::python::request_timeout::PythonThread;
use crate::python::stacks::LastResort;
use crate::python::traceback::traceback;
use crate::sys::clock::now;
use crate::sys::fatal;
use crate::sys::running_time::RunningTime;
use crate::worker::stacks::slow::SlowRequests;
use crate::worker::timeouts::in_flight::InFlightSlot;
use crate::worker::timeouts::stuck;
use crate::worker::timeouts::timed_out;
use crate::worker::{MasterLink, Shared};

/// The slots, and how long their requests may run.
#[derive(Debug)]
pub(crate) struct Monitor {
    slots: Box<[InFlightSlot]>,
    timeouts: Option<Timeouts>,
    /// `--slow-request`.
    slow_request: Option<Duration>,
    last_resort: OnceLock<Arc<LastResort>>,
    /// Whether the process ends because of a request that cannot be ended.
    stuck: AtomicBool,
}

/// How long a request may run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// `--request-timeout`: then its client is answered, and it is ended.
    pub(crate) request: Duration,
    /// `--request-grace`: so much later its worker is.
    pub(crate) grace: Duration,
}

impl Monitor {
    pub(crate) fn new(
        slots: usize,
        timeouts: Option<Timeouts>,
        slow_request: Option<Duration>,
    ) -> Self {
        Self {
            slots: (0..slots).map(InFlightSlot::new).collect(),
            timeouts,
            slow_request,
            last_resort: OnceLock::new(),
            stuck: AtomicBool::new(false),
        }
    }

    /// A slot, if its requests are watched at all.
    pub(crate) fn slot(&self, index: usize) -> Option<&InFlightSlot> {
        let is_watched = self.timeouts.is_some() || self.slow_request.is_some();
        self.slots.get(index).filter(|_| is_watched)
    }

    /// All slots.
    pub(crate) fn slots(&self) -> &[InFlightSlot] {
        &self.slots
    }

    /// The threads of slots that serve no request now.
    pub(crate) fn idle_threads(&self) -> Vec<PythonThread> {
        let idle = self.slots.iter().filter(|slot| slot.is_idle());
        idle.map(InFlightSlot::thread).collect()
    }

    /// Prepares what needs Python, as long as that is at hand.
    pub(crate) fn prepare(&self, py: Python<'_>) {
        match LastResort::prepare(py) {
            Ok(last_resort) => {
                let _ = self.last_resort.set(Arc::new(last_resort));
            }
            Err(error) => {
                let traceback = traceback(py, &error);
                warn!(%traceback, "no stacks can be read while C code holds the GIL");
            }
        }
    }

    pub(crate) fn last_resort(&self) -> Option<&Arc<LastResort>> {
        self.last_resort.get()
    }

    /// Notes that the process ends because of a request that cannot be ended. Returns whether
    /// that is new.
    pub(crate) fn mark_stuck(&self) -> bool {
        !self.stuck.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    /// How often the requests are checked: a tenth of the shorter time, within limits.
    fn interval(&self) -> Duration {
        let timeout = self.timeouts.map(|timeouts| timeouts.request);
        match timeout.into_iter().chain(self.slow_request).min() {
            Some(time) => (time / 10).clamp(MIN_INTERVAL, MAX_INTERVAL),
            None => HEARTBEAT_INTERVAL,
        }
    }
}

/// Monitors the worker for as long as it lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(shared.monitor.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported: Option<Instant> = None;
    let mut queue_watches = queue_watches(&shared);
    let mut running_time = RunningTime::new(shared.monitor.interval(), Instant::now());
    let mut slow_requests = SlowRequests::new(Instant::now());
    loop {
        ticks.tick().await;
        let step = running_time.step(Instant::now());
        let totals = shared.board.totals();
        totals.heartbeat.store(now(), Ordering::Relaxed);
        fatal::check_descriptors();
        shared.response_memory.remind();
        if shared.access_log.is_abandoned() {
            fatal::end_of_thread(AccessLog::NAME);
        }
        if shared.stop.ending().is_some() {
            // A request that began at the same moment may have missed the stop, and the stop
            // the request: a fence against that would slow down all requests.
            shared.report_not_accepting();
        } else if shared.held.are_waiting(shared.kept.queue()) != (false, false)
            || shared.listeners.iter().any(Listener::has_waiting)
        {
            // The kernel wakes one sleeper for a connection (EPOLLEXCLUSIVE). If that was a
            // process that has been killed or stopped, nobody comes for it.
            shared.ready.nudge();
        }
        slow_requests.check(&shared, Instant::now()).await;
        if let Some(timeouts) = shared.monitor.timeouts {
            check_requests(&shared, timeouts, step);
        }
        for (index, watch) in queue_watches.iter_mut().enumerate() {
            let listener = &shared.listeners[index];
            if let Some(notice) = watch.look(listener, Help::Possible, Instant::now()) {
                let shared = Arc::clone(&shared);
                say(move || notice.log(&shared.listeners[index])).await;
            }
        }
        for readable in shared.kept.expire(Instant::now()) {
            shared.look_after(readable);
        }
        if reported.is_none_or(|time| time.elapsed() >= REPORT_INTERVAL) {
            if let Some(late) = shared.admission.take_late() {
                reported = Some(Instant::now());
                say(move || late.log()).await;
            }
            if let Some(turned_away) = shared.overload.take() {
                reported = Some(Instant::now());
                say(move || turned_away.log()).await;
            }
            if let Some(out_of_step) = shared.kept.take_out_of_step() {
                reported = Some(Instant::now());
                say(move || out_of_step.log()).await;
            }
        }
    }
}

/// Watches of the kernel's queues, one for each listener: none if there is a master, which has them.
fn queue_watches(shared: &Shared) -> Vec<QueueWatch> {
    match shared.master {
        MasterLink::Channel(_) => Vec::new(),
        MasterLink::None => {
            let listeners = shared.listeners.iter();
            listeners.map(|_| QueueWatch::default()).collect()
        }
    }
}

/// Ends requests that have run for too long. `step` is for how long this process has been
/// running since the last check.
fn check_requests(shared: &Arc<Shared>, timeouts: Timeouts, step: Duration) {
    for (slot, cell) in shared.monitor.slots.iter().zip(shared.board.cells()) {
        if let Some(revoked) = slot.time_out(cell, timeouts.request) {
            timed_out::end_request(shared, revoked);
        } else if let Some(revoked) = slot.become_stuck(cell, timeouts.grace, step) {
            stuck::end_worker(shared, revoked);
        } else if let Some(revoked) = slot.take_postponed(cell) {
            timed_out::raise_again(shared, revoked);
        }
    }
}

/// Between checks of the requests.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// Between heartbeats where there are no requests to check.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Between lines about requests that were refused for the same reason.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
