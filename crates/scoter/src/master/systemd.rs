//! What systemd is told, where it listens: sd_notify(3). Elsewhere nothing happens.

use std::time::{Duration, Instant};

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tracing::debug;

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct Systemd {
    /// How often its watchdog wants to be fed: twice as often as it requires.
    watchdog: Option<Duration>,
    fed: Instant,
}

impl Systemd {
    pub(super) fn new() -> Self {
        Self {
            watchdog: watchdog_enabled().map(|period| period / 2),
            fed: Instant::now(),
        }
    }

    /// The start, or a reload, is complete.
    pub(super) fn ready(&self, status: &str) {
        // MAINPID: after an upgrade it is still this process, and systemd may have been told
        // of another one by a wrapper.
        tell(&[
            NotifyState::Ready,
            NotifyState::MainPid(std::process::id()),
            NotifyState::Status(status),
        ]);
    }

    pub(super) fn reloading(&self, status: &str) {
        // Type=notify-reload compares this clock with when it asked (systemd.service(5)).
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status(status)]),
            Err(error) => debug!(%error, "no monotonic clock"),
        }
    }

    pub(super) fn stopping(&self, status: &str) {
        tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    pub(super) fn status(&self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// Asks for that much more time, from now, for what is going on.
    pub(super) fn extend(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// Feeds the watchdog if it is time to.
    pub(super) fn feed(&mut self) {
        if self
            .watchdog
            .is_some_and(|period| self.fed.elapsed() >= period)
        {
            self.fed = Instant::now();
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// For how long workers may stand still before the watchdog goes hungry.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.watchdog
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        debug!(%error, "systemd was not told");
    }
}
