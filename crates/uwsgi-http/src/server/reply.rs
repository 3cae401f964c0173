//! What becomes of a service's response on the wire.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::SizeHint;
use uwsgi_codec::http::{BodyEnd, ReplyError, ReplyHead};

/// Makes the head of a response, and sees that it says how long the body is, if that is
/// known.
///
/// # Errors
///
/// The service's, and no response can be made of it.
pub(super) fn head(
    parts: Parts,
    body: &SizeHint,
    method: &Method,
) -> Result<ReplyHead, ReplyError> {
    let mut headers = parts.headers;
    // RFC 9112, 6.1: it says how a message is sent on one connection, here as it is. A
    // length beside it is not that of the body that is sent.
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
    let is_not_modified = parts.status == StatusCode::NOT_MODIFIED;
    // RFC 9110, 8.6: with HEAD and 304 it is that of the response to GET, and nobody
    // knows that of a body that has been taken away.
    let is_taken_away = body.exact() == Some(0) && (is_not_modified || *method == Method::HEAD);
    match headers.get(CONTENT_LENGTH) {
        // axum adds it.
        Some(length) if is_not_modified && is_taken_away && length == "0" => {
            headers.remove(CONTENT_LENGTH);
        }
        Some(_) => {}
        None if is_not_modified || is_taken_away => {}
        None => {
            if let Some(length) = body.exact() {
                headers.insert(CONTENT_LENGTH, length.into());
            }
        }
    }
    let head = ReplyHead::new(parts.status, headers, method)?;
    match head.body_end() {
        BodyEnd::Tunnel => Err(ReplyError::Interim),
        _ => Ok(head),
    }
}

/// Whether the connection is kept behind a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    Keep,
    Close,
}

/// Encodes a head. Returns what it says about the connection, which is not kept if only
/// its end ends the body.
pub(super) fn encode(head: &ReplyHead, wanted: Persistence) -> (Bytes, Persistence) {
    let mut wire = BytesMut::with_capacity(USUAL_HEAD_LEN);
    // A BytesMut grows, so the only error is the one that is asked for.
    let keeps = wanted == Persistence::Keep && head.encode_keeping(&mut wire).is_ok();
    if keeps {
        return (wire.freeze(), Persistence::Keep);
    }
    let _ = head.encode(&mut wire);
    (wire.freeze(), Persistence::Close)
}

/// Makes a response of the server's own.
pub(super) fn error_response(status: StatusCode, method: &Method) -> Bytes {
    let text = format!("{status}\n");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, text.len().into());
    let Ok(head) = ReplyHead::new(status, headers, method) else {
        return Bytes::new();
    };
    let mut wire = BytesMut::with_capacity(USUAL_HEAD_LEN);
    let _ = head.encode(&mut wire);
    if head.body_end() != BodyEnd::None {
        wire.extend_from_slice(text.as_bytes());
    }
    wire.freeze()
}

const USUAL_HEAD_LEN: usize = 512;
