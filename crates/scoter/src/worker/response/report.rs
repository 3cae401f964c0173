//! What is logged about a request, and what nginx receives where the application could not
//! even be called.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tracing::{Level, debug, enabled, error, warn};
use wsgi_environ::{
    Cause, Completed, End, Failure, Fault, InputFailure, Method, Note, Stage, Violation,
    write_plain_response,
};

use crate::fatal;
use crate::interpreter::traceback;
use crate::log::{self, Entry, RequestId};
use crate::request_head::{Param, RequestHead};
use crate::worker::connection::owner::Revoked;
use crate::worker::one_thread;

/// The request that a line is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) request_id: &'a RequestId,
}

impl<'a> From<&'a Entry> for Subject<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            head: &entry.head,
            request_id: &entry.request_id,
        }
    }
}

impl<'a> Subject<'a> {
    pub(crate) fn method(self) -> String {
        text(self.head.param(Param::Method))
    }

    pub(crate) fn uri(self) -> String {
        text(self.head.uri())
    }

    pub(crate) fn request_id(self) -> &'a str {
        self.request_id.as_str()
    }
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

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
    fault: Fault,
}

#[derive(Debug)]
enum What {
    Violation(Violation),
    Exception { stage: Stage, traceback: String },
}

/// Puts into words what went wrong, as far as it will be logged, and lets go of the
/// exceptions.
///
/// Both may run code of the application, for as long as that likes: the text of an exception
/// may be made by a query, frames of a traceback end, objects are finalised. So it is done
/// while the request is still running.
pub(crate) fn put_into_words(
    py: Python<'_>,
    failures: &mut Vec<Failure>,
    timing: Timing,
) -> Vec<Trouble> {
    failures
        .drain(..)
        .filter_map(|Failure { cause, fault }| {
            let is_logged = match timing {
                Timing::InTime if fault == Fault::Application => enabled!(Level::ERROR),
                Timing::InTime | Timing::TimedOut => enabled!(Level::DEBUG),
            };
            let what = match cause {
                Cause::Violation(violation) => What::Violation(violation),
                Cause::Exception { stage, error } => What::Exception {
                    stage,
                    traceback: is_logged.then(|| traceback(py, &error))?,
                },
            };
            is_logged.then_some(Trouble { what, fault })
        })
        .collect()
}

/// Logs how a request ended and what went wrong in it, each thing once.
///
/// Other threads of Python go on meanwhile: standard error may be slow.
pub(crate) fn completed(
    py: Python<'_>,
    request: Subject<'_>,
    troubles: &[Trouble],
    completed: &Completed,
    timing: Timing,
) {
    for trouble in troubles {
        py.detach(|| match timing {
            Timing::InTime => application_failed(request, trouble),
            Timing::TimedOut => application_ended(request, trouble),
        });
    }
    for note in &completed.notes {
        py.detach(|| contract_bent(request, note));
    }
    if timing == Timing::InTime {
        if let Some(InputFailure::TimedOut {
            received: 0,
            expected,
        }) = completed.input.failed
        {
            py.detach(|| body_never_began(request, expected));
        }
    }
    match completed.end {
        _ if timing == Timing::TimedOut => {}
        End::Complete | End::CutShort => {}
        End::PeerGone => py.detach(|| {
            debug!(
                request_id = request.request_id(),
                "the peer went away before the response was complete"
            );
        }),
        End::PeerStalled => py.detach(|| {
            warn!(
                method = request.method(),
                uri = request.uri(),
                request_id = request.request_id(),
                "response cut: the peer took nothing for --write-timeout"
            );
        }),
    }
}

/// Logs an application that waited for a body in vain: of all reasons a subrequest is the most
/// likely.
fn body_never_began(request: Subject<'_>, content_length: u64) {
    warn!(
        method = request.method(),
        uri = request.uri(),
        request_id = request.request_id(),
        content_length,
        "no byte of the announced request body arrived: a location for nginx's auth_request or \
         mirror needs uwsgi_param CONTENT_LENGTH \"\" behind its include"
    );
}

/// Logs a request whose connection application code has closed, its own or another one's.
pub(crate) fn connection_lost(request: Option<Subject<'_>>) {
    error!(
        method = request.map(Subject::method),
        uri = request.map(Subject::uri),
        request_id = request.map(Subject::request_id),
        "response lost: its connection was closed by application code, which closes descriptors \
         that are not its own"
    );
    fatal::check_descriptors();
}

/// Logs a response that took `--slow-request` or longer.
pub(crate) fn slow(entry: &Entry, elapsed: Duration) {
    let request = Subject::from(entry);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    warn!(
        method = request.method(),
        uri = request.uri(),
        request_id = request.request_id(),
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

fn application_failed(request: Subject<'_>, trouble: &Trouble) {
    let (method, uri) = (request.method(), request.uri());
    let request_id = request.request_id();
    match &trouble.what {
        What::Violation(violation) => {
            error!(method, uri, request_id, %violation, "the application broke PEP 3333");
        }
        What::Exception { stage, traceback } => {
            let place = match stage {
                Stage::Call => "call",
                Stage::Iterate => "iteration",
                Stage::Close => "close()",
            };
            match trouble.fault {
                Fault::Application => {
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
                Fault::Peer => {
                    debug!(method, uri, request_id, place, %traceback, "the peer went away");
                }
            }
        }
    }
}

fn application_ended(request: Subject<'_>, trouble: &Trouble) {
    let reason: &dyn Display = match &trouble.what {
        What::Violation(violation) => violation,
        What::Exception { traceback, .. } => traceback,
    };
    let request_id = request.request_id();
    debug!(request_id, %reason, "the request that was timed out has ended");
}

fn contract_bent(request: Subject<'_>, note: &Note) {
    match note {
        Note::HeaderDropped { name } => {
            if first_time(name) {
                warn!(
                    name = name.as_str(),
                    "header left out: it concerns the connection, which is the server's \
                     (said once for each name)"
                );
            }
        }
        Note::BodyCut { declared, excess } => {
            warn!(
                uri = request.uri(),
                request_id = request.request_id(),
                declared,
                excess,
                "response cut to its Content-Length"
            );
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
    reported.len() < MAX_REPORTED && reported.insert(name.to_ascii_lowercase())
}

/// Header names remembered as reported; there are about ten that are left out.
const MAX_REPORTED: usize = 64;
