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
    /// Unique.
    pub(super) serial: u64,
    /// From 1, and reused after its end.
    pub(super) id: u32,
    pub(super) generation: u32,
    pub(super) child: Child,
    /// Whether the process existed when it was last checked.
    pub(super) process: Process,
    pub(super) phase: Phase,
    pub(super) started: Instant,
    /// When it became ready.
    pub(super) ready: Option<Instant>,
    /// When it must be ready, or must have ended.
    pub(super) deadline: Option<Instant>,
    /// When its `--max-lifetime` ends.
    pub(super) expires: Option<Instant>,
    /// Why it has to be replaced.
    pub(super) replace: Option<String>,
    /// Why it could not start.
    pub(super) failed: Option<Failed>,
    /// Whether it may still accept connections.
    pub(super) is_accepting: bool,
    /// How many times it was killed.
    pub(super) kills: u32,
    pub(super) activity: Activity,
    /// Requests started when it last made progress, and when that was.
    pub(super) progress: Option<(u64, Instant)>,
    /// Resident memory when it was last measured, in bytes.
    pub(super) rss: u64,
}

/// The state of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// It loads the application.
    Starting,
    /// It serves.
    Ready,
    /// It finishes its requests.
    Retiring,
    /// It has a request that cannot be ended, and exits without finishing it.
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

    /// Checks its heartbeat, `step` after the last check.
    pub(super) fn note_heartbeat(&mut self, step: Duration) {
        // The process may continue to run without its channel.
        let sign = if self.child.has_channel() {
            self.activity.heartbeat
        } else {
            0
        };
        self.child.silence.note(sign, step);
    }

    /// Records whether it can take a request, or has finished one.
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

    /// Whether it is known to serve. If its channel is closed it has usually ended.
    pub(super) fn is_serving(&self) -> bool {
        self.phase == Phase::Ready && self.child.has_channel() && !self.child.has_exited()
    }

    /// Whether it serves or is starting.
    pub(super) fn counts(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    /// Whether it accepts no more connections.
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

    /// What it has done before it ended.
    pub(super) fn service(&self, now: Instant) -> Service {
        Service {
            ready_for: self.ready.map(|at| now.saturating_duration_since(at)),
            finished: self.activity.finished(),
        }
    }

    /// If it has ended, the time from which no more messages are expected. A worker that was
    /// starting may have reported why it failed.
    pub(super) fn over_at(&self) -> Option<Instant> {
        self.child.over_at(self.phase == Phase::Starting)
    }
}
