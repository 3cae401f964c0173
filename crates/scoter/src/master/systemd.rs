//! What systemd is told, where it listens: sd_notify(3). Elsewhere nothing happens.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::{NotifyState, watchdog_enabled};
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
            // 0 is "not valid" (sd_watchdog_enabled(3)), and so is what nobody could keep up.
            watchdog: watchdog_enabled()
                .filter(|period| *period >= SHORTEST_WATCHDOG)
                .map(|period| period / 2),
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
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let mut message = String::new();
    for state in states {
        // Writing to a string cannot fail.
        let _ = writeln!(message, "{state}");
    }
    if let Err(error) = send(path.as_bytes(), message.as_bytes()) {
        debug!(%error, "systemd was not told");
    }
}

/// Not the crate's own way of sending: that waits for a service manager which does not read,
/// and knows no abstract sockets (sd_notify(3): the name begins with "@").
fn send(path: &[u8], message: &[u8]) -> io::Result<()> {
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message, &address).map(drop)
}

/// A watchdog with less patience than this is a mistake.
const SHORTEST_WATCHDOG: Duration = Duration::from_millis(100);
