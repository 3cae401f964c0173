use core::error::Error;
use core::fmt;

use crate::ContentLengthError;

/// Why bytes are not the head of a reply, or why one cannot be written.
///
/// Of a received head it is the server's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// The first line begins like a status line and is none, or `Status` is no status.
    Status,
    /// The head has no status line, and none of `Status`, `Location` and `Content-Type`,
    /// of which CGI demands one.
    NoStatus,
    /// A line is not a header: its name has other bytes than a token, a space before
    /// the colon among them; its value has a NUL, a bare CR or another control
    /// character; or it continues the line before it (RFC 9112, 5.2).
    Header,
    /// The head is longer than [`ReplyLimits::max_bytes`](super::ReplyLimits::max_bytes).
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// More headers than [`ReplyLimits::max_headers`](super::ReplyLimits::max_headers).
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// `Content-Length` is no length, or there are two different ones.
    ContentLength(ContentLengthError),
    /// `Transfer-Encoding`: a body behind a uwsgi packet's reply has no framing.
    TransferEncoding,
    /// A reason phrase with control characters.
    Reason,
    /// A status below 200 other than 101 is to be written. nginx takes it for the final
    /// one.
    Interim,
    /// The connection is to be kept, and the head does not say where its body ends.
    UnknownEnd,
    /// The buffer to write to has a fixed size and is too small.
    NoRoom {
        /// Bytes of the head.
        need: usize,
        /// Bytes that the buffer can take.
        room: usize,
    },
}

impl ReplyError {
    /// Returns the status with which a gateway answers if it has received such a head:
    /// 502. Of errors that only writing has: 500.
    ///
    /// A server whose application made the head answers 500, whatever the error is.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Reason | Self::Interim | Self::UnknownEnd | Self::NoRoom { .. } => 500,
            _ => 502,
        }
    }

    /// Returns the variant as a label for metrics, such as `too_long`.
    ///
    /// Labels are lower-case ASCII with underscores. They do not change.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoStatus => "no_status",
            Self::Header => "header",
            Self::TooLong { .. } => "too_long",
            Self::TooManyHeaders { .. } => "too_many_headers",
            Self::ContentLength(error) => error.kind(),
            Self::TransferEncoding => "transfer_encoding",
            Self::Reason => "reason",
            Self::Interim => "interim",
            Self::UnknownEnd => "unknown_end",
            Self::NoRoom { .. } => "no_room",
        }
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("the status is not a code of three digits and a reason"),
            Self::NoStatus => f.write_str("the reply has no status"),
            Self::Header => f.write_str("the reply has a malformed header"),
            Self::TooLong { limit } => write!(f, "reply head of more than {limit} bytes"),
            Self::TooManyHeaders { limit } => write!(f, "more than {limit} headers in the reply"),
            Self::ContentLength(error) => error.fmt(f),
            Self::TransferEncoding => f.write_str("Transfer-Encoding in a reply to a uwsgi packet"),
            Self::Reason => f.write_str("the reason phrase has control characters"),
            Self::Interim => f.write_str("a status below 200 is not a final one"),
            Self::UnknownEnd => {
                f.write_str("the connection cannot be kept: the body has no known end")
            }
            Self::NoRoom { need, room } => {
                write!(f, "head of {need} bytes, the buffer has room for {room}")
            }
        }
    }
}

impl Error for ReplyError {}

impl From<ContentLengthError> for ReplyError {
    fn from(error: ContentLengthError) -> Self {
        Self::ContentLength(error)
    }
}
