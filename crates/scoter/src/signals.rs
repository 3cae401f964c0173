//! TERM and INT: a graceful stop, a second one an immediate one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::process::{Disposition, exit_now};
use crate::worker::Shared;

/// The signals scoter acts on, from the moment it holds a socket.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Installs the handlers. To be called within a runtime.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for a reason to stop, begins the stop, and enforces its deadline.
    pub(crate) async fn watch(mut self, shared: Arc<Shared>, graceful_timeout: Duration) {
        let signal = self.next().await;
        if !shared.is_serving() {
            info!(signal, "stopped before the application was loaded");
            leave(&shared);
        }
        let running = shared.running.load(Ordering::Relaxed);
        info!(signal, running, "stopping: running requests are finished");
        shared.close_to_newcomers();
        shared.stop.begin();
        tokio::select! {
            signal = self.next() => {
                let cut = shared.running.load(Ordering::Relaxed);
                warn!(signal, cut, "stopping at once: a second signal came");
            }
            () = tokio::time::sleep(graceful_timeout) => {
                let cut = shared.running.load(Ordering::Relaxed);
                warn!(cut, "stopping at once: --graceful-timeout is over");
            }
        }
        leave(&shared);
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "TERM",
            _ = self.interrupt.recv() => "INT",
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
