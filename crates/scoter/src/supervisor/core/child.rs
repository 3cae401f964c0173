//! What a launcher and a worker have in common.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::event::Exit;
use super::silence::Silence;

/// A process that the master supervises. Its end is one fact, whether wait(2), its launcher or its
/// absence reports it.
#[derive(Debug, Default)]
pub(super) struct Child {
    /// `None` until it is known.
    pub(super) pid: Option<Pid>,
    /// When the other end of its channel was closed.
    channel_closed: Option<Instant>,
    exit: Option<(Instant, Exit)>,
    pub(super) silence: Silence,
}

impl Child {
    pub(super) fn new(pid: Option<Pid>) -> Self {
        Self {
            pid,
            ..Self::default()
        }
    }

    /// Its end, which is reported only once, and how long ago that was.
    pub(super) fn exit_state(&self, now: Instant) -> Option<(Duration, Exit)> {
        let (at, exit) = self.exit.as_ref()?;
        Some((now.saturating_duration_since(*at), exit.clone()))
    }

    pub(super) fn resume_exit(&mut self, state: Option<(Duration, Exit)>, now: Instant) {
        self.exit = state.map(|(since, exit)| (now.checked_sub(since).unwrap_or(now), exit));
    }

    pub(super) fn note_channel_closed(&mut self, now: Instant) {
        self.channel_closed.get_or_insert(now);
        self.silence.restart();
    }

    /// Records its end. The first report counts.
    pub(super) fn note_exit(&mut self, exit: Exit, now: Instant) {
        self.exit.get_or_insert((now, exit));
    }

    pub(super) fn has_channel(&self) -> bool {
        self.channel_closed.is_none()
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exit.is_some()
    }

    /// Whether its channel was closed a while ago, but its end has not been reported.
    pub(super) fn is_missing(&self, now: Instant) -> bool {
        let closed = |at: Instant| now.saturating_duration_since(at) > LAST_MESSAGES;
        self.exit.is_none() && self.channel_closed.is_some_and(closed)
    }

    /// If it has ended, the time from which no more messages are expected. `has_more_to_say` is
    /// whether its last messages matter, which may arrive after the report of its end. A copy of
    /// the channel in one of its children is not waited for.
    pub(super) fn over_at(&self, has_more_to_say: bool) -> Option<Instant> {
        let (at, _) = self.exit.as_ref()?;
        let waits = has_more_to_say && self.has_channel();
        Some(if waits { *at + LAST_MESSAGES } else { *at })
    }

    pub(super) fn take_exit(&mut self) -> Exit {
        self.exit.take().map_or_else(Exit::unseen, |(_, exit)| exit)
    }
}

/// How long to wait for the last messages of a process that has ended.
pub(super) const LAST_MESSAGES: Duration = Duration::from_secs(1);
