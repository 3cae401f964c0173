//! What is logged about a request, and what nginx receives where the application could not
//! even be called.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use pyo3::prelude::*;
use tracing::{debug, error, warn};
use uwsgi_codec::VarsRef;
use wsgi_environ::{Cause, Completed, End, Failure, Fault, Method, Note, Stage, write_plain_reply};

use crate::interpreter::traceback;

/// Logs what went wrong in a request, each thing once.
pub(super) fn completed(py: Python<'_>, vars: VarsRef<'_>, completed: &Completed) {
    for failure in &completed.failures {
        application_failed(py, vars, failure);
    }
    for note in &completed.notes {
        contract_bent(vars, note);
    }
    match completed.end {
        End::Complete | End::CutShort => {}
        End::PeerGone => debug!("the peer went away before the response was complete"),
        End::PeerStalled => {
            let (method, uri) = (text(vars, "REQUEST_METHOD"), uri(vars));
            warn!(
                ?method,
                ?uri,
                "response cut: the peer took nothing for --write-timeout"
            );
        }
    }
}

/// Logs a request whose environ could not be built.
pub(super) fn environ_failed(py: Python<'_>, failure: &PyErr) {
    let traceback = traceback(py, failure);
    error!(%traceback, "a request was lost: its environ could not be built");
}

/// Logs an exception of a handler that the application set with `signal.signal`.
pub(super) fn signal_handler_failed(py: Python<'_>, failure: &PyErr) {
    let traceback = traceback(py, failure);
    error!(%traceback, "a signal handler of the application raised an exception");
}

/// The reply to a request that was lost by a fault of ours.
pub(super) fn internal_error() -> Vec<u8> {
    let mut reply = Vec::new();
    write_plain_reply(500, "Internal Server Error\n", Method::Other, &mut reply);
    reply
}

fn application_failed(py: Python<'_>, vars: VarsRef<'_>, failure: &Failure) {
    let method = text(vars, "REQUEST_METHOD");
    let uri = uri(vars);
    match &failure.cause {
        Cause::Violation(violation) => {
            error!(?method, ?uri, %violation, "the application broke PEP 3333");
        }
        Cause::Exception { stage, error } => {
            let place = match stage {
                Stage::Call => "call",
                Stage::Iterate => "iteration",
                Stage::Close => "close()",
            };
            let traceback = traceback(py, error);
            match failure.fault {
                Fault::Application => {
                    error!(?method, ?uri, place, %traceback, "the application raised an exception");
                }
                Fault::Peer => debug!(?method, ?uri, place, %traceback, "the peer went away"),
            }
        }
    }
}

fn contract_bent(vars: VarsRef<'_>, note: &Note) {
    match note {
        Note::HeaderDropped { name } => {
            if first_time(name) {
                warn!(
                    ?name,
                    "header left out: it concerns the connection, which is the server's \
                     (said once for each name)"
                );
            }
        }
        Note::BodyCut { declared, excess } => {
            let uri = uri(vars);
            warn!(?uri, declared, excess, "response cut to its Content-Length");
        }
        Note::BodyDropped { status } => {
            debug!(
                status,
                "body left out: a response with this status has none"
            );
        }
        note => debug!(?note, "response put right"),
    }
}

/// Whether a header has not been reported before.
fn first_time(name: &str) -> bool {
    static REPORTED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    reported.len() < MOST_REPORTED && reported.insert(name.to_ascii_lowercase())
}

fn uri(vars: VarsRef<'_>) -> String {
    match vars.get("REQUEST_URI") {
        Some(_) => text(vars, "REQUEST_URI"),
        None => text(vars, "PATH_INFO"),
    }
}

fn text(vars: VarsRef<'_>, key: &str) -> String {
    String::from_utf8_lossy(vars.get(key).unwrap_or_default()).into_owned()
}

/// Header names remembered as reported; there are about ten that are left out.
const MOST_REPORTED: usize = 64;
