use http::StatusCode;

use super::reply_error::ReplyError;

/// A status and its reason, as a reply gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status<'a> {
    pub(super) code: StatusCode,
    pub(super) reason: &'a [u8],
}

/// What a reply begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start<'a> {
    /// A status line of so many bytes, its end included.
    StatusLine(Status<'a>, usize),
    /// A header: the status, if there is one, is in `Status`.
    Header,
    /// More bytes are needed to tell.
    Incomplete,
}

impl<'a> Start<'a> {
    pub(super) fn of(src: &'a [u8]) -> Result<Self, ReplyError> {
        let compared = src.len().min(HTTP.len());
        if src[..compared] != HTTP[..compared] {
            return Ok(Self::Header);
        }
        let Some(end) = src.iter().position(|&byte| byte == b'\n') else {
            return Ok(Self::Incomplete);
        };
        let line = &src[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let status = status_of_line(line).ok_or(ReplyError::Status)?;
        Ok(Self::StatusLine(status, end + 1))
    }
}

impl<'a> Status<'a> {
    /// Reads `404`, `404 ` or `404 Not Found`.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (code, rest) = text.split_at_checked(3)?;
        let code = StatusCode::from_bytes(code).ok()?;
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return None,
        };
        is_reason(reason).then_some(Self { code, reason })
    }
}

/// RFC 9112, 4: tabs, spaces, and what is visible or not ASCII.
pub(super) fn is_reason(text: &[u8]) -> bool {
    let is_control = |&byte: &u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    !text.iter().any(is_control)
}

/// Reads `HTTP/1.1 404 Not Found`. The version may be any: uWSGI repeats
/// `SERVER_PROTOCOL`, which is `HTTP/2.0` for a client of HTTP/2.
fn status_of_line(line: &[u8]) -> Option<Status<'_>> {
    let rest = line.strip_prefix(HTTP)?;
    let end = rest.iter().position(|&byte| byte == b' ')?;
    let (version, status) = rest.split_at(end);
    let is_version = match version {
        [major] => major.is_ascii_digit(),
        [major, b'.', minor] => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    };
    Status::parse(&status[1..]).filter(|_| is_version)
}

const HTTP: &[u8] = b"HTTP/";
