use core::error::Error;
use core::fmt;

use http::header::HeaderName;
use std::string::String;

use crate::{ContentLengthError, EncodeError};

/// Why a request cannot be mapped between HTTP and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapError {
    /// `CONNECT` asks for a tunnel, which variables cannot describe.
    Connect,
    /// The request target is neither a path nor, for `OPTIONS`, `*`.
    Target,
    /// A `%` in the path is not followed by two hexadecimal digits.
    PathEncoding {
        /// The position of the `%` in the path, in bytes.
        offset: usize,
    },
    /// The path has a NUL byte.
    PathNul,
    /// The path leads above the root: `/../x`.
    PathAboveRoot,
    /// The path is not under the `SCRIPT_NAME` of the
    /// [`RequestMapping`](super::RequestMapping).
    OutsideScriptName,
    /// `Host` or the target's authority is not a host with an optional port.
    Host,
    /// `Host` and `:authority` differ in a request of HTTP/2 or HTTP/3.
    HostConflict,
    /// A header that only one value makes sense of is there several times.
    RepeatedHeader {
        /// Its name.
        name: HeaderName,
    },
    /// A header's name has bytes that are lost in a variable's name, and
    /// [`UnsafeNames::Refuse`](super::UnsafeNames::Refuse) was chosen.
    HeaderName {
        /// The name.
        name: HeaderName,
    },
    /// The length of the body is none, or there are two.
    ContentLength(ContentLengthError),
    /// `Content-Length` is not the length of the body that is to be sent.
    BodyLength {
        /// What the header says.
        header: u64,
        /// What is to be sent.
        body: u64,
    },
    /// `Transfer-Encoding` beside `Content-Length`.
    TransferEncodingWithLength,
    /// The length of the body is not known.
    LengthRequired,
    /// The variables do not fit in a packet.
    Encode(EncodeError),
    /// A variable is missing that every request has.
    MissingVar {
        /// Its name.
        key: &'static str,
    },
    /// A variable has a value that HTTP does not allow there.
    Var {
        /// Its name.
        key: String,
    },
    /// More headers than an [`http::HeaderMap`] holds.
    TooManyHeaders,
}

impl MapError {
    /// Returns the status with which a gateway answers a request that it cannot map, and
    /// a server one that it cannot read.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            // nginx since 1.21.1 answers 405 to CONNECT.
            Self::Connect => 405,
            Self::OutsideScriptName => 404,
            Self::LengthRequired => 411,
            Self::TooManyHeaders => 431,
            Self::Encode(error) => error.http_status(),
            _ => 400,
        }
    }

    /// Returns the variant as a label for metrics, such as `path_encoding`.
    ///
    /// Labels are lower-case ASCII with underscores. They do not change.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Target => "target",
            Self::PathEncoding { .. } => "path_encoding",
            Self::PathNul => "path_nul",
            Self::PathAboveRoot => "path_above_root",
            Self::OutsideScriptName => "outside_script_name",
            Self::Host => "host",
            Self::HostConflict => "host_conflict",
            Self::RepeatedHeader { .. } => "repeated_header",
            Self::HeaderName { .. } => "header_name",
            Self::ContentLength(error) => error.kind(),
            Self::BodyLength { .. } => "body_length",
            Self::TransferEncodingWithLength => "transfer_encoding_with_length",
            Self::LengthRequired => "length_required",
            Self::Encode(error) => error.kind(),
            Self::MissingVar { .. } => "missing_var",
            Self::Var { .. } => "var",
            Self::TooManyHeaders => "too_many_headers",
        }
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("CONNECT cannot be sent in a uwsgi packet"),
            Self::Target => f.write_str("the request target is neither a path nor *"),
            Self::PathEncoding { offset } => write!(
                f,
                "the % at byte {offset} of the path is not followed by two hexadecimal digits"
            ),
            Self::PathNul => f.write_str("the path has a NUL byte"),
            Self::PathAboveRoot => f.write_str("the path leads above the root"),
            Self::OutsideScriptName => f.write_str("the path is not under the script name"),
            Self::Host => f.write_str("the host is not a host with an optional port"),
            Self::HostConflict => f.write_str("Host and :authority differ"),
            Self::RepeatedHeader { name } => write!(f, "header {name} is there several times"),
            Self::HeaderName { name } => write!(
                f,
                "header name {:?} has bytes other than letters, digits and hyphens",
                name.as_str()
            ),
            Self::ContentLength(error) => error.fmt(f),
            Self::BodyLength { header, body } => {
                write!(f, "Content-Length is {header}, the body has {body} bytes")
            }
            Self::TransferEncodingWithLength => {
                f.write_str("Transfer-Encoding and Content-Length in one request")
            }
            Self::LengthRequired => f.write_str("the length of the body is not known"),
            Self::Encode(error) => error.fmt(f),
            Self::MissingVar { key } => write!(f, "variable {key} is missing"),
            Self::Var { key } => write!(f, "the value of variable {key:?} is not valid in HTTP"),
            Self::TooManyHeaders => f.write_str("more headers than can be held"),
        }
    }
}

// The two that wrap an error say what it says, so it is not their source as well.
impl Error for MapError {}

impl From<ContentLengthError> for MapError {
    fn from(error: ContentLengthError) -> Self {
        Self::ContentLength(error)
    }
}

impl From<EncodeError> for MapError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
