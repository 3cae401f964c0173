//! The path of a request: percent-encoding and dot segments.

use http::Uri;
use std::borrow::Cow;
use std::string::String;
use std::vec::Vec;

use super::map_error::MapError;

/// Returns the path that `PATH_INFO` is made of: decoded, then without dot segments.
///
/// In this order, as nginx does it (`ngx_http_parse_complex_uri`), so that `%2e%2e` and
/// `..%2f` are no way around: what an application sees is what the front end has
/// decided about. Slashes that follow each other stay (`merge_slashes off`).
pub(super) fn resolved(path: &[u8]) -> Result<Vec<u8>, MapError> {
    let decoded = decoded(path)?;
    match without_dot_segments(&decoded)? {
        Cow::Borrowed(_) => Ok(decoded),
        Cow::Owned(resolved) => Ok(resolved),
    }
}

/// Decodes `%XX`, and nothing else: `+` is a plus in a path.
pub(super) fn decoded(path: &[u8]) -> Result<Vec<u8>, MapError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let (before, escape) = rest.split_at(at);
        decoded.extend_from_slice(before);
        let byte = match escape {
            [_, high, low, ..] => hex(*high).zip(hex(*low)).map(|(h, l)| 16 * h + l),
            _ => None,
        };
        let offset = path.len() - escape.len();
        decoded.push(byte.ok_or(MapError::PathEncoding { offset })?);
        rest = &escape[3..];
    }
    decoded.extend_from_slice(rest);
    Ok(decoded)
}

/// RFC 3986, 5.2.4, but what leads above the root is an error, as in nginx, and a NUL is
/// one as well: nginx answers 400, and in C nothing behind it would be seen.
pub(super) fn without_dot_segments(path: &[u8]) -> Result<Cow<'_, [u8]>, MapError> {
    if path.contains(&0) {
        return Err(MapError::PathNul);
    }
    if !path.windows(2).any(|pair| pair == b"/.") {
        return Ok(Cow::Borrowed(path));
    }
    let mut resolved = Vec::with_capacity(path.len());
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." => {}
            b".." => {
                let parent = resolved.iter().rposition(|&byte| byte == b'/');
                resolved.truncate(parent.ok_or(MapError::PathAboveRoot)?);
            }
            segment => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            resolved.push(b'/');
        }
    }
    Ok(Cow::Owned(resolved))
}

/// Makes a URI of a decoded path and a query: what [`decoded`] decodes to the path.
pub(super) fn composed(path: &[u8], query: &[u8]) -> Result<Uri, MapError> {
    let mut uri = String::with_capacity(path.len() + 1 + query.len());
    push_encoded(path, is_path_char, &mut uri);
    if !query.is_empty() {
        uri.push('?');
        push_encoded(query, is_query_char, &mut uri);
    }
    parsed(uri.as_bytes()).ok_or(MapError::Target)
}

/// Parses a URI that is a path and perhaps a query.
pub(super) fn parsed(path_and_query: &[u8]) -> Option<Uri> {
    let path_and_query = http::uri::PathAndQuery::try_from(path_and_query).ok()?;
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).ok()
}

fn push_encoded(text: &[u8], is_allowed: fn(u8) -> bool, uri: &mut String) {
    for &byte in text {
        if is_allowed(byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(char::from(HEX[usize::from(byte >> 4)]));
            uri.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// RFC 3986, 3.3: `pchar` and the slash.
fn is_path_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

/// What [`Uri`] accepts: a query stays as it was sent, as far as it can.
fn is_query_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
