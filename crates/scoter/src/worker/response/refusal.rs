//! Requests that never reach the application, and the responses to them.

use std::collections::TryReserveError;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tracing::{debug, error, warn};
use uwsgi_codec::{ContentLengthError, DecodeError};
use wsgi_environ::{Method, reason_phrase, write_plain_response};

use crate::ipc::scoreboard::RefusalReason;
use crate::request_head::RequestHead;
use crate::worker::connection::Connection;

/// Why a connection is not served.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// The bytes are no packet.
    #[error(transparent)]
    Packet(DecodeError),
    /// The packet holds more variables than are allowed.
    #[error("more than {limit} vars (--max-vars)")]
    TooManyVars {
        /// How many are.
        limit: usize,
    },
    /// The body is longer than is allowed.
    #[error("body of {length} bytes, --max-body is {limit}")]
    BodyTooLong {
        /// CONTENT_LENGTH.
        length: u64,
        /// The longest there may be.
        limit: u64,
    },
    /// The packet holds no request.
    #[error("empty var block")]
    EmptyBlock,
    /// The packet is for another language or service.
    #[error("modifier1 {modifier1}: only 0 (WSGI), 30 and 100 (ping) are served")]
    Modifier {
        /// As received.
        modifier1: u8,
    },
    /// The vars do not say how long the body is.
    #[error(transparent)]
    ContentLength(#[from] ContentLengthError),
    /// The packet did not arrive in time.
    #[error("only {received} bytes of a packet arrived within --header-timeout")]
    HeaderTimeout {
        /// Bytes so far.
        received: usize,
    },
    /// The body stalled.
    #[error("{received} of {length} body bytes arrived, then none for --body-timeout")]
    BodyTimeout {
        /// Bytes so far.
        received: u64,
        /// CONTENT_LENGTH.
        length: u64,
    },
    /// The request waited for too long.
    #[error(
        "the request waited {} ms for a thread, longer than --queue-timeout",
        waited.as_millis()
    )]
    QueueTimeout {
        /// How long.
        waited: Duration,
    },
    /// The worker ends, and none of its slots can serve the request.
    #[error("the worker ended before it could serve the request")]
    NobodyLeft,
    /// The server stops, and the peer has stalled.
    #[error("stopping, and the peer has stalled")]
    Stopping,
    /// The peer closed before its request was complete.
    #[error("the peer closed before its request was complete")]
    PeerGone,
    /// As many connections wait as `--max-pending` allows.
    #[error("--max-pending connections are already waiting")]
    Overloaded,
    /// The connection failed.
    #[error("connection failed: {0}")]
    Connection(io::Error),
    /// Somebody else closed the connection.
    #[error(
        "descriptor {0} was closed, and not by scoter: application code closes descriptors that \
         are not its own"
    )]
    Closed(RawFd),
    /// The body could not be kept in a temporary file.
    #[error("cannot spool the request body: {0}")]
    Spool(io::Error),
    /// There is no memory to receive more.
    #[error("out of memory for the request: {0}")]
    OutOfMemory(#[from] TryReserveError),
}

/// A refusal, and the request as far as it was decoded.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) head: Option<Arc<RequestHead>>,
}

/// What the peer of a refused request receives before the close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: the peer has closed, or has sent no request.
    Silence,
    /// A response with this status, and a text that says what was wrong.
    Status(u16),
}

impl Refusal {
    /// Whether what has arrived is not even the beginning of a request.
    pub(crate) fn is_no_request(&self) -> bool {
        matches!(
            self,
            Self::Packet(_) | Self::EmptyBlock | Self::Modifier { .. }
        )
    }

    /// What each refusal tells the peer, all in one place.
    pub(crate) fn answer(&self) -> Answer {
        const BAD_REQUEST: Answer = Answer::Status(400);
        match self {
            Self::Packet(_)
            | Self::TooManyVars { .. }
            | Self::EmptyBlock
            | Self::Modifier { .. }
            | Self::ContentLength(_) => BAD_REQUEST,
            Self::BodyTooLong { .. } => Answer::Status(413),
            Self::HeaderTimeout { received: 0 }
            | Self::PeerGone
            | Self::Connection(_)
            | Self::Closed(_) => Answer::Silence,
            Self::HeaderTimeout { .. } | Self::BodyTimeout { .. } => Answer::Status(408),
            Self::QueueTimeout { .. } | Self::NobodyLeft | Self::Stopping | Self::Overloaded => {
                Answer::Status(503)
            }
            Self::Spool(_) | Self::OutOfMemory(_) => Answer::Status(500),
        }
    }

    /// What it is counted as, if the peer is told anything.
    pub(crate) fn reason(&self) -> Option<RefusalReason> {
        Some(match self {
            Self::Packet(_) | Self::EmptyBlock | Self::Modifier { .. } => RefusalReason::BadPacket,
            Self::TooManyVars { .. } => RefusalReason::MaxVars,
            Self::BodyTooLong { .. } => RefusalReason::MaxBody,
            Self::ContentLength(_) => RefusalReason::ContentLength,
            Self::HeaderTimeout { received: 0 }
            | Self::PeerGone
            | Self::Connection(_)
            | Self::Closed(_) => return None,
            Self::HeaderTimeout { .. } => RefusalReason::HeaderTimeout,
            Self::BodyTimeout { .. } => RefusalReason::BodyTimeout,
            Self::QueueTimeout { .. } => RefusalReason::QueueTimeout,
            Self::Overloaded => RefusalReason::MaxPending,
            Self::NobodyLeft | Self::Stopping => RefusalReason::Stopping,
            Self::Spool(_) => RefusalReason::Spool,
            Self::OutOfMemory(_) => RefusalReason::OutOfMemory,
        })
    }

    /// Why nothing can be received over a connection.
    pub(crate) fn of(connection: &Connection, error: io::Error) -> Self {
        match connection.is_lost() {
            true => Self::Closed(connection.as_raw_fd()),
            false => Self::Connection(error),
        }
    }

    /// Whether it is only that the peer has gone.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::PeerGone | Self::Connection(_))
    }

    /// The text of a response with this status.
    pub(crate) fn text(&self, status: u16) -> String {
        let reason = reason_phrase(status);
        match self {
            // The details of a failure of ours are for the log alone.
            Self::Spool(_) | Self::OutOfMemory(_) => format!("{reason}\n"),
            _ => format!("{reason}: {self}\n"),
        }
    }

    /// The whole response to a request with this method, empty for [`Answer::Silence`].
    pub(crate) fn response(&self, method: Method) -> Vec<u8> {
        let mut response = Vec::new();
        if let Answer::Status(code) = self.answer() {
            write_plain_response(code, &self.text(code), method, &mut response);
            if code == 503 {
                let head = response.windows(2).position(|line_end| line_end == b"\r\n");
                let at = head.map_or(0, |end| end + 2);
                response.splice(at..at, RETRY_AFTER.bytes());
            }
        }
        response
    }
}

impl Refused {
    /// The method of the request, as far as it is known.
    pub(crate) fn method(&self) -> Method {
        self.head.as_ref().map_or(Method::Other, |head| head.kind())
    }

    /// Logs it once, as severe as it is for an operator.
    pub(crate) fn log(&self) {
        let reason = &self.refusal;
        let head = self.head.as_deref();
        let method = head.map(RequestHead::method_text);
        let uri = head.map(RequestHead::uri_text);
        let request_id = head.map(|head| head.request_id.as_str());
        match reason {
            Refusal::PeerGone | Refusal::Connection(_) | Refusal::HeaderTimeout { received: 0 } => {
                debug!(method, uri, request_id, %reason, "connection closed");
            }
            // Many at once, which the reactor reports together.
            Refusal::QueueTimeout { .. } | Refusal::NobodyLeft | Refusal::Overloaded => {
                debug!(method, uri, request_id, %reason, "request refused");
            }
            Refusal::Closed(_) => error!(method, uri, request_id, %reason, "request lost"),
            Refusal::Spool(_) | Refusal::OutOfMemory(_) => {
                error!(method, uri, request_id, %reason, "request refused");
            }
            _ => warn!(method, uri, request_id, %reason, "request refused"),
        }
    }
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self {
            refusal: refusal.into(),
            head: None,
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooManyVars { limit } => Self::TooManyVars { limit },
            error => Self::Packet(error),
        }
    }
}

/// Where there are several servers, another one may have room at once.
const RETRY_AFTER: &str = "Retry-After: 1\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_say_what_was_wrong() {
        let response = Refusal::from(DecodeError::PlainHttp).response(Method::Other);
        assert_eq!(
            String::from_utf8(response).unwrap(),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 74\r\n\r\n\
             Bad Request: plain HTTP request: this socket speaks uwsgi, use uwsgi_pass\n"
        );
        assert!(Refusal::PeerGone.response(Method::Other).is_empty());
    }

    #[test]
    fn response_to_head_has_no_body() {
        let refusal = Refusal::QueueTimeout {
            waited: Duration::from_millis(1),
        };
        for (method, has_body) in [(Method::Head, false), (Method::Other, true)] {
            let response = String::from_utf8(refusal.response(method)).unwrap();
            assert_eq!(!response.ends_with("\r\n\r\n"), has_body, "{response}");
            assert!(response.contains("\r\nRetry-After: 1\r\n"), "{response}");
        }
    }

    #[test]
    fn who_is_refused_for_want_of_room_may_come_again() {
        let response = Refusal::Overloaded.response(Method::Other);
        let response = String::from_utf8(response).unwrap();
        assert!(
            response.starts_with("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent"),
            "{response}"
        );
    }

    #[test]
    fn every_refusal_that_is_answered_is_counted_with_a_reason() {
        let error = || io::Error::other("broken");
        for (refusal, expected) in [
            (Refusal::from(DecodeError::PlainHttp), Some("bad-packet")),
            (Refusal::EmptyBlock, Some("bad-packet")),
            (Refusal::Modifier { modifier1: 5 }, Some("bad-packet")),
            (
                Refusal::from(DecodeError::TooManyVars { limit: 1 }),
                Some("max-vars"),
            ),
            (
                Refusal::BodyTooLong {
                    length: 2,
                    limit: 1,
                },
                Some("max-body"),
            ),
            (Refusal::HeaderTimeout { received: 0 }, None),
            (
                Refusal::HeaderTimeout { received: 1 },
                Some("header-timeout"),
            ),
            (
                Refusal::BodyTimeout {
                    received: 1,
                    length: 2,
                },
                Some("body-timeout"),
            ),
            (
                Refusal::QueueTimeout {
                    waited: Duration::ZERO,
                },
                Some("queue-timeout"),
            ),
            (Refusal::NobodyLeft, Some("stopping")),
            (Refusal::Stopping, Some("stopping")),
            (Refusal::PeerGone, None),
            (Refusal::Overloaded, Some("max-pending")),
            (Refusal::Connection(error()), None),
            (Refusal::Closed(7), None),
            (Refusal::Spool(error()), Some("spool")),
        ] {
            let reason = refusal.reason().map(RefusalReason::as_str);
            assert_eq!(reason, expected, "{refusal}");
            let is_answered = refusal.answer() != Answer::Silence;
            assert_eq!(reason.is_some(), is_answered, "{refusal}");
        }
    }

    #[test]
    fn failures_of_ours_keep_their_details() {
        let response =
            Refusal::Spool(io::Error::other("/secret/path is full")).response(Method::Other);
        assert!(!String::from_utf8(response).unwrap().contains("secret"));
    }
}
