//! What is logged about a request, and the response if the application could not be called.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tracing::{Level, debug, enabled, error, warn};
use wsgi_environ::{
    ApplicationFailure, ApplicationStage, Completed, Correction, FailureCause, FailureOrigin,
    InputFailure, Method, ResponseEnd, Violation, write_plain_response,
};

use crate::log::{self, Entry};
use crate::python::traceback::traceback;
use crate::request_head::RequestHead;
use crate::sys::durations::millis;
use crate::sys::fatal;
use crate::worker::connection::owner::Revoked;
use crate::worker::one_thread;

/// Whether a request ended in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    InTime,
    /// It had to be ended, which has been logged: what went wrong then follows from that.
    TimedOut,
}

/// Logs lines of `wsgi.errors`.
pub(crate) fn application_lines(lines: &[u8]) {
    let text = String::from_utf8_lossy(lines);
    log::application_lines(&text);
    one_thread::hint_at(&text);
}

impl From<Option<Revoked>> for Timing {
    fn from(revoked: Option<Revoked>) -> Self {
        match revoked {
            None => Self::InTime,
            Some(_) => Self::TimedOut,
        }
    }
}

/// What went wrong in a request, in words: nothing of Python is left in it.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: What,
    origin: FailureOrigin,
}

#[derive(Debug)]
enum What {
    Violation(Violation),
    Exception {
        stage: ApplicationStage,
        traceback: String,
    },
}

/// Puts into words what went wrong, as far as it will be logged, and lets go of the
/// exceptions.
///
/// Both may run code of the application, for as long as that likes: the text of an exception
/// may be made by a query, frames of a traceback end, objects are finalised. So it is done
/// while the request is still running.
pub(crate) fn put_into_words(
    py: Python<'_>,
    failures: &mut Vec<ApplicationFailure>,
    timing: Timing,
) -> Vec<Trouble> {
    failures
        .drain(..)
        .filter_map(|ApplicationFailure { cause, origin }| {
            let is_logged = match timing {
                Timing::InTime if origin == FailureOrigin::Application => enabled!(Level::ERROR),
                Timing::InTime | Timing::TimedOut => enabled!(Level::DEBUG),
            };
            let what = match cause {
                FailureCause::Violation(violation) => What::Violation(violation),
                FailureCause::Exception { stage, error } => What::Exception {
                    stage,
                    traceback: is_logged.then(|| traceback(py, &error))?,
                },
            };
            is_logged.then_some(Trouble { what, origin })
        })
        .collect()
}

/// Whether the application raised an exception, other than because its client had left.
pub(crate) fn has_exception(failures: &[ApplicationFailure]) -> bool {
    failures.iter().any(|failure| {
        let is_exception = matches!(failure.cause, FailureCause::Exception { .. });
        is_exception && failure.origin == FailureOrigin::Application
    })
}

/// Logs how a request ended and what went wrong in it, each thing once.
///
/// Other threads of Python go on meanwhile: standard error may be slow.
pub(crate) fn completed(
    py: Python<'_>,
    head: &RequestHead,
    troubles: &[Trouble],
    completed: &Completed,
    timing: Timing,
) {
    for trouble in troubles {
        py.detach(|| match timing {
            Timing::InTime => application_failed(head, trouble),
            Timing::TimedOut => application_ended(head, trouble),
        });
    }
    for correction in &completed.corrections {
        py.detach(|| contract_bent(head, correction));
    }
    if timing == Timing::InTime {
        if let Some(InputFailure::TimedOut {
            received: 0,
            expected,
        }) = completed.input.failed
        {
            py.detach(|| body_never_began(head, expected));
        }
    }
    match completed.end {
        _ if timing == Timing::TimedOut => {}
        ResponseEnd::Complete | ResponseEnd::TakenBack | ResponseEnd::CutShort => {}
        ResponseEnd::PeerGone => py.detach(|| {
            debug!(
                request_id = head.request_id.as_str(),
                "the peer disconnected before the response was complete"
            );
        }),
        ResponseEnd::PeerStalled => py.detach(|| {
            warn!(
                method = head.method_text(),
                uri = head.uri_text(),
                request_id = head.request_id.as_str(),
                "response cut: the peer accepted nothing for --write-timeout"
            );
        }),
    }
}

/// Logs an application that waited for a body in vain: of all reasons a subrequest is the most
/// likely.
fn body_never_began(head: &RequestHead, content_length: u64) {
    warn!(
        method = head.method_text(),
        uri = head.uri_text(),
        request_id = head.request_id.as_str(),
        content_length,
        "no byte of the announced request body arrived: a location for nginx's auth_request or \
         mirror needs uwsgi_param CONTENT_LENGTH \"\" after its include"
    );
}

/// Logs a request whose connection application code has closed, its own or another one's.
pub(crate) fn connection_lost(head: Option<&RequestHead>) {
    error!(
        method = head.map(RequestHead::method_text),
        uri = head.map(RequestHead::uri_text),
        request_id = head.map(|head| head.request_id.as_str()),
        "response lost: application code closed its connection (it closes descriptors that are \
         not its own)"
    );
    fatal::check_descriptors();
}

/// Logs a response that took `--slow-request` or longer.
pub(crate) fn slow(entry: &Entry, elapsed: Duration) {
    let head = &entry.head;
    warn!(
        method = head.method_text(),
        uri = head.uri_text(),
        request_id = head.request_id.as_str(),
        status = entry.status,
        duration_ms = millis(elapsed),
        queue_ms = entry.queued.map(millis),
        "slow request"
    );
}

/// Logs a request whose environ could not be built.
pub(crate) fn environ_failed(py: Python<'_>, traceback: &str) {
    py.detach(|| error!(%traceback, "a request was lost: its environ could not be built"));
}

/// Logs an exception of a handler that the application set with `signal.signal`.
pub(crate) fn signal_handler_failed(py: Python<'_>, failure: &PyErr) {
    let traceback = traceback(py, failure);
    py.detach(|| error!(%traceback, "a signal handler of the application raised an exception"));
}

/// The response to a request that was lost by a fault of ours.
pub(crate) fn internal_error(method: Method) -> Vec<u8> {
    let mut response = Vec::new();
    write_plain_response(500, "Internal Server Error\n", method, &mut response);
    response
}

fn application_failed(head: &RequestHead, trouble: &Trouble) {
    let (method, uri) = (head.method_text(), head.uri_text());
    let request_id = head.request_id.as_str();
    match &trouble.what {
        What::Violation(violation) => {
            error!(method, uri, request_id, %violation, "the application broke PEP 3333");
        }
        What::Exception { stage, traceback } => {
            let place = match stage {
                ApplicationStage::Call => "call",
                ApplicationStage::Iterate => "iteration",
                ApplicationStage::Close => "close()",
            };
            match trouble.origin {
                FailureOrigin::Application => {
                    error!(
                        method,
                        uri,
                        request_id,
                        place,
                        %traceback,
                        "the application raised an exception"
                    );
                    one_thread::hint_at(traceback);
                }
                FailureOrigin::Peer => {
                    debug!(method, uri, request_id, place, %traceback, "the peer went away");
                }
            }
        }
    }
}

fn application_ended(head: &RequestHead, trouble: &Trouble) {
    let reason: &dyn Display = match &trouble.what {
        What::Violation(violation) => violation,
        What::Exception { traceback, .. } => traceback,
    };
    let request_id = head.request_id.as_str();
    debug!(request_id, %reason, "the timed-out request has ended");
}

fn contract_bent(head: &RequestHead, correction: &Correction) {
    match correction {
        Correction::HeaderDropped { name } => {
            if first_time(name) {
                warn!(
                    name = name.as_str(),
                    "header removed: only the server sets headers of the connection (logged once \
                     for each name)"
                );
            }
        }
        Correction::BodyCut { declared, excess } => {
            warn!(
                uri = head.uri_text(),
                request_id = head.request_id.as_str(),
                declared,
                excess,
                "response cut to its Content-Length"
            );
        }
        Correction::BodyDropped { status } => {
            debug!(status, "body removed: a response with this status has none");
        }
        correction => debug!(?correction, "response corrected"),
    }
}

/// Whether a header has not been reported before.
fn first_time(name: &str) -> bool {
    static REPORTED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    reported.len() < MAX_REPORTED && reported.insert(name.to_ascii_lowercase())
}

/// Header names remembered as reported; there are about ten that are left out.
const MAX_REPORTED: usize = 64;
