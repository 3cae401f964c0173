//! A worker as the master knows it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::backoff::Service;
use super::event::Event;
use super::liveness::{Liveness, Silence};
use crate::crash_report::CrashReport;
use crate::line::{Failed, FromWorker, Line, Received, ToWorker};
use crate::scoreboard::{Cell, Phase as SlotPhase, Scoreboard, Snapshot};

/// One worker process, from the order to fork it to its end.
#[derive(Debug)]
pub(super) struct Worker {
    /// Never used twice.
    pub(super) serial: u64,
    /// From 1, and free again after its end.
    pub(super) id: u32,
    pub(super) generation: u32,
    /// Known once the launcher has forked it.
    pub(super) pid: Option<Pid>,
    pub(super) phase: Phase,
    pub(super) started: Instant,
    /// When it became ready.
    pub(super) ready: Option<Instant>,
    /// When it has to be ready, or gone.
    pub(super) deadline: Option<Instant>,
    /// When `--max-lifetime` is over for it.
    pub(super) expires: Option<Instant>,
    /// Why it is to be replaced.
    pub(super) replace: Option<String>,
    /// Why it could not start.
    pub(super) failed: Option<Failed>,
    /// Since when its line has been silent for good.
    pub(super) silent: Option<Instant>,
    /// Since when its reactor has shown no sign of life, or since its line has ended.
    pub(super) silence: Silence,
    /// How often it was killed.
    pub(super) kills: u32,
    /// When its process ended, and how, while its line may still have something to say.
    pub(super) exited: Option<(Instant, Option<i32>)>,
    /// Memory in use when it was last looked at, in bytes.
    pub(super) rss: u64,
    pub(super) meter: Meter,
    pub(super) board: Scoreboard,
    /// What its crash leaves; nothing of one that another master has started.
    pub(super) crash: Option<CrashReport>,
    line: Arc<AsyncFd<Line>>,
    reader: JoinHandle<()>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It loads the application.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it has begun.
    Retiring,
    /// A request keeps it that cannot be ended; it ends without it.
    Stuck,
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
    /// When the worker was last seen to get on.
    pub(super) progress: Option<Instant>,
}

impl Worker {
    /// Prepares a worker whose process is about to be forked, and reads its line from now on.
    pub(super) fn new(
        serial: u64,
        id: u32,
        generation: u32,
        line: Line,
        board: Scoreboard,
        events: mpsc::Sender<Event>,
    ) -> std::io::Result<Self> {
        let line = Arc::new(line.watch()?);
        let reader = tokio::spawn(read(serial, Arc::clone(&line), events));
        Ok(Self {
            serial,
            id,
            generation,
            pid: None,
            phase: Phase::Starting,
            started: Instant::now(),
            ready: None,
            deadline: None,
            expires: None,
            replace: None,
            failed: None,
            silent: None,
            silence: Silence::default(),
            kills: 0,
            exited: None,
            rss: 0,
            meter: Meter::default(),
            board,
            crash: None,
            line,
            reader,
        })
    }

    /// Tells it something. One that does not listen is beyond being told.
    pub(super) fn tell(&self, message: ToWorker) {
        if let Err(error) = self.line.get_ref().send(&message, &[]) {
            debug!(%error, worker = self.id, ?message, "the worker was not told");
        }
    }

    /// Sends a signal, unless it has been reaped: the number may be another process's by now.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid.filter(|_| self.exited.is_none()) {
            let _ = kill(pid, signal);
        }
    }

    /// Looks for a sign of life, `step` after the last look.
    pub(super) fn note_heartbeat(&mut self, step: Duration) {
        let heartbeat = self.board.totals().heartbeat.load(Ordering::Relaxed);
        // The process may well live on without its line.
        let sign = if self.silent.is_some() { 0 } else { heartbeat };
        self.silence.note(sign, step);
    }

    pub(super) fn liveness(&self) -> Liveness {
        Liveness::of_worker(self.silent.is_none(), self.silence.lasted())
    }

    /// Whether it can be relied on for the next request.
    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready && self.liveness() == Liveness::Responsive
    }

    /// Whether it serves, or will.
    pub(super) fn counts(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    /// Whether it takes no more connections, having been told so.
    pub(super) fn is_out(&self) -> bool {
        !self.counts() && self.board.cells().iter().all(Cell::is_out)
    }

    pub(super) fn is_idle(&self) -> bool {
        let mut cells = self.board.cells().iter();
        cells.all(|cell| cell.phase() == SlotPhase::Idle)
    }

    /// What its slots are running now, or were when it ended.
    pub(super) fn running(&self) -> Vec<Snapshot> {
        self.board.running()
    }

    /// Says which requests ended with it.
    pub(super) fn report_lost(&self) {
        for request in self.running() {
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

    /// Requests begun.
    pub(super) fn requests(&self) -> u64 {
        self.board.cells().iter().map(Cell::requests).sum()
    }

    /// What it has done for its place.
    pub(super) fn service(&self) -> Service {
        let running = self.running().len() as u64;
        Service {
            ready_for: self.ready.map(|at| at.elapsed()),
            finished: self.requests().saturating_sub(running),
        }
    }

    /// Connections refused, requests timed out, peers gone.
    pub(super) fn totals(&self) -> (u64, u64, u64) {
        let totals = self.board.totals();
        (
            totals.refused.load(Ordering::Relaxed),
            totals.timeouts.load(Ordering::Relaxed),
            totals.peers_gone.load(Ordering::Relaxed),
        )
    }

    /// Whether it can take a request, or has finished one within `patience`, and its reactor
    /// runs.
    pub(super) fn gets_on(&self, patience: Duration) -> bool {
        let progress = self.meter.progress.map(|at| at.elapsed());
        self.is_ready()
            && self.silence.lasted() < patience
            && progress.is_some_and(|since| since < patience)
    }

    /// Compares the scoreboard with what it was a while ago.
    pub(super) fn measure(&mut self) {
        let now = Instant::now();
        let (mut requests, mut busy, mut idle) = (0, Duration::ZERO, false);
        for cell in self.board.cells() {
            let cell = cell.read();
            requests += cell.requests;
            busy += cell.busy + cell.age;
            idle |= cell.phase == SlotPhase::Idle;
        }
        let meter = &mut self.meter;
        if let Some(read) = meter.read {
            let seconds = (now - read).as_secs_f64().max(0.001);
            let slots = self.board.cells().len() as f64;
            let spent = busy.saturating_sub(meter.busy).as_secs_f64();
            meter.rate = requests.saturating_sub(meter.requests) as f64 / seconds;
            meter.busy_ratio = (spent / (seconds * slots)).clamp(0.0, 1.0);
        }
        if idle || requests != meter.requests || meter.progress.is_none() {
            meter.progress = Some(now);
        }
        meter.requests = requests;
        meter.busy = busy;
        meter.read = Some(now);
    }
}

impl AsFd for Worker {
    /// Its line.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.get_ref().as_fd()
    }
}

impl Drop for Worker {
    /// Has a process end that nobody will supervise. A line that ends without a word means
    /// to it that the whole server is gone.
    fn drop(&mut self) {
        self.reader.abort();
        let _ = self.line.get_ref().send(&ToWorker::Leave, &[]);
    }
}

async fn read(serial: u64, line: Arc<AsyncFd<Line>>, events: mpsc::Sender<Event>) {
    loop {
        let received = line
            .async_io(Interest::READABLE, Line::receive::<FromWorker>)
            .await;
        let event = match received {
            Ok(Received::Message(message, _)) => Event::Worker(serial, message),
            Ok(Received::End) => Event::WorkerGone(serial),
            Err(error) if error.kind() != std::io::ErrorKind::InvalidData => {
                warn!(%error, "a worker's line is broken");
                Event::WorkerGone(serial)
            }
            Err(error) => {
                warn!(%error, "a worker was not understood");
                continue;
            }
        };
        let last = matches!(event, Event::WorkerGone(_));
        if events.send(event).await.is_err() || last {
            return;
        }
    }
}
