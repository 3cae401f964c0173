//! Connections on which the front end and this server disagree about where a request ends.

use std::sync::atomic::Ordering::Relaxed;

use tracing::warn;

use crate::worker::kept::KeptConnections;

/// Connections that were out of step, reported together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfStep {
    connections: u64,
}

impl OutOfStep {
    pub(crate) fn log(self) {
        let Self { connections } = self;
        warn!(
            connections,
            "connections not kept: the front end sent something else behind a request than it \
             announced (check CONTENT_LENGTH and uwsgi_pass_request_body in nginx)"
        );
    }
}

impl KeptConnections {
    /// Counts a connection that is out of step.
    pub(crate) fn count_out_of_step(&self) {
        let totals = self.board.totals();
        totals.out_of_step.fetch_add(1, Relaxed);
        self.out_of_step.fetch_add(1, Relaxed);
    }

    /// Returns how many there have been since the last call, if any.
    pub(crate) fn take_out_of_step(&self) -> Option<OutOfStep> {
        if self.out_of_step.load(Relaxed) == 0 {
            return None;
        }
        let connections = self.out_of_step.swap(0, Relaxed);
        Some(OutOfStep { connections })
    }

    /// Counts a request on a connection that has served one before.
    pub(crate) fn count_reused(&self) {
        self.board.totals().reused.fetch_add(1, Relaxed);
    }
}
