use bytes::{BufMut, Bytes};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Response, StatusCode};
use httparse::{EMPTY_HEADER, Header};
use std::vec;

use super::body_end::{BodyEnd, Framing};
use super::reply_error::ReplyError;
use super::reply_limits::ReplyLimits;
use super::status_line::{Start, Status, is_reason};

/// The head of a reply to a uwsgi request: read by a client, written by a server.
///
/// Its headers may be passed on as they are: those of one connection are gone, and
/// there is at most one `Content-Length`, which is true. The
/// [module](crate::http#the-head-of-a-reply) lists every decision.
///
/// # Examples
///
/// Reading:
///
/// ```
/// use http::Method;
/// use uwsgi_codec::http::{BodyEnd, ReplyHead, ReplyLimits};
///
/// let received = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// let limits = ReplyLimits::default();
///
/// let (head, len) = ReplyHead::parse(received, &Method::GET, &limits)?.expect("complete");
/// assert_eq!(head.status(), 200);
/// assert_eq!(head.body_end(), BodyEnd::Length(5));
/// assert_eq!(&received[len..], b"hello");
///
/// // An incomplete head is not an error.
/// assert!(ReplyHead::parse(&received[..20], &Method::GET, &limits)?.is_none());
/// # Ok::<(), uwsgi_codec::http::ReplyError>(())
/// ```
///
/// Writing:
///
/// ```
/// use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
/// use http::{Method, StatusCode};
/// use uwsgi_codec::http::{BodyEnd, ReplyHead};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
/// let head = ReplyHead::new(StatusCode::OK, headers, &Method::GET)?;
/// assert_eq!(head.body_end(), BodyEnd::Close);
///
/// let mut out = Vec::new();
/// head.encode(&mut out)?;
/// assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n");
/// # Ok::<(), uwsgi_codec::http::ReplyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReplyHead {
    status: StatusCode,
    reason: Bytes,
    headers: HeaderMap,
    framing: Framing,
}

impl ReplyHead {
    /// Reads a head from the front of `src`; `None` if it is not complete yet.
    ///
    /// `method` is that of the request. Returns the number of bytes, behind which the
    /// body begins, or after an [interim](ReplyHead::is_interim) head the next one.
    /// How the bytes were split never changes the result.
    ///
    /// # Errors
    ///
    /// Those of [`ReplyError`], as soon as the bytes show them.
    pub fn parse(
        src: &[u8],
        method: &Method,
        limits: &ReplyLimits,
    ) -> Result<Option<(Self, usize)>, ReplyError> {
        // What is behind the limit must not matter, so that it does not matter when it
        // arrives.
        let within = &src[..src.len().min(limits.max_bytes)];
        match Self::parse_within(within, method, limits.max_headers)? {
            None if within.len() == limits.max_bytes => Err(ReplyError::TooLong {
                limit: limits.max_bytes,
            }),
            parsed => Ok(parsed),
        }
    }

    fn parse_within(
        src: &[u8],
        method: &Method,
        max_headers: usize,
    ) -> Result<Option<(Self, usize)>, ReplyError> {
        let (status, line_len) = match Start::of(src)? {
            Start::StatusLine(status, len) => (Some(status), len),
            Start::Header => (None, 0),
            Start::Incomplete => return Ok(None),
        };
        let mut few = [EMPTY_HEADER; FEW];
        let mut many = vec![];
        let few_or_less = &mut few[..max_headers.min(FEW)];
        let mut read = httparse::parse_headers(&src[line_len..], few_or_less);
        if read == Err(httparse::Error::TooManyHeaders) && max_headers > FEW {
            // A header has at least three bytes.
            many.resize(max_headers.min(src.len() / 3 + 1), EMPTY_HEADER);
            read = httparse::parse_headers(&src[line_len..], &mut many);
        }
        let (headers_len, lines) = match read {
            Ok(httparse::Status::Complete(read)) => read,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(ReplyError::TooManyHeaders { limit: max_headers });
            }
            Err(_) => return Err(ReplyError::Header),
        };
        let len = line_len + headers_len;
        // One allocation for all values, which are parts of `src` before `len`.
        let bytes = Bytes::copy_from_slice(&src[..len]);
        let shared = |part: &[u8]| {
            let start = part.as_ptr().addr().wrapping_sub(src.as_ptr().addr());
            bytes.slice(start..start + part.len())
        };
        let mut headers = header_map(lines, shared)?;
        let status = match status {
            Some(status) => status,
            None => cgi_status(lines, &mut headers)?,
        };
        let reason = match status.reason {
            [] => Bytes::new(),
            reason => Bytes::copy_from_slice(reason),
        };
        let framing = Framing::of(status.code, &mut headers, method)?;
        let head = Self {
            status: status.code,
            reason,
            headers,
            framing,
        };
        Ok(Some((head, len)))
    }

    /// Makes the head of a reply to a request with this method.
    ///
    /// Headers of the connection are left out: that is the server's business, not the
    /// application's.
    ///
    /// # Errors
    ///
    /// [`ReplyError::Interim`], [`ReplyError::ContentLength`],
    /// [`ReplyError::TransferEncoding`].
    pub fn new(
        status: StatusCode,
        mut headers: HeaderMap,
        method: &Method,
    ) -> Result<Self, ReplyError> {
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ReplyError::Interim);
        }
        let framing = Framing::of(status, &mut headers, method)?;
        let reason = status.canonical_reason().unwrap_or_default();
        Ok(Self {
            status,
            reason: Bytes::from_static(reason.as_bytes()),
            headers,
            framing: Framing {
                says_keep_alive: false,
                ..framing
            },
        })
    }

    /// Sets the reason phrase. Default: the standard one, or none.
    ///
    /// # Errors
    ///
    /// [`ReplyError::Reason`]: it has a line break or another control character.
    pub fn with_reason(mut self, reason: impl AsRef<[u8]>) -> Result<Self, ReplyError> {
        let reason = reason.as_ref();
        if !is_reason(reason) {
            return Err(ReplyError::Reason);
        }
        self.reason = Bytes::copy_from_slice(reason);
        Ok(self)
    }

    /// Returns the status.
    #[inline]
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the reason phrase, possibly empty.
    #[inline]
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        &self.reason
    }

    /// Returns the headers that may be passed on.
    #[inline]
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns how the body ends.
    #[inline]
    #[must_use]
    pub fn body_end(&self) -> BodyEnd {
        self.framing.body_end
    }

    /// Returns whether another head follows this one: 1xx except 101.
    #[inline]
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// Returns whether the server has agreed to keep the connection: `Connection` is
    /// `keep-alive`, and the head says where the body ends.
    ///
    /// Only after [`ask_to_keep`](super::ask_to_keep): other servers say so, too, and
    /// do not mean it. `KEEPALIVE.md` says what else a client sees to.
    #[inline]
    #[must_use]
    pub fn keeps_connection(&self) -> bool {
        self.framing.says_keep_alive && self.framing.has_known_end
    }

    /// Returns a response with these headers and this body.
    pub fn into_response<B>(self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// Appends the head in its wire form; the end of the connection follows the body.
    ///
    /// Always `HTTP/1.1`: no front end looks at the version.
    ///
    /// # Errors
    ///
    /// [`ReplyError::NoRoom`] if `dst` has a fixed size. `dst` is then unchanged.
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), ReplyError> {
        self.write(&[], dst)
    }

    /// Appends the head of a reply after which the connection is kept. Only if
    /// [`asks_to_keep`](super::asks_to_keep), and the other rules of `KEEPALIVE.md` are
    /// met.
    ///
    /// # Errors
    ///
    /// [`ReplyError::UnknownEnd`]: the end of the connection has to end the body.
    /// [`ReplyError::NoRoom`] as in [`ReplyHead::encode`]. `dst` is then unchanged.
    pub fn encode_keeping(&self, dst: &mut impl BufMut) -> Result<(), ReplyError> {
        if !self.framing.has_known_end {
            return Err(ReplyError::UnknownEnd);
        }
        self.write(b"Connection: keep-alive\r\n", dst)
    }

    fn write(&self, more: &[u8], dst: &mut impl BufMut) -> Result<(), ReplyError> {
        let lines = self.headers.iter();
        let lines_len: usize = lines.map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        let need = STATUS_LINE_LEN + self.reason.len() + lines_len + more.len() + 2;
        let room = dst.remaining_mut();
        if room < need {
            return Err(ReplyError::NoRoom { need, room });
        }
        dst.put_slice(b"HTTP/1.1 ");
        dst.put_slice(self.status.as_str().as_bytes());
        dst.put_slice(b" ");
        dst.put_slice(&self.reason);
        dst.put_slice(b"\r\n");
        for (name, value) in &self.headers {
            dst.put_slice(name.as_str().as_bytes());
            dst.put_slice(b": ");
            dst.put_slice(value.as_bytes());
            dst.put_slice(b"\r\n");
        }
        dst.put_slice(more);
        dst.put_slice(b"\r\n");
        Ok(())
    }
}

fn header_map(
    lines: &[Header<'_>],
    shared: impl Fn(&[u8]) -> Bytes,
) -> Result<HeaderMap, ReplyError> {
    let too_many = |_| ReplyError::TooManyHeaders { limit: lines.len() };
    let mut headers = HeaderMap::try_with_capacity(lines.len()).map_err(too_many)?;
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let name = name.map_err(|_| ReplyError::Header)?;
        let value = match line.value {
            [] => HeaderValue::from_static(""),
            value => {
                HeaderValue::from_maybe_shared(shared(value)).map_err(|_| ReplyError::Header)?
            }
        };
        headers.try_append(name, value).map_err(too_many)?;
    }
    Ok(headers)
}

/// RFC 3875, 6.3.3: the status of a reply without a status line.
fn cgi_status<'a>(lines: &[Header<'a>], headers: &mut HeaderMap) -> Result<Status<'a>, ReplyError> {
    headers.remove("status");
    let is_status = |line: &&Header<'_>| line.name.eq_ignore_ascii_case("status");
    let mut statuses = lines.iter().filter(is_status);
    let given = statuses.next();
    if statuses.next().is_some() {
        return Err(ReplyError::Status);
    }
    let code = match given {
        Some(line) => return Status::parse(line.value).ok_or(ReplyError::Status),
        // RFC 3875, 6.2.3; nginx, `ngx_http_uwsgi_process_header`.
        None if headers.contains_key(LOCATION) => StatusCode::FOUND,
        None if headers.contains_key(CONTENT_TYPE) => StatusCode::OK,
        // RFC 3875, 6.3: one of the three is there. So a body without a head is not
        // taken for one.
        None => return Err(ReplyError::NoStatus),
    };
    let reason = b"";
    Ok(Status { code, reason })
}

/// Bytes of a status line without its reason.
const STATUS_LINE_LEN: usize = 15;

/// Headers that are read without an allocation.
const FEW: usize = 64;
