//! A request that cannot be ended: the worker takes no more, its other slots finish, and the
//! process ends without waiting for it.
//!
//! Nothing else helps against C code that holds the GIL, a system call that does not return,
//! or code that swallows the exception.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::ipc::messages::FromWorker;
use crate::log::{say, say_soon};
use crate::python::exit_handlers::run_exit_handlers;
use crate::python::hooks::{Event, run_hooks};
use crate::sys::fatal::never_ending;
use crate::sys::process::{STUCK, exit_now};
use crate::sys::running_time::RunningTime;
use crate::worker::Ending;
use crate::worker::MasterLink;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::request::ready_queue::Popped;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::refusal::{Refusal, Refused};
use crate::worker::response::revoked_request::RevokedRequest;
use crate::worker::timeouts::in_flight::InFlightSlot;
use crate::worker::timeouts::timed_out::answer;

/// Ends the worker because of a request that cannot be ended.
pub(crate) fn end_worker(shared: &Arc<Shared>, revoked: RevokedRequest) {
    let (method, uri) = (revoked.head.method_text(), revoked.head.uri_text());
    let seconds = revoked.age.as_secs();
    let reason = format!("request-timeout: {method:.16} {uri:.200} has run for {seconds} s");
    shared.master.send(&FromWorker::Stuck { reason });
    // It does so itself, should it come back.
    shared.reactor.slot_drained(revoked.slot);
    if shared.monitor.mark_stuck() {
        let code = exit_code(shared);
        match shared.master {
            MasterLink::Channel(_) => {
                shared.stop.begin(Ending::Retire);
                shared.report_not_accepting();
            }
            MasterLink::None => {
                shared.close_to_newcomers();
                shared.stop.begin(Ending::Drain);
            }
        }
        never_ending("end", leave(Arc::clone(shared), code));
    }
    let reporting = Arc::clone(shared);
    // Not where others wait for the interpreter, which may be what this is about.
    say_soon(move || report_stuck(&reporting, &revoked));
}

fn report_stuck(shared: &Shared, revoked: &RevokedRequest) {
    let stacks = match (revoked.examined, shared.monitor.last_resort()) {
        (true, _) => "logged when it timed out".to_owned(),
        (false, Some(last_resort)) => match last_resort.stacks() {
            Ok(stacks) => stacks,
            Err(error) => format!("unavailable: {error}"),
        },
        (false, None) => "unavailable while C code holds the GIL".to_owned(),
    };
    let head = &revoked.head;
    error!(
        method = head.method_text(),
        uri = head.uri_text(),
        request_id = head.request_id.as_str(),
        age_ms = revoked.age_ms(),
        slot = revoked.slot,
        %stacks,
        "cannot end the request: ending its worker instead"
    );
}

/// What the process says to whoever started it. That a stop was asked for before is no
/// failure of the server.
fn exit_code(shared: &Shared) -> u8 {
    match shared.master {
        MasterLink::Channel(_) => STUCK,
        MasterLink::None if shared.stop.ending().is_some() => 0,
        MasterLink::None => 1,
    }
}

/// Ends the process once the other slots have finished, or their time is over.
async fn leave(shared: Arc<Shared>, code: u8) {
    let mut running_time = RunningTime::new(CHECK_INTERVAL, Instant::now());
    let mut spent = Duration::ZERO;
    let left = |spent: Duration| time_of_others(&shared).saturating_sub(spent);
    while !is_finished(&shared) && !left(spent).is_zero() {
        tokio::time::sleep(CHECK_INTERVAL).await;
        spent += running_time.step(Instant::now());
    }
    let checked = Instant::now();
    shared.stop.forbid_requests();
    let refused = refuse_waiting(&shared);
    let cut = cut_running(&shared);
    say(move || {
        cut.iter().for_each(report_cut);
        if refused > 0 {
            warn!(
                refused,
                "requests refused: no slot of the worker could serve them"
            );
        }
    })
    .await;
    let all_responses_sent = shared.reactor.all_responses_sent();
    let _ = tokio::time::timeout(left(spent).max(MIN_TIME), all_responses_sent).await;
    let left = left(spent + checked.elapsed());
    try_exit_handlers(&shared, left.max(MIN_TIME)).await;
    if let MasterLink::None = shared.master {
        say(|| info!("stopped")).await;
    }
    shared.access_log.close();
    exit_now(code)
}

/// How long the other slots have. While the GIL is kept none of them gets on.
fn time_of_others(shared: &Shared) -> Duration {
    match shared
        .monitor
        .slots()
        .iter()
        .any(InFlightSlot::keeps_the_gil)
    {
        true => MIN_TIME,
        false => shared.graceful_timeout,
    }
}

/// Whether every slot has ended that can, and nothing is left to serve.
fn is_finished(shared: &Shared) -> bool {
    let over = |slot: &InFlightSlot| slot.has_ended() || slot.is_stuck();
    shared.ready.is_closed() && shared.monitor.slots().iter().all(over)
}

/// Answers the requests that no slot took: those that are complete, and, where no other
/// worker takes them, those in the kernel's queues.
fn refuse_waiting(shared: &Shared) -> usize {
    let mut count = 0;
    let mut refuse = |connection: Arc<Connection>, head| {
        let refusal = Refusal::NobodyLeft;
        shared.count(&refusal, &connection);
        let refused = Refused { refusal, head };
        PendingResponse::refusal(connection, &refused).start_in_task(shared);
        count += 1;
    };
    while let Popped::Request(request) = shared.ready.pop() {
        refuse(request.connection, Some(request.head));
    }
    if let MasterLink::None = shared.master {
        for listener in &shared.listeners {
            for fd in std::iter::from_fn(|| listener.accept()).take(MAX_REFUSED) {
                let connection = Connection::new(fd, listener.family(), shared.connection_timeouts);
                refuse(Arc::new(connection), None);
            }
        }
    }
    count
}

/// Answers the requests that slots have in hand, and that had their time left.
fn cut_running(shared: &Shared) -> Vec<RevokedRequest> {
    let slots = shared.monitor.slots().iter().zip(shared.board.cells());
    let cut: Vec<_> = slots.filter_map(|(slot, cell)| slot.revoke(cell)).collect();
    for revoked in &cut {
        answer(shared, revoked, 503);
    }
    cut
}

fn report_cut(revoked: &RevokedRequest) {
    let head = &revoked.head;
    warn!(
        method = head.method_text(),
        uri = head.uri_text(),
        request_id = head.request_id.as_str(),
        age_ms = revoked.age_ms(),
        "request cut"
    );
}

/// Runs the hooks and handlers of an exit if Python is at hand. They have `timeout` to finish.
async fn try_exit_handlers(shared: &Shared, timeout: Duration) {
    let (attached, is_attached) = oneshot::channel();
    let handled = shared.examiners.run(move || {
        Python::attach(|py| {
            let _ = attached.send(());
            if let Err(failure) = run_hooks(py, Event::WorkerExit) {
                error!("{failure}");
            }
            run_exit_handlers(py, timeout);
        });
    });
    if let Ok(Ok(())) = tokio::time::timeout(MIN_TIME, is_attached).await {
        let _ = tokio::time::timeout(timeout, handled).await;
    }
}

/// Between looks at how far the others are.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Connections of a queue that are answered: as many as it holds by default.
const MAX_REFUSED: usize = 1_024;

/// The time that responses and exit handlers have in any case.
const MIN_TIME: Duration = Duration::from_secs(1);
