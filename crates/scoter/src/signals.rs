//! TERM and INT: a graceful stop, a second one an immediate one. HUP and USR1 are ignored.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tracing::{info, warn};

use crate::log::say;
use crate::process::{Disposition, exit_now};
use crate::worker::{Ending, Shared};

/// The signals scoter acts on, from the moment it holds a socket.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    /// What other servers reload and reopen their logs on. Its default would kill this one.
    hangup: Stream,
    user1: Stream,
}

impl Signals {
    /// Installs the handlers. To be called within a runtime.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for a reason to stop, begins the stop, and enforces its deadline.
    ///
    /// It acts first and logs then, and never waits for the log for long: a standard error
    /// that nobody reads must not keep the server from its end.
    pub(crate) async fn watch(mut self, shared: Arc<Shared>, graceful_timeout: Duration) {
        let signal = self.next().await;
        shared.close_to_newcomers();
        if !shared.is_serving() {
            say(move || info!(signal, "stopped before the application was loaded")).await;
            leave(&shared);
        }
        let running = shared.running.load(Ordering::Relaxed);
        shared.stop.begin(Ending::Drain);
        let deadline = tokio::time::Instant::now() + graceful_timeout;
        say(move || info!(signal, running, "stopping: running requests are finished")).await;
        tokio::select! {
            signal = self.next() => {
                let cut = shared.running.load(Ordering::Relaxed);
                say(move || warn!(signal, cut, "stopping at once: a second signal came")).await;
            }
            () = tokio::time::sleep_until(deadline) => {
                let cut = shared.running.load(Ordering::Relaxed);
                say(move || warn!(cut, "stopping at once: --graceful-timeout is over")).await;
            }
        }
        leave(&shared);
    }

    async fn next(&mut self) -> &'static str {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return "TERM",
                _ = self.interrupt.recv() => return "INT",
                _ = self.hangup.recv() => "HUP",
                _ = self.user1.recv() => "USR1",
            };
            say(move || {
                warn!(
                    signal = ignored,
                    "signal ignored: nothing is reloaded or reopened without a restart"
                );
            })
            .await;
        }
    }
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

fn leave(shared: &Shared) -> ! {
    shared.close_to_newcomers();
    shared.access_log.close();
    exit_now(0)
}
