use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Version};

use super::map_error::MapError;
use crate::{ContentLength, ContentLengthError};

/// How many bytes of a request's body follow the packet.
///
/// There is no other case: whoever reads a body must know them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// There is no body.
    Absent,
    /// There is one of so many bytes, possibly 0.
    Known(u64),
    /// There may be one, and its end is not known yet: a chunked request, or one of
    /// HTTP/2 without a length.
    ///
    /// The uwsgi protocol cannot say that. Receive the body to its end, or answer
    /// 411.
    Unknown,
}

impl BodyLength {
    /// Reads what the head of a request says about its body.
    ///
    /// HTTP/1: RFC 9112, 6.3. In HTTP/2 and HTTP/3 the end of the stream ends the
    /// body, so without a length it is `Unknown`; whoever has the stream knows
    /// whether it has ended.
    ///
    /// # Errors
    ///
    /// - [`MapError::ContentLength`]: a length that is none, or several that differ;
    /// - [`MapError::TransferEncodingWithLength`].
    pub fn of(parts: &Parts) -> Result<Self, MapError> {
        let length = header_length(&parts.headers)?;
        match (length, parts.headers.contains_key(TRANSFER_ENCODING)) {
            // RFC 9112, 6.3: "ought to be handled as an error". nginx answers 400.
            (Some(_), true) => Err(MapError::TransferEncodingWithLength),
            (None, true) => Ok(Self::Unknown),
            (Some(length), false) => Ok(Self::Known(length)),
            (None, false) if parts.version > Version::HTTP_11 => Ok(Self::Unknown),
            (None, false) => Ok(Self::Absent),
        }
    }

    /// Returns the number of bytes that follow the packet, if it is known.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Absent => Some(0),
            Self::Known(length) => Some(length),
            Self::Unknown => None,
        }
    }
}

/// Reads `Content-Length`. Equal ones count as one (RFC 9110, 8.6); a list in one
/// field, `5, 5`, is none, as in nginx.
pub(super) fn header_length(headers: &HeaderMap) -> Result<Option<u64>, ContentLengthError> {
    let mut length = ContentLength::default();
    for value in headers.get_all(CONTENT_LENGTH) {
        // An empty value is a length that is not there only in CGI variables.
        ContentLength::parse(value.as_bytes())?;
        length.note(value.as_bytes())?;
    }
    Ok(length.get())
}
