use alloc::string::String;
use core::error::Error;
use core::fmt;

use crate::VarsRef;

/// Reads the length of the request body from `CONTENT_LENGTH`.
///
/// Accepts only digits, up to 2^63-1. An absent or empty value is `None`: with a
/// request that has no body nginx sends an empty one, Apache and uWSGI's router none.
/// lighttpd sends `0`, which is `Some(0)`.
///
/// Of several values the last one counts, as everywhere in the packet, so that
/// `uwsgi_param CONTENT_LENGTH "";` after an `include` removes the body; but two
/// values that are not empty must be the same number.
///
/// # Errors
///
/// - [`ContentLengthError::Syntax`] for anything but digits;
/// - [`ContentLengthError::TooLarge`] beyond 2^63-1;
/// - [`ContentLengthError::Conflict`] for two different numbers.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::{Limits, VarsRef, content_length};
///
/// let block = b"\x0e\x00CONTENT_LENGTH\x02\x0042";
/// let vars = VarsRef::decode(block, &Limits::default())?;
/// assert_eq!(content_length(vars), Ok(Some(42)));
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
pub fn content_length(vars: VarsRef<'_>) -> Result<Option<u64>, ContentLengthError> {
    let mut length = ContentLength::default();
    for text in vars.get_all("CONTENT_LENGTH") {
        length.note(text)?;
    }
    Ok(length.get())
}

/// Collects the `CONTENT_LENGTH`s of a packet: [`content_length`] for callers that
/// iterate over the vars once for several purposes.
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
    #[inline]
    pub fn note(&mut self, text: &[u8]) -> Result<(), ContentLengthError> {
        self.last = match text {
            [] => None,
            _ => Some(Self::parse(text)?),
        };
        match (self.agreed, self.last) {
            (Some(first), Some(second)) if first != second => {
                return Err(ContentLengthError::Conflict { first, second });
            }
            (None, Some(_)) => self.agreed = self.last,
            _ => {}
        }
        Ok(())
    }

    /// Returns the length of the body, if one is given.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<u64> {
        self.last
    }

    /// Reads a length as HTTP has it: one or more digits and nothing else (RFC 9110,
    /// 8.6), up to 2^63-1.
    ///
    /// # Errors
    ///
    /// [`Syntax`](ContentLengthError::Syntax), also for an empty text;
    /// [`TooLarge`](ContentLengthError::TooLarge).
    #[inline]
    pub fn parse(text: &[u8]) -> Result<u64, ContentLengthError> {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(ContentLengthError::Syntax {
                text: excerpt(text),
            });
        }
        text.iter()
            .try_fold(0_u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .filter(|&length| length <= MAX)
            .ok_or_else(|| ContentLengthError::TooLarge {
                text: excerpt(text),
            })
    }
}

/// Why the vars of a valid packet say nothing clear about the body: the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentLengthError {
    /// A value that does not consist of digits. Lenient parsers such as Python's
    /// `int()` or C's `atoi()`, which accept `+5`, `5abc` or `1_0`, make request
    /// smuggling possible.
    Syntax {
        /// The first bytes of the value, those that are not UTF-8 replaced.
        text: String,
    },
    /// Larger than any body can be.
    TooLarge {
        /// The first digits of the value.
        text: String,
    },
    /// Two conflicting values.
    Conflict {
        /// The first value.
        first: u64,
        /// The first value that differs.
        second: u64,
    },
}

impl ContentLengthError {
    /// Returns the variant as a label for metrics.
    ///
    /// Labels are lower-case ASCII with underscores. They do not change.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "content_length_syntax",
            Self::TooLarge { .. } => "content_length_too_large",
            Self::Conflict { .. } => "content_length_conflict",
        }
    }

    /// Returns the status of an HTTP response to the peer: 400.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        400
    }
}

impl fmt::Display for ContentLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { text } => write!(f, "content length {text:?} is not a number"),
            Self::TooLarge { text } => {
                write!(f, "content length {text:?} is larger than 2^63-1")
            }
            Self::Conflict { first, second } => {
                write!(f, "content length is given as {first} and as {second}")
            }
        }
    }
}

impl Error for ContentLengthError {}

/// Shortens and cleans a peer's text for a log line.
fn excerpt(text: &[u8]) -> String {
    let kept = &text[..text.len().min(MAX_EXCERPT_BYTES)];
    String::from_utf8_lossy(kept).into_owned()
}

const MAX_EXCERPT_BYTES: usize = 32;

// The largest value that fits a signed file offset in every language.
const MAX: u64 = i64::MAX as u64;
