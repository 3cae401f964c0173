//! The runtime's view of a worker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tracing::{debug, warn};

use super::core::{Activity, Event, NewWorker};
use super::launcher::Launcher;
use super::link::{Events, Link};
use crate::control::{Totals, Work};
use crate::ipc::channel::Channel;
use crate::ipc::crash_report::CrashReport;
use crate::ipc::messages::{LeaveReason, ToWorker};
use crate::ipc::scoreboard::{Cell, Counts, Phase, Scoreboard, Snapshot};
use crate::sys::clock::now;
use crate::sys::fork::Own;

/// What the master shares with a worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: u32,
    pub(super) board: Scoreboard,
    /// Whether it writes to another scoreboard, of a release that lays it out differently.
    is_unread: bool,
    pub(super) meter: Meter,
    link: Link,
    /// The report of its crash; `None` if another master started it.
    crash: Option<CrashReport>,
}

/// Rates over the last second, from differences of the scoreboard.
#[derive(Debug, Default)]
pub(super) struct Meter {
    requests: u64,
    busy: Duration,
    read: Option<Instant>,
    /// The CPU time that it has taken, when last measured.
    pub(super) cpu: Option<Duration>,
    /// Requests per second.
    pub(super) rate: f64,
    /// The share of the slots' time spent in the application, from 0 to 1.
    pub(super) busy_ratio: f64,
    /// CPU time per second; may exceed 1 with several threads.
    pub(super) cpu_ratio: Option<f64>,
    work: Work,
    /// How long the requests took that had finished most recently then.
    average: Duration,
}

impl Worker {
    /// Orders a worker from the launcher, and begins to read its channel.
    ///
    /// # Errors
    ///
    /// System errors, if no descriptors or memory are available.
    pub(super) fn fork(launcher: &Launcher, new: NewWorker, events: Events) -> io::Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        let board = Scoreboard::create(new.slots)?;
        let crash = CrashReport::create()?;
        // First, because once a worker is ordered, its drop must dismiss it if anything fails.
        let mut worker = Self::new(new.serial, new.id, ours, board, events)?;
        launcher.fork(new, [theirs.as_fd(), worker.board.as_fd(), crash.as_fd()])?;
        worker.crash = Some(crash);
        Ok(worker)
    }

    /// Takes over a running worker. If another release has laid out its scoreboard differently, its
    /// counts are unknown, and it counts as one that responds: it is about to be replaced.
    ///
    /// # Errors
    ///
    /// Those of [`Link::new`] and of mapping the scoreboard.
    pub(super) fn adopt(
        serial: u64,
        id: u32,
        channel: Channel,
        board: Own,
        events: Events,
    ) -> io::Result<Self> {
        let (board, is_unread) = match Scoreboard::attach(board) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                (Scoreboard::create(1)?, true)
            }
            attached => (attached?, false),
        };
        let mut worker = Self::new(serial, id, channel, board, events)?;
        worker.is_unread = is_unread;
        Ok(worker)
    }

    fn new(
        serial: u64,
        id: u32,
        channel: Channel,
        board: Scoreboard,
        events: Events,
    ) -> io::Result<Self> {
        Ok(Self {
            id,
            board,
            is_unread: false,
            meter: Meter::default(),
            link: Link::new(serial, channel, events, Event::Worker)?,
            crash: None,
        })
    }

    /// Sends it a message. A failure is ignored, because the worker cannot be reached.
    pub(super) fn tell(&self, message: ToWorker) {
        self.send(message, &[]);
    }

    /// Has it use another file as the error log.
    pub(super) fn tell_error_log(&self, file: BorrowedFd<'_>) {
        self.send(ToWorker::ErrorLog, &[file]);
    }

    fn send(&self, message: ToWorker, fds: &[BorrowedFd<'_>]) {
        if let Err(error) = self.link.send(&message, fds) {
            debug!(%error, worker = self.id, ?message, "cannot send to the worker");
        }
    }

    /// Asks it where its threads are. The answer comes through the stream, which then ends.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it does not read its messages; system errors, if no descriptors are
    /// available.
    pub(super) fn ask_for_stacks(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        self.link.send(&ToWorker::Stacks, &[theirs.as_fd()])?;
        Ok(ours)
    }

    /// Its state according to the scoreboard.
    pub(super) fn activity(&self) -> Activity {
        let cells = self.board.cells();
        let is_busy = |cell: &&Cell| cell.phase() != Phase::Idle;
        Activity {
            heartbeat: match self.is_unread {
                true => now(),
                false => self.board.totals().heartbeat.load(Ordering::Relaxed),
            },
            requests: cells.iter().map(Cell::requests).sum(),
            running: cells.iter().filter(is_busy).count(),
            slots: cells.len(),
        }
    }

    /// Logs which requests end with it.
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

    /// The output of `faulthandler` if it crashed.
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
        let kept = &mut totals.kept_connections;
        kept.reused += board.reused.load(Ordering::Relaxed);
        kept.passed_on += board.passed_on.load(Ordering::Relaxed);
        kept.out_of_step += board.out_of_step.load(Ordering::Relaxed);
    }

    /// What it has done, as uWSGI counts it.
    pub(super) fn work(&self) -> Work {
        let mut counts = Counts::default();
        counts.add(&self.board);
        let totals = self.board.totals();
        let finished = |cell: &Cell| {
            let is_busy = cell.phase() != Phase::Idle;
            cell.requests().saturating_sub(is_busy.into())
        };
        Work {
            requests: self.board.cells().iter().map(finished).sum(),
            exceptions: totals.exceptions.load(Ordering::Relaxed),
            timeouts: totals.timeouts.load(Ordering::Relaxed),
            busy: counts.busy,
            response_bytes: counts.response_bytes,
        }
    }

    /// Compares the scoreboard, and the CPU time of the process if known, with the last measurement.
    pub(super) fn measure(&mut self, cpu: Option<Duration>, now: Instant) {
        let work = self.work();
        self.meter.average = self.meter.average(&work);
        self.meter.work = work;
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
            let before_and_now = meter.cpu.zip(cpu);
            meter.cpu_ratio = before_and_now
                .map(|(before, now)| now.saturating_sub(before).as_secs_f64() / seconds);
        }
        meter.requests = requests;
        meter.busy = busy;
        // A process that has just ended has its last measurement.
        meter.cpu = cpu.or(meter.cpu);
        meter.read = Some(now);
    }
}

impl Meter {
    /// How long requests take at present: the mean of those that have finished since the last measurement,
    /// or else of those before.
    pub(super) fn average(&self, now: &Work) -> Duration {
        let finished = now.requests.saturating_sub(self.work.requests);
        match u32::try_from(finished) {
            Ok(finished @ 1..) => now.busy.saturating_sub(self.work.busy) / finished,
            _ => self.average,
        }
    }
}

impl AsFd for Worker {
    /// Its channel.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl Drop for Worker {
    /// Ends a process that will not be supervised. Without this message, the end of the channel
    /// would mean that the whole server is gone.
    fn drop(&mut self) {
        let _ = self
            .link
            .send(&ToWorker::Leave(LeaveReason::NotNeeded), &[]);
    }
}
