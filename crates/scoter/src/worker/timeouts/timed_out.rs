//! A request that has run for longer than `--request-timeout`: its client is answered, its
//! worker's stacks are logged, and only this request is ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use tracing::error;

use crate::python::stacks::AllThreads;
use crate::python::traceback::traceback;
use crate::worker::Shared;
use crate::worker::connection::owner::Revoked;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::revoked_request::RevokedRequest;
use crate::worker::timeouts::in_flight::InFlightSlot;

/// Ends a request whose response has been revoked.
pub(crate) fn end_request(shared: &Arc<Shared>, revoked: RevokedRequest) {
    shared
        .board
        .totals()
        .timeouts
        .fetch_add(1, Ordering::Relaxed);
    answer(shared, &revoked, 504);
    let examining = Arc::clone(shared);
    shared.examiners.submit(move || {
        if let Some(slot) = examining.monitor.slot(revoked.slot) {
            examine(&examining, slot, &revoked);
        }
    });
}

/// Raises an exception that was postponed.
pub(crate) fn raise_again(shared: &Arc<Shared>, revoked: RevokedRequest) {
    let examining = Arc::clone(shared);
    shared.examiners.submit(move || {
        if let Some(slot) = examining.monitor.slot(revoked.slot) {
            Python::attach(|py| raise(&examining, slot, py, &revoked));
        }
    });
}

/// Tells the client: with `status` if that is still possible, by a cut connection otherwise.
pub(crate) fn answer(shared: &Shared, revoked: &RevokedRequest, status: u16) {
    match revoked.part {
        Revoked::Whole => {
            PendingResponse::replacement(revoked, status).start_in_task(shared);
        }
        Revoked::Rest => revoked.connection.cut(),
        Revoked::Nothing => {}
    }
}

/// Logs where everything stands, and raises the exception.
fn examine(shared: &Shared, slot: &InFlightSlot, revoked: &RevokedRequest) {
    let stacks = Python::attach(|py| {
        let thread = slot.is_serving(revoked).then(|| slot.thread());
        let stacks = AllThreads::read(py, thread, &shared.monitor.idle_threads());
        // In the same breath: the log shows where the exception hits.
        raise(shared, slot, py, revoked);
        stacks
            .map(|mut stacks| {
                stacks.add_sources(py);
                stacks.text("request")
            })
            .unwrap_or_else(|error| traceback(py, &error))
    });
    let head = &revoked.head;
    error!(
        method = head.method_text(),
        uri = head.uri_text(),
        request_id = head.request_id.as_str(),
        age_ms = revoked.age_ms(),
        answered = match revoked.part {
            Revoked::Whole => "504",
            Revoked::Rest => "cut",
            Revoked::Nothing => "completely",
        },
        slot = revoked.slot,
        %stacks,
        "request timed out"
    );
}

fn raise(shared: &Shared, slot: &InFlightSlot, py: Python<'_>, revoked: &RevokedRequest) {
    let last_resort = shared.monitor.last_resort();
    slot.raise_timeout(py, revoked, || last_resort?.stacks().ok());
}
