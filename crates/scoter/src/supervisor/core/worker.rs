//! The supervisor's view of a worker.

use std::time::{Duration, Instant};

use super::backoff::Service;
use super::child::Child;
use super::event::{Activity, Process};
use super::silence::Liveness;
use crate::ipc::messages::Failed;
use serde::{Deserialize, Serialize};

/// One worker process, from the order to fork it to its end.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Never used twice.
    pub(super) serial: u64,
    /// From 1, and free again after its end.
    pub(super) id: u32,
    pub(super) generation: u32,
    pub(super) child: Child,
    /// Whether the process was there when it was last looked for.
    pub(super) process: Process,
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
    /// Whether it may still accept connections.
    pub(super) is_accepting: bool,
    /// How often it was killed.
    pub(super) kills: u32,
    pub(super) activity: Activity,
    /// Requests begun when it was last seen to get on, and when that was.
    pub(super) progress: Option<(u64, Instant)>,
    /// Memory in use when it was last looked at, in bytes.
    pub(super) rss: u64,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// It loads the application.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it has begun.
    Retiring,
    /// A request keeps it that cannot be ended; it ends without it.
    Stuck,
}

impl Worker {
    /// A worker whose process is about to be forked.
    pub(super) fn new(serial: u64, id: u32, generation: u32, now: Instant) -> Self {
        Self {
            serial,
            id,
            generation,
            child: Child::default(),
            process: Process::Running,
            phase: Phase::Starting,
            started: now,
            ready: None,
            deadline: None,
            expires: None,
            replace: None,
            failed: None,
            is_accepting: true,
            kills: 0,
            activity: Activity::default(),
            progress: None,
            rss: 0,
        }
    }

    /// Looks for a sign of life, `step` after the last look.
    pub(super) fn note_heartbeat(&mut self, step: Duration) {
        // The process may well live on without its channel.
        let sign = if self.child.has_channel() {
            self.activity.heartbeat
        } else {
            0
        };
        self.child.silence.note(sign, step);
    }

    /// Notes whether it can take a request, or has finished one.
    pub(super) fn note_progress(&mut self, now: Instant) {
        let Activity {
            requests,
            running,
            slots,
            ..
        } = self.activity;
        let has_moved = self.progress.is_none_or(|(before, _)| before != requests);
        if running < slots || has_moved {
            self.progress = Some((requests, now));
        }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        Liveness::of_worker(self.child.has_channel(), self.child.silence.lasted())
    }

    /// Whether it can be relied on for the next request.
    pub(super) fn is_ready(&self) -> bool {
        self.is_serving() && self.liveness() == Liveness::Responsive
    }

    /// Whether it serves, as far as is known. One whose channel is closed has ended, mostly.
    pub(super) fn is_serving(&self) -> bool {
        self.phase == Phase::Ready && self.child.has_channel() && !self.child.has_exited()
    }

    /// Whether it serves, or will.
    pub(super) fn counts(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    /// Whether it takes no more connections.
    pub(super) fn is_out(&self) -> bool {
        !self.counts() && !self.is_accepting
    }

    /// Whether it can take a request, or has finished one within `timeout`, and its reactor
    /// runs.
    pub(super) fn gets_on(&self, timeout: Duration, now: Instant) -> bool {
        let progress = self
            .progress
            .map(|(_, at)| now.saturating_duration_since(at));
        self.is_ready()
            && self.child.silence.lasted() < timeout
            && progress.is_some_and(|since| since < timeout)
    }

    /// What it has done for its place.
    pub(super) fn service(&self, now: Instant) -> Service {
        Service {
            ready_for: self.ready.map(|at| now.saturating_duration_since(at)),
            finished: self.activity.finished(),
        }
    }

    /// From when on nothing more is expected of it, where it has ended. One that was starting
    /// may have said why it could not.
    pub(super) fn over_at(&self) -> Option<Instant> {
        self.child.over_at(self.phase == Phase::Starting)
    }
}
