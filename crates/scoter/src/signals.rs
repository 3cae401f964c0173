//! The signals that scoter's processes act on, and those they must survive.

use std::io;

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tracing::warn;

use crate::process::Disposition;

/// What the process at the top acts on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
    more: Stream,
    fewer: Stream,
}

impl Signals {
    /// Installs the handlers. To be called within a runtime.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            more: signal(raw(Signal::SIGTTIN))?,
            fewer: signal(raw(Signal::SIGTTOU))?,
        })
    }

    /// Waits for the next one, and names it without its SIG.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "TERM",
            _ = self.interrupt.recv() => "INT",
            _ = self.hangup.recv() => "HUP",
            _ = self.user1.recv() => "USR1",
            _ = self.user2.recv() => "USR2",
            _ = self.more.recv() => "TTIN",
            _ = self.fewer.recv() => "TTOU",
        }
    }
}

/// What a worker under a master does: it survives what is sent to the whole group of
/// processes (`systemctl kill`, Ctrl-C), and leaves it to the master to act.
#[derive(Debug)]
pub(crate) struct Quiet(Signals);

impl Quiet {
    /// Installs the handlers. To be called within a runtime.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(crate) fn install() -> io::Result<Self> {
        Signals::install().map(Self)
    }

    /// Waits for a TERM.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn terminated(&mut self) {
        while self.0.next().await != "TERM" {}
    }
}

fn raw(signal: Signal) -> SignalKind {
    SignalKind::from_raw(signal as i32)
}

/// Applications install handlers of their own while they are imported; one for TERM would
/// leave the server without a way to be stopped.
pub(crate) struct Dispositions([Disposition; 3]);

impl Dispositions {
    /// Reads what is in force.
    pub(crate) fn current() -> Self {
        Self([Signal::SIGTERM, Signal::SIGINT, Signal::SIGPIPE].map(Disposition::of))
    }

    /// Puts back what the application replaced, and says so.
    pub(crate) fn restore(&self) {
        for disposition in &self.0 {
            if disposition.restore() {
                let signal = disposition.signal().as_str();
                warn!(
                    signal,
                    "the application replaced a signal handler that scoter needs: put back"
                );
            }
        }
    }
}
