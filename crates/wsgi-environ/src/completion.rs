use crate::plain_response::write_plain_response;
use crate::reason::reason_phrase;
use crate::response::Response;
use crate::vectored_send::PeerError;
use crate::{
    Cause, Completed, End, Failure, Fault, HeadState, InputEnd, InputFailure, Method, Rest, Tail,
    Violation,
};

/// Makes the answer to the request out of what became of it.
pub(crate) fn complete(
    mut response: Response,
    outcome: Result<Rest, Cause>,
    closing: Option<Cause>,
    input: InputEnd,
    method: Method,
) -> Completed {
    let peer_error = response.peer_error();
    let (rest, cause) = match outcome {
        Ok(rest) => (rest, None),
        Err(cause) => (Rest::Nothing, Some(cause)),
    };
    let failed = cause.is_some();
    let refusal = match (&cause, &input.failed) {
        (Some(Cause::Exception { .. }), Some(failure)) => status_for(failure),
        _ => None,
    };
    let missed = response
        .missed_length()
        .filter(|_| !failed && peer_error.is_none());
    let sent = response.body_bytes();

    let fault = |peers: bool| {
        if peers {
            Fault::Peer
        } else {
            Fault::Application
        }
    };
    let failures = [
        cause.map(|cause| Failure {
            cause,
            fault: fault(peer_error.is_some() || refusal.is_some()),
        }),
        missed.map(|declared| Failure {
            cause: Cause::Violation(Violation::BodyTooShort { declared, sent }),
            fault: Fault::Application,
        }),
        closing.map(|cause| Failure {
            cause,
            fault: fault(peer_error.is_some()),
        }),
    ]
    .into_iter()
    .flatten()
    .collect();

    if failed && !response.is_sealed() {
        let out = response.abandon_head();
        return error_response(refusal.unwrap_or(500), method, out, failures, input);
    }
    let end = match peer_error {
        Some(PeerError::Gone) => End::PeerGone,
        Some(PeerError::Stalled) => End::PeerStalled,
        None if missed.is_some() => End::CutShort,
        None if failed && !response.is_complete() => End::CutShort,
        None => End::Complete,
    };
    let head = if response.is_sent() {
        HeadState::Sent
    } else {
        HeadState::InTail
    };
    let status = response.status();
    let (out, notes) = response.into_parts();
    Completed {
        status,
        head,
        tail: Tail { out, rest },
        body_bytes: sent,
        end,
        input,
        failures,
        notes,
    }
}

/// Gives up on a request whose response is gone: there was no memory for the
/// objects, or a panic of this crate went through the application.
pub(crate) fn without_response(
    outcome: Result<Rest, Cause>,
    closing: Option<Cause>,
    input: InputEnd,
) -> Completed {
    let causes = [outcome.err(), closing].into_iter().flatten();
    Completed {
        status: 500,
        head: HeadState::Sent,
        tail: Tail {
            out: Vec::new(),
            rest: Rest::Nothing,
        },
        body_bytes: 0,
        end: End::CutShort,
        input,
        failures: causes
            .map(|cause| Failure {
                cause,
                fault: Fault::Application,
            })
            .collect(),
        notes: Vec::new(),
    }
}

/// Answers in the place of an application that failed before its head left.
fn error_response(
    status: u16,
    method: Method,
    mut out: Vec<u8>,
    failures: Vec<Failure>,
    input: InputEnd,
) -> Completed {
    let text = format!("{}\n", reason_phrase(status));
    write_plain_response(status, &text, method, &mut out);
    Completed {
        status,
        head: HeadState::InTail,
        tail: Tail {
            out,
            rest: Rest::Nothing,
        },
        body_bytes: match method {
            Method::Head => 0,
            Method::Other => text.len() as u64,
        },
        end: End::Complete,
        input,
        failures,
        notes: Vec::new(),
    }
}

/// Returns the status for a request whose body the application could not read,
/// if that is the peer's doing.
fn status_for(failure: &InputFailure) -> Option<u16> {
    match failure {
        InputFailure::ShortBody { .. } | InputFailure::Lost { .. } => Some(400),
        InputFailure::TimedOut { .. } => Some(408),
        InputFailure::Spool { .. } => None,
    }
}
