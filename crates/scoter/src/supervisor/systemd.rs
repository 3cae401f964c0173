//! Notifies systemd, if it listens: sd_notify(3).

use std::collections::VecDeque;
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
    /// How long the workers may make no progress: half of the watchdog's timeout.
    watchdog: Option<Duration>,
    fed: Instant,
    /// Messages that it has not accepted yet, because its queue is short.
    unsent: VecDeque<String>,
}

impl Systemd {
    pub(super) fn new() -> Self {
        Self {
            // 0 is "not valid" (sd_watchdog_enabled(3)), and so is a timeout too short to keep.
            watchdog: watchdog_enabled()
                .filter(|period| *period >= MIN_WATCHDOG)
                .map(|period| period / 2),
            fed: Instant::now(),
            unsent: VecDeque::new(),
        }
    }

    /// The start, or a reload, is complete.
    pub(super) fn ready(&mut self, status: &str) {
        // MAINPID: after an upgrade it is still this process, but a wrapper may have given systemd
        // another one.
        self.tell(&[
            NotifyState::Ready,
            NotifyState::MainPid(std::process::id()),
            NotifyState::Status(status),
        ]);
    }

    pub(super) fn reloading(&mut self, status: &str) {
        // Type=notify-reload compares this time with that of its request (systemd.service(5)).
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now, NotifyState::Status(status)]),
            Err(error) => debug!(%error, "no monotonic clock"),
        }
    }

    pub(super) fn stopping(&mut self, status: &str) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    pub(super) fn status(&mut self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// Asks for this much more time, from now, for the current operation.
    pub(super) fn extend(&mut self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// Notifies the watchdog, rather too often than once too late.
    pub(super) fn feed(&mut self) {
        if let Some(patience) = self.watchdog {
            if self.fed.elapsed() >= patience / 4 {
                self.fed = Instant::now();
                self.tell(&[NotifyState::Watchdog]);
            }
        }
    }

    /// Retries unsent messages.
    pub(super) fn catch_up(&mut self) {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
            return;
        };
        while let Some(message) = self.unsent.front() {
            match send(path.as_bytes(), message.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => debug!(%error, "cannot notify systemd"),
                Ok(()) => {}
            }
            self.unsent.pop_front();
        }
    }

    fn tell(&mut self, states: &[NotifyState<'_>]) {
        let mut message = String::new();
        for state in states {
            // Writing to a string cannot fail.
            let _ = writeln!(message, "{state}");
        }
        self.unsent.push_back(message);
        if self.unsent.len() > MAX_UNSENT {
            self.unsent.pop_front();
        }
        self.catch_up();
    }

    /// How long workers may make no progress before the watchdog is no longer notified.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }
}

/// Used instead of the crate's own function, which blocks if the service manager does not read, and
/// does not support abstract sockets (sd_notify(3): the name begins with "@").
fn send(path: &[u8], message: &[u8]) -> io::Result<()> {
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message, &address).map(drop)
}

/// Messages kept for a service manager that does not read.
const MAX_UNSENT: usize = 64;

/// A shorter watchdog timeout is a mistake.
const MIN_WATCHDOG: Duration = Duration::from_millis(100);
