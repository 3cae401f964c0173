use core::error::Error;
use core::fmt;
use std::io;

use crate::read::{incomplete_packet, status_of_io};
use crate::{ContentLengthError, DecodeError, EncodeError};

/// Why a stream of requests ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer sent something that is not a packet.
    Decode(DecodeError),
    /// The packet does not say how long its body is.
    ContentLength(ContentLengthError),
    /// The stream ended within a packet.
    IncompletePacket {
        /// Bytes of the packet that were there.
        have: usize,
        /// Bytes of the packet; of its header, if that is all that is known.
        need: usize,
    },
    /// The stream ended within a body.
    IncompleteBody {
        /// Bytes of the body that were there.
        have: u64,
        /// `CONTENT_LENGTH`.
        need: u64,
    },
    /// The protocol cannot express what the caller wants to send.
    Encode(EncodeError),
    /// The stream failed.
    Io(io::Error),
}

impl CodecError {
    /// Returns the cause as a label for metrics: `incomplete_packet`, `incomplete_body`,
    /// `io`, or that of the inner error.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.kind(),
            Self::ContentLength(error) => error.kind(),
            Self::IncompletePacket { .. } => "incomplete_packet",
            Self::IncompleteBody { .. } => "incomplete_body",
            Self::Encode(error) => error.kind(),
            Self::Io(_) => "io",
        }
    }

    /// Returns the status of an HTTP response: that of the inner error, 408 if the stream
    /// failed because its time was over, otherwise 400.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Decode(error) => error.http_status(),
            Self::ContentLength(error) => error.http_status(),
            Self::IncompletePacket { .. } | Self::IncompleteBody { .. } => 400,
            Self::Encode(error) => error.http_status(),
            Self::Io(error) => status_of_io(error),
        }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(f),
            Self::ContentLength(error) => error.fmt(f),
            Self::IncompletePacket { have, need } => incomplete_packet(f, *have, *need),
            Self::IncompleteBody { have, need } => write!(
                f,
                "the stream ended within a request body: {have} of {need} bytes"
            ),
            Self::Encode(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for CodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The message is that of the inner error, so its source comes next.
        match self {
            Self::Decode(error) => error.source(),
            Self::ContentLength(error) => error.source(),
            Self::IncompletePacket { .. } | Self::IncompleteBody { .. } => None,
            Self::Encode(error) => error.source(),
            Self::Io(error) => error.source(),
        }
    }
}

impl From<DecodeError> for CodecError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<ContentLengthError> for CodecError {
    fn from(error: ContentLengthError) -> Self {
        Self::ContentLength(error)
    }
}

impl From<EncodeError> for CodecError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
