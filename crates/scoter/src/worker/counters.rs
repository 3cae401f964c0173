//! What a worker counts of its connections, for the status and the log.

use std::sync::atomic::Ordering;

use super::Shared;
use super::connection::Connection;
use super::master_link::MasterLink;
use super::response::refusal::Refusal;
use crate::ipc::messages::FromWorker;
use crate::request_head::{MissingVars, RequestHead, warn_of_missing_clock};

impl Shared {
    /// Counts a peer that went away. That is no error.
    pub(super) fn peer_gone(&self) {
        let totals = self.board.totals();
        totals.peers_gone.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request in which the application raised an exception.
    pub(super) fn count_exception(&self) {
        let totals = self.board.totals();
        totals.exceptions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was not served.
    pub(super) fn count(&self, refusal: &Refusal, connection: &Connection) {
        if connection.served() > 0 && refusal.is_no_request() {
            self.kept.count_out_of_step();
        }
        if refusal.is_absence() {
            self.peer_gone();
        } else if let Some(reason) = refusal.reason() {
            if let Refusal::Overloaded = refusal {
                self.overload.refused();
            }
            let totals = self.board.totals();
            totals.refused.fetch_add(1, Ordering::Relaxed);
            totals.refused_for[reason as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The variables that a request came without, if it is the first one.
    pub(super) fn first_missing_vars(&self, head: &RequestHead) -> Option<MissingVars> {
        MissingVars::of(head).filter(|_| !self.missing_vars_known.swap(true, Ordering::Relaxed))
    }

    /// Has them reported: by the master, which hears of it from all workers.
    pub(super) fn report(&self, missing: MissingVars) {
        match &self.master {
            MasterLink::Channel(_) => self.master.send(&FromWorker::MissingVars { missing }),
            MasterLink::None => missing.warn(),
        }
    }

    /// Has it reported that no front end says when it passes requests on.
    pub(super) fn report_missing_clock(&self) {
        match &self.master {
            MasterLink::Channel(_) => self.master.send(&FromWorker::MissingClock),
            MasterLink::None => warn_of_missing_clock(),
        }
    }
}
