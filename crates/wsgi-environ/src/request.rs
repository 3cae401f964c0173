use thiserror::Error;
use uwsgi_codec::VarsRef;

use crate::decimal::{self, NotDecimal};

/// What the request's method says about the body of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `HEAD`: the response has a head and no body.
    Head,
    /// Any other method.
    Other,
}

impl Method {
    /// Reads `REQUEST_METHOD`, which is case-sensitive.
    #[must_use]
    pub fn of(vars: VarsRef<'_>) -> Self {
        Self::named(vars.get("REQUEST_METHOD").unwrap_or_default())
    }

    /// Returns the method for a name.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        match name {
            b"HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}

/// Reads the length of the request body from `CONTENT_LENGTH`.
///
/// Accepts only digits, up to 2^63-1. An absent or empty value is `None`: nginx
/// sends an empty one with every request that has no body. Of several values the
/// last one counts, as everywhere in the packet, so that
/// `uwsgi_param CONTENT_LENGTH "";` after an `include` removes the body; but two
/// values that are not empty must be the same number.
///
/// # Errors
///
/// - [`RequestError::ContentLengthSyntax`] for anything but digits;
/// - [`RequestError::ContentLengthTooLarge`] beyond 2^63-1;
/// - [`RequestError::ContentLengthConflict`] for two different numbers.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::{Limits, VarsRef};
///
/// let block = b"\x0e\x00CONTENT_LENGTH\x02\x0042";
/// let vars = VarsRef::decode(block, &Limits::default())?;
/// assert_eq!(wsgi_environ::content_length(vars), Ok(Some(42)));
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
pub fn content_length(vars: VarsRef<'_>) -> Result<Option<u64>, RequestError> {
    let mut length = ContentLength::default();
    for text in vars.get_all("CONTENT_LENGTH") {
        length.note(text)?;
    }
    Ok(length.get())
}

/// Collects the `CONTENT_LENGTH`s of a packet: [`content_length`] for callers that
/// iterate over the variables once for several purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentLength {
    agreed: Option<u64>,
    last: Option<u64>,
}

impl ContentLength {
    /// Records the next value.
    ///
    /// # Errors
    ///
    /// As [`content_length`].
    pub fn note(&mut self, text: &[u8]) -> Result<(), RequestError> {
        self.last = parse_content_length(text)?;
        match (self.agreed, self.last) {
            (Some(first), Some(second)) if first != second => {
                return Err(RequestError::ContentLengthConflict { first, second });
            }
            (None, Some(_)) => self.agreed = self.last,
            _ => {}
        }
        Ok(())
    }

    /// Returns the length of the body, if one is given.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        self.last
    }
}

/// Why a valid packet is not a valid request. The peer's fault: 400.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// A value that does not consist of digits. Lenient parsers such as Python's
    /// `int()` or C's `atoi()`, which accept `+5`, `5abc` or `1_0`, make request
    /// smuggling possible.
    #[error("content length {text:?} is not a number")]
    ContentLengthSyntax {
        /// The first bytes of the value, those that are not ASCII replaced.
        text: String,
    },
    /// Larger than any body can be.
    #[error("content length {text:?} is larger than 2^63-1")]
    ContentLengthTooLarge {
        /// The first digits of the value.
        text: String,
    },
    /// Two conflicting values.
    #[error("content length is given as {first} and as {second}")]
    ContentLengthConflict {
        /// The first value.
        first: u64,
        /// The first value that differs.
        second: u64,
    },
}

fn parse_content_length(text: &[u8]) -> Result<Option<u64>, RequestError> {
    if text.is_empty() {
        return Ok(None);
    }
    decimal::parse(text).map(Some).map_err(|error| {
        let text = excerpt(text);
        match error {
            NotDecimal::Syntax => RequestError::ContentLengthSyntax { text },
            NotDecimal::TooLarge => RequestError::ContentLengthTooLarge { text },
        }
    })
}

/// Shortens and cleans a peer's text for a log line.
fn excerpt(text: &[u8]) -> String {
    let kept = &text[..text.len().min(MAX_EXCERPT_BYTES)];
    String::from_utf8_lossy(kept).into_owned()
}

const MAX_EXCERPT_BYTES: usize = 32;
