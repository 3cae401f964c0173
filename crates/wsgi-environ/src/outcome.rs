use crate::reason::reason_phrase;
use crate::response::Response;
use crate::vectored_send::PeerError;
use crate::{
    ApplicationFailure, Completed, FailureCause, FailureOrigin, HeadState, InputEnd, InputFailure,
    Method, Persistence, RemainingBody, ResponseAuthor, ResponseEnd, ResponseTail, Violation,
};

/// Makes the response from the outcome of the request.
pub(crate) fn complete(
    response: Response,
    outcome: Result<RemainingBody, FailureCause>,
    closing: Option<FailureCause>,
    input: InputEnd,
    method: Method,
) -> Completed {
    let peer_error = response.peer_error();
    let (rest, cause) = match outcome {
        Ok(rest) => (rest, None),
        Err(cause) => (RemainingBody::Nothing, Some(cause)),
    };
    let failed = cause.is_some();
    let refusal = match (&cause, &input.failed) {
        (Some(FailureCause::Exception { .. }), Some(failure)) => status_for(failure),
        _ => None,
    };
    let missed = response
        .missed_length()
        .filter(|_| !failed && peer_error.is_none());
    let sent = response.body_bytes();

    let origin = |peers: bool| {
        if peers {
            FailureOrigin::Peer
        } else {
            FailureOrigin::Application
        }
    };
    let mut failures = Vec::new();
    failures.extend(cause.map(|cause| ApplicationFailure {
        cause,
        origin: origin(peer_error.is_some() || refusal.is_some()),
    }));
    failures.extend(missed.map(|declared| ApplicationFailure {
        cause: FailureCause::Violation(Violation::BodyTooShort { declared, sent }),
        origin: FailureOrigin::Application,
    }));
    failures.extend(closing.map(|cause| ApplicationFailure {
        cause,
        origin: origin(peer_error.is_some()),
    }));

    if failed && !response.is_sealed() {
        return error_response(refusal.unwrap_or(500), method, response, failures, input);
    }
    let end = match peer_error {
        _ if response.is_taken_back() => ResponseEnd::TakenBack,
        Some(PeerError::Gone) => ResponseEnd::PeerGone,
        Some(PeerError::Stalled) => ResponseEnd::PeerStalled,
        None if missed.is_some() => ResponseEnd::CutShort,
        None if failed && !response.is_complete() => ResponseEnd::CutShort,
        None => ResponseEnd::Complete,
    };
    let head = if response.is_sent() {
        HeadState::Sent
    } else {
        HeadState::InTail
    };
    let persistence = match response.persistence() {
        Persistence::KeepAlive if input.unread == 0 => match end {
            ResponseEnd::Complete | ResponseEnd::TakenBack => Persistence::KeepAlive,
            _ => Persistence::Close,
        },
        _ => Persistence::Close,
    };
    let status = response.status();
    let (out, corrections) = response.into_parts();
    Completed {
        status,
        author: ResponseAuthor::Application,
        head,
        tail: ResponseTail { out, body: rest },
        body_bytes: sent,
        end,
        persistence,
        input,
        failures,
        corrections,
    }
}

/// Gives up on a request whose response is gone: there was no memory for the
/// objects, or a panic of this crate went through the application.
pub(crate) fn without_response(
    outcome: Result<RemainingBody, FailureCause>,
    closing: Option<FailureCause>,
    input: InputEnd,
) -> Completed {
    let causes = [outcome.err(), closing].into_iter().flatten();
    Completed {
        status: 500,
        author: ResponseAuthor::Application,
        head: HeadState::Sent,
        tail: ResponseTail {
            out: Vec::new(),
            body: RemainingBody::Nothing,
        },
        body_bytes: 0,
        end: ResponseEnd::CutShort,
        persistence: Persistence::Close,
        input,
        failures: causes
            .map(|cause| ApplicationFailure {
                cause,
                origin: FailureOrigin::Application,
            })
            .collect(),
        corrections: Vec::new(),
    }
}

/// Responds for an application that failed before its head was sent.
fn error_response(
    status: u16,
    method: Method,
    response: Response,
    failures: Vec<ApplicationFailure>,
    input: InputEnd,
) -> Completed {
    let text = format!("{}\n", reason_phrase(status));
    let (out, head) = response.replace(status, &text);
    Completed {
        status,
        author: ResponseAuthor::Server,
        head,
        tail: ResponseTail {
            out,
            body: RemainingBody::Nothing,
        },
        body_bytes: match method {
            Method::Head => 0,
            Method::Other => text.len() as u64,
        },
        end: ResponseEnd::Complete,
        persistence: Persistence::Close,
        input,
        failures,
        corrections: Vec::new(),
    }
}

/// Returns the status for a request whose body the application could not read,
/// if the peer caused that.
fn status_for(failure: &InputFailure) -> Option<u16> {
    match failure {
        InputFailure::ShortBody { .. } | InputFailure::Lost { .. } => Some(400),
        InputFailure::TimedOut { .. } => Some(408),
        InputFailure::Spool { .. } => None,
    }
}
