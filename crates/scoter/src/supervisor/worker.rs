//! The runtime's view of a worker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::core::{Activity, Event, NewWorker};
use super::launcher::Launcher;
use super::link::{Events, Link};
use crate::control::Totals;
use crate::ipc::channel::Channel;
use crate::ipc::crash_report::CrashReport;
use crate::ipc::messages::ToWorker;
use crate::ipc::scoreboard::{Cell, Phase, Scoreboard, Snapshot};

/// The master's ends of what it shares with a worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: u32,
    pub(super) board: Scoreboard,
    pub(super) meter: Meter,
    link: Link,
    /// What its crash leaves; nothing of one that another master has started.
    crash: Option<CrashReport>,
}

/// What the last second was like, from differences of the scoreboard.
#[derive(Debug, Default)]
pub(super) struct Meter {
    requests: u64,
    busy: Duration,
    read: Option<Instant>,
    /// Requests in a second.
    pub(super) rate: f64,
    /// Part of the slots' time that was spent in the application, 0 to 1.
    pub(super) busy_ratio: f64,
}

impl Worker {
    /// Has a worker forked, and reads its channel from now on.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors or no memory to give.
    pub(super) fn fork(launcher: &Launcher, new: NewWorker, events: Events) -> io::Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        let board = Scoreboard::create(new.slots)?;
        let crash = CrashReport::create()?;
        // First of all: once a worker is ordered, what goes wrong has to end it with a word.
        let mut worker = Self::adopt(new.serial, new.id, ours, board, events)?;
        launcher.fork(new, [theirs.as_fd(), worker.board.as_fd(), crash.as_fd()])?;
        worker.crash = Some(crash);
        Ok(worker)
    }

    /// Takes over a worker that runs already.
    ///
    /// # Errors
    ///
    /// Those of [`Link::new`].
    pub(super) fn adopt(
        serial: u64,
        id: u32,
        channel: Channel,
        board: Scoreboard,
        events: Events,
    ) -> io::Result<Self> {
        Ok(Self {
            id,
            board,
            meter: Meter::default(),
            link: Link::new(serial, channel, events, Event::Worker)?,
            crash: None,
        })
    }

    /// Tells it something. One that does not listen is beyond being told.
    pub(super) fn tell(&self, message: ToWorker) {
        if let Err(error) = self.link.send(&message, &[]) {
            debug!(%error, worker = self.id, ?message, "cannot send to the worker");
        }
    }

    /// What its scoreboard says.
    pub(super) fn activity(&self) -> Activity {
        let cells = self.board.cells();
        let is_busy = |cell: &&Cell| cell.phase() != Phase::Idle;
        Activity {
            heartbeat: self.board.totals().heartbeat.load(Ordering::Relaxed),
            requests: cells.iter().map(Cell::requests).sum(),
            running: cells.iter().filter(is_busy).count(),
            slots: cells.len(),
        }
    }

    /// Says which requests end with it.
    pub(super) fn report_lost(&self) {
        for request in self.board.running() {
            let Snapshot {
                method,
                uri,
                request_id,
                age,
                ..
            } = request;
            let age_ms = age.as_millis();
            let worker = self.id;
            warn!(
                worker,
                method, uri, request_id, age_ms, "request lost with its worker"
            );
        }
    }

    /// What `faulthandler` has said when it crashed.
    pub(super) fn stack(&self) -> Option<String> {
        self.crash.as_ref().and_then(CrashReport::read)
    }

    /// Adds its counts to those of the server.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        for cell in self.board.cells() {
            let cell = cell.read();
            totals.requests += cell.requests;
            totals.failed += cell.failed;
        }
        let board = self.board.totals();
        totals.refused += board.refused.load(Ordering::Relaxed);
        totals.timeouts += board.timeouts.load(Ordering::Relaxed);
        totals.peers_gone += board.peers_gone.load(Ordering::Relaxed);
    }

    /// Compares the scoreboard with what it was a while ago.
    pub(super) fn measure(&mut self, now: Instant) {
        let (mut requests, mut busy) = (0, Duration::ZERO);
        for cell in self.board.cells() {
            let cell = cell.read();
            requests += cell.requests;
            busy += cell.busy + cell.age;
        }
        let meter = &mut self.meter;
        if let Some(read) = meter.read {
            let seconds = (now - read).as_secs_f64().max(0.001);
            let slots = self.board.cells().len() as f64;
            let spent = busy.saturating_sub(meter.busy).as_secs_f64();
            meter.rate = requests.saturating_sub(meter.requests) as f64 / seconds;
            meter.busy_ratio = (spent / (seconds * slots)).clamp(0.0, 1.0);
        }
        meter.requests = requests;
        meter.busy = busy;
        meter.read = Some(now);
    }
}

impl AsFd for Worker {
    /// Its channel.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl Drop for Worker {
    /// Has a process end that nobody will supervise. A channel that ends without a word means
    /// to it that the whole server is gone.
    fn drop(&mut self) {
        let _ = self.link.send(&ToWorker::Leave, &[]);
    }
}
