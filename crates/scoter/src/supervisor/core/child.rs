//! What a launcher and a worker have in common.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::event::Exit;
use super::silence::Silence;

/// A process that the master supervises. Its end is one fact, however it is learnt: from the
/// status of wait(2), from the launcher that took it, or because nobody is there any more.
#[derive(Debug, Default)]
pub(super) struct Child {
    /// Known once it is there.
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

    /// Its end, and how long ago that was: it is reported only once.
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

    /// Notes its end. The first that is told of it counts.
    pub(super) fn note_exit(&mut self, exit: Exit, now: Instant) {
        self.exit.get_or_insert((now, exit));
    }

    pub(super) fn has_channel(&self) -> bool {
        self.channel_closed.is_none()
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exit.is_some()
    }

    /// Whether its channel was closed a while ago, and nothing was heard of its end.
    pub(super) fn is_missing(&self, now: Instant) -> bool {
        let closed = |at: Instant| now.saturating_duration_since(at) > LAST_MESSAGES;
        self.exit.is_none() && self.channel_closed.is_some_and(closed)
    }

    /// From when on nothing more is expected of it, where it has ended. `has_more_to_say` is
    /// whether its last messages matter: they come by a channel, and after the news of its end
    /// perhaps; a copy of the channel that a child of it holds is not waited for.
    pub(super) fn over_at(&self, has_more_to_say: bool) -> Option<Instant> {
        let (at, _) = self.exit.as_ref()?;
        let waits = has_more_to_say && self.has_channel();
        Some(if waits { *at + LAST_MESSAGES } else { *at })
    }

    pub(super) fn take_exit(&mut self) -> Exit {
        self.exit.take().map_or_else(Exit::unseen, |(_, exit)| exit)
    }
}

/// For the last messages of a process that has ended.
pub(super) const LAST_MESSAGES: Duration = Duration::from_secs(1);
