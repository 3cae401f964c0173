//! Asking a server to keep the connection: the proposal in `KEEPALIVE.md`.

use http::Method;
use std::string::ToString;

use super::body_length::BodyLength;
use crate::{ContentLength, EncodeError, PacketBuilder, VarsRef, content_length};

/// Asks the server to keep the connection: appends `UWSGI_KEEP_CONN`.
///
/// Only for a server that knows `KEEPALIVE.md`. `method` and `body` are what is sent,
/// not what was configured. Returns whether it asked: a `HEAD` with a body is not
/// kept, nor a body whose end is unknown. The server has agreed if
/// [`ReplyHead::keeps_connection`](super::ReplyHead::keeps_connection).
///
/// # Errors
///
/// As [`PacketBuilder::var`].
pub fn ask_to_keep(
    method: &Method,
    body: BodyLength,
    packet: &mut PacketBuilder,
) -> Result<bool, EncodeError> {
    match (body.bytes(), *method == Method::HEAD) {
        (Some(0), true) => packet.var(KEEP_CONN, "HEAD")?,
        (Some(length), false) => packet.var(KEEP_CONN, length.to_string())?,
        _ => return Ok(false),
    };
    Ok(true)
}

/// Returns whether the front end asks to keep the connection, and the request does not
/// contradict what it says: the first rule of `KEEPALIVE.md` under "Agreeing". The
/// others are the server's own.
#[must_use]
pub fn asks_to_keep(vars: VarsRef<'_>) -> bool {
    let Some(asked) = only(vars, KEEP_CONN) else {
        return false;
    };
    let Some(method) = only(vars, "REQUEST_METHOD") else {
        return false;
    };
    let Ok(length) = content_length(vars) else {
        return false;
    };
    let is_agreed = vars.get_all("CONTENT_LENGTH").all(|text| match text {
        [] => length.is_none_or(|length| length == 0),
        _ => length.is_some(),
    });
    let sent = match (asked, method) {
        (b"HEAD", b"HEAD") => Some(0),
        (b"HEAD", _) | (_, b"HEAD") => None,
        (digits, _) if digits.len() <= MAX_DIGITS => ContentLength::parse(digits).ok(),
        _ => None,
    };
    is_agreed && sent == Some(length.unwrap_or(0))
}

/// Returns the value of a variable, unless it has several that differ.
fn only<'a>(vars: VarsRef<'a>, key: &str) -> Option<&'a [u8]> {
    let value = vars.get(key)?;
    vars.get_all(key)
        .all(|other| other == value)
        .then_some(value)
}

const KEEP_CONN: &str = "UWSGI_KEEP_CONN";

const MAX_DIGITS: usize = 19;
