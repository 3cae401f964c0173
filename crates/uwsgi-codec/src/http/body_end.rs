use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use super::body_length::header_length;
use super::header_names::remove_hop_by_hop;
use super::reply_error::ReplyError;

/// How the body of a reply ends (RFC 9112, 6.3).
///
/// There is no other way: whoever reads a body must know them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyEnd {
    /// There is no body: the reply to `HEAD`, a 1xx, 204 or 304, whatever its headers
    /// say.
    None,
    /// After so many bytes. Fewer are a reply cut short; more are not part of it.
    Length(u64),
    /// With the connection.
    ///
    /// On a Unix socket nobody can tell the end from a server that died.
    Close,
    /// The connection belongs to another protocol: 101, or a 2xx to `CONNECT`. Close it
    /// if you have not asked for that.
    Tunnel,
}

/// What the headers of a reply say about its end and that of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) body_end: BodyEnd,
    /// Whether the head alone says where the body ends: `KEEPALIVE.md`, "Agreeing", 5.
    pub(super) has_known_end: bool,
    /// Whether `Connection` is `keep-alive` and nothing else.
    pub(super) says_keep_alive: bool,
}

impl Framing {
    /// Checks the headers of a reply, and leaves those that may be passed on.
    pub(super) fn of(
        status: StatusCode,
        headers: &mut HeaderMap,
        method: &Method,
    ) -> Result<Self, ReplyError> {
        // nginx passes the chunks on as if they were the body.
        if headers.contains_key(TRANSFER_ENCODING) {
            return Err(ReplyError::TransferEncoding);
        }
        let length = header_length(headers)?;
        let has_one_length = headers.get_all(CONTENT_LENGTH).iter().count() == 1;
        let says_keep_alive = says_keep_alive(headers);

        let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS
            || (*method == Method::CONNECT && status.is_success());
        let is_bodiless = status.is_informational() || status == StatusCode::NO_CONTENT;
        let body_end = if is_tunnel {
            BodyEnd::Tunnel
        } else if is_bodiless || status == StatusCode::NOT_MODIFIED || *method == Method::HEAD {
            BodyEnd::None
        } else {
            length.map_or(BodyEnd::Close, BodyEnd::Length)
        };

        // The handshake of a protocol switch is not the connection's own business.
        if status != StatusCode::SWITCHING_PROTOCOLS {
            remove_hop_by_hop(headers);
        }
        match length {
            // RFC 9110, 8.6: there must be none, and whoever believes it waits.
            Some(_) if is_bodiless || is_tunnel => drop(headers.remove(CONTENT_LENGTH)),
            // One field, and `05` is not passed on to those who read it as something else.
            Some(length) => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(length))),
            None => {}
        }
        let has_known_end = match body_end {
            BodyEnd::None => !status.is_informational(),
            BodyEnd::Length(_) => has_one_length,
            BodyEnd::Close | BodyEnd::Tunnel => false,
        };
        Ok(Self {
            body_end,
            has_known_end,
            says_keep_alive,
        })
    }
}

fn says_keep_alive(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONNECTION).iter();
    let only = values.next().filter(|_| values.next().is_none());
    only.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
}
