//! What the reactor keeps an eye on: that it runs itself, the worker's descriptors, requests that
//! run for too long, and refusals that nobody has logged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::seat::Seat;
use super::stacks::LastResort;
use super::{Shared, quarantine, timeout};
use crate::fatal;
use crate::interpreter::traceback;
use crate::log::{AccessLog, say};
use crate::scoreboard::now;

/// The slots under `--request-timeout`.
#[derive(Debug)]
pub(crate) struct Watch {
    seats: Box<[Seat]>,
    timeouts: Option<Timeouts>,
    last_resort: OnceLock<LastResort>,
    /// Whether a request that does not end makes the process end.
    quarantined: AtomicBool,
}

/// How long a request may run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// `--request-timeout`: then its client is answered, and it is ended.
    pub(crate) request: Duration,
    /// `--request-grace`: so much later its worker is.
    pub(crate) grace: Duration,
}

impl Watch {
    pub(crate) fn new(slots: usize, timeouts: Option<Timeouts>) -> Self {
        Self {
            seats: (0..slots).map(Seat::new).collect(),
            timeouts,
            last_resort: OnceLock::new(),
            quarantined: AtomicBool::new(false),
        }
    }

    /// The seat of a slot, if requests are watched at all.
    pub(crate) fn seat(&self, slot: usize) -> Option<&Seat> {
        self.timeouts.and_then(|_| self.seats.get(slot))
    }

    /// All seats, those that nobody sits in included.
    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Prepares what needs Python, as long as that is at hand.
    pub(crate) fn prepare(&self, py: Python<'_>) {
        if self.timeouts.is_none() {
            return;
        }
        match LastResort::prepare(py) {
            Ok(last_resort) => {
                last_resort.watch_for_ever();
                let _ = self.last_resort.set(last_resort);
            }
            Err(error) => {
                let traceback = traceback(py, &error);
                warn!(%traceback, "there will be no stacks while C code keeps the GIL");
            }
        }
    }

    pub(crate) fn last_resort(&self) -> Option<&LastResort> {
        self.last_resort.get()
    }

    /// Says that the process is to end for a request that does not. Returns whether that is
    /// new.
    pub(crate) fn begin_quarantine(&self) -> bool {
        !self.quarantined.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined.load(Ordering::Acquire)
    }

    /// How often the requests are looked at: a tenth of the timeout, within reason.
    fn rhythm(&self) -> Duration {
        match self.timeouts {
            Some(Timeouts { request, .. }) => (request / 10).clamp(SHORTEST, LONGEST),
            None => HEARTBEAT,
        }
    }
}

/// Watches for as long as the worker lives.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut rhythm = interval(shared.watch.rhythm());
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported: Option<Instant> = None;
    loop {
        rhythm.tick().await;
        let totals = shared.board.totals();
        totals.heartbeat.store(now(), Ordering::Relaxed);
        fatal::check_descriptors();
        shared.response_memory.remind();
        if shared.access_log.is_abandoned() {
            fatal::end_of_thread(AccessLog::NAME);
        }
        if let Some(timeouts) = shared.watch.timeouts {
            look(&shared, timeouts);
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
        }
    }
}

fn look(shared: &Arc<Shared>, timeouts: Timeouts) {
    for (seat, cell) in shared.watch.seats.iter().zip(shared.board.cells()) {
        if let Some(overdue) = seat.time_out(cell, timeouts.request) {
            timeout::end_request(shared, overdue);
        } else if let Some(overdue) = seat.get_stuck(cell, timeouts.grace) {
            quarantine::begin(shared, overdue);
        }
    }
}

/// Between looks at the requests.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(250);

/// Between signs of life where nothing is to be looked at.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Between lines about requests that were refused for the same reason.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
