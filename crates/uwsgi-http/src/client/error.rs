use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;
use uwsgi_codec::EncodeError;
use uwsgi_codec::http::{MapError, ReplyError};

use crate::{Address, BoxError};

/// Why there is no reply, or not all of it.
///
/// The message does not include that of an inner error, which is its
/// [source](std::error::Error::source): print both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The request cannot be mapped to variables.
    #[error("the request cannot be sent over uwsgi")]
    Request(#[source] MapError),
    /// The variables do not fit in a packet.
    #[error("the variables do not fit in a packet")]
    Encode(#[source] EncodeError),
    /// Nobody could be reached at the address.
    #[error("no connection to {address}")]
    Connect {
        /// Where.
        address: Address,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The server did not do its part in time.
    #[error("{wait} took longer than {}", Seconds(*limit))]
    Timeout {
        /// What was waited for.
        wait: Wait,
        /// The limit, from [`Timeouts`](super::Timeouts).
        limit: Duration,
    },
    /// The server closed the connection without a byte of a reply.
    #[error("the server closed the connection without a reply")]
    NoReply {
        /// Why, if the connection did not just end.
        #[source]
        error: Option<io::Error>,
    },
    /// The connection ended in the head of the reply.
    #[error("the server closed the connection after {received} bytes of a head")]
    HeadCutShort {
        /// Bytes of the head that have come.
        received: usize,
        /// Why, if the connection did not just end.
        #[source]
        error: Option<io::Error>,
    },
    /// What came is not the head of a reply.
    #[error("the reply is not valid")]
    Head(#[source] ReplyError),
    /// The server changed the protocol, for which nobody has asked.
    #[error("the server answered {status} and wants a tunnel, which is not supported")]
    Tunnel {
        /// The status.
        status: StatusCode,
    },
    /// The connection ended in the body of the reply.
    #[error("reply cut short: {}", Cut { received: *received, expected: *expected })]
    CutShort {
        /// Bytes of the body that have come.
        received: u64,
        /// What `Content-Length` announced; `None` if the end of the connection was to
        /// end the body, and an error came in its place.
        expected: Option<u64>,
        /// Why, if the connection did not just end.
        #[source]
        error: Option<io::Error>,
    },
    /// The source of the request's body gave an error. The connection was closed.
    #[error("the body of the request failed")]
    RequestBody(#[source] BoxError),
    /// The request's body is shorter or longer than announced. What is beyond that was
    /// not sent.
    #[error("the body of the request has {} bytes, announced are {announced}", Count { sent: *sent, announced: *announced })]
    RequestBodyLength {
        /// What `CONTENT_LENGTH` says.
        announced: u64,
        /// What the source gave, at least.
        sent: u64,
    },
}

/// What a client waits for: each has a limit in [`Timeouts`](super::Timeouts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// A connection.
    Connect,
    /// The head of the reply.
    Head,
    /// The next part of the reply's body.
    Read,
    /// Room for the next part of the request.
    Write,
}

impl ClientError {
    /// Returns the status with which a gateway answers.
    ///
    /// 504 for a timeout and 502 for any other fault of the server; what
    /// [`MapError::http_status`] says of the request; 400 for its body.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        let code = match self {
            Self::Request(error) => error.http_status(),
            Self::Encode(error) => error.http_status(),
            Self::Timeout { .. } => 504,
            Self::RequestBody(_) | Self::RequestBodyLength { .. } => 400,
            Self::Connect { .. }
            | Self::NoReply { .. }
            | Self::HeadCutShort { .. }
            | Self::Head(_)
            | Self::Tunnel { .. }
            | Self::CutShort { .. } => 502,
        };
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the variant as a label for metrics, such as `cut_short`; of a malformed
    /// request or reply its own label.
    ///
    /// Labels are lower-case ASCII with underscores. They do not change.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(error) => error.kind(),
            Self::Encode(error) => error.kind(),
            Self::Connect { .. } => "connect",
            Self::Timeout { wait, .. } => wait.kind(),
            Self::NoReply { .. } => "no_reply",
            Self::HeadCutShort { .. } => "head_cut_short",
            Self::Head(error) => error.kind(),
            Self::Tunnel { .. } => "tunnel",
            Self::CutShort { .. } => "cut_short",
            Self::RequestBody(_) => "request_body",
            Self::RequestBodyLength { .. } => "request_body_length",
        }
    }
}

impl From<MapError> for ClientError {
    fn from(error: MapError) -> Self {
        Self::Request(error)
    }
}

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<ReplyError> for ClientError {
    fn from(error: ReplyError) -> Self {
        Self::Head(error)
    }
}

impl Wait {
    fn kind(self) -> &'static str {
        match self {
            Self::Connect => "connect_timeout",
            Self::Head => "head_timeout",
            Self::Read => "read_timeout",
            Self::Write => "write_timeout",
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to the server",
            Self::Head => "the head of the reply",
            Self::Read => "the next part of the reply",
            Self::Write => "the server's receiving the request",
        })
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            whole if whole.subsec_nanos() == 0 => write!(f, "{} s", whole.as_secs()),
            other => write!(f, "{other:?}"),
        }
    }
}

struct Cut {
    received: u64,
    expected: Option<u64>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Some(expected) => write!(f, "{} of {expected} bytes have come", self.received),
            None => write!(f, "{} bytes have come", self.received),
        }
    }
}

struct Count {
    sent: u64,
    announced: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sent > self.announced {
            true => write!(f, "at least {}", self.sent),
            false => write!(f, "{}", self.sent),
        }
    }
}
