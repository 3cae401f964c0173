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

    /// Tells by the name alone.
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
/// Only digits count, up to 2^63-1. `None` stands for an absent and for an
/// empty value: nginx sends an empty one with every request that has no body.
/// Of several the last one counts, as everywhere in the packet, so that
/// `uwsgi_param CONTENT_LENGTH "";` after an `include` takes the body away; but
/// two values that are not empty must be the same number.
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

/// What the `CONTENT_LENGTH`s met so far say: [`content_length`] for those who
/// walk the variables once for more than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentLength {
    agreed: Option<u64>,
    last: Option<u64>,
}

impl ContentLength {
    /// Takes note of the next value.
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

/// Why a packet that decodes well is still no request. The peer's fault: 400.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// A value that is not made of digits. What Python's `int()` or C's
    /// `atoi()` would make of `+5`, `5abc` or `1_0` is what request smuggling
    /// is made of.
    #[error("content length {text:?} is not a number")]
    ContentLengthSyntax {
        /// The first bytes of the value, those that are not ASCII replaced.
        text: String,
    },
    /// More than any body can have.
    #[error("content length {text:?} is larger than 2^63-1")]
    ContentLengthTooLarge {
        /// The first digits of the value.
        text: String,
    },
    /// Two values that contradict each other.
    #[error("content length is given as {first} and as {second}")]
    ContentLengthConflict {
        /// The value met first.
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

/// Keeps of a peer's text what a log line can bear.
fn excerpt(text: &[u8]) -> String {
    let kept = &text[..text.len().min(MAX_EXCERPT_BYTES)];
    String::from_utf8_lossy(kept).into_owned()
}

const MAX_EXCERPT_BYTES: usize = 32;
