//! The names of headers and those of their variables.

use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use std::vec::Vec;

/// Removes the headers that are for one connection only: `Connection` and all that it
/// names, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`,
/// `Upgrade` (RFC 9110, 7.6.1).
///
/// A front end calls it before it adds headers of its own, such as
/// `X-Forwarded-For`: otherwise a client that writes
/// `Connection: x-forwarded-for` takes them away again.
/// [`RequestMapping`](super::RequestMapping) leaves the same headers out.
///
/// `Host`, `Content-Type` and `Content-Length` stay even if they are named: without
/// them it would be another request.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let connection: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    let named = connection.iter().flat_map(options);
    for name in named.flat_map(HeaderName::from_bytes) {
        if !is_essential(&name) {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The headers that are not passed on.
pub(super) struct HopByHop<'a> {
    connection: Vec<&'a HeaderValue>,
}

impl<'a> HopByHop<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        // Browsers send `keep-alive` to servers of HTTP/1: no need to look at it again.
        let names_headers = |value: &&HeaderValue| {
            !value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
                && !value.as_bytes().eq_ignore_ascii_case(b"close")
        };
        let connection = headers.get_all(CONNECTION).iter();
        Self {
            connection: connection.filter(names_headers).collect(),
        }
    }

    pub(super) fn contains(&self, name: &HeaderName) -> bool {
        let is_named = || {
            let mut options = self.connection.iter().flat_map(|value| options(value));
            options.any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
        };
        is_hop_by_hop(name) || (!self.connection.is_empty() && !is_essential(name) && is_named())
    }
}

pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

/// Whether a header is for the front end alone, or dangerous as a variable.
pub(super) fn is_withheld(name: &HeaderName) -> bool {
    WITHHELD.contains(&name.as_str())
}

/// Whether two values of a header contradict each other. A list of them has no meaning,
/// and nginx answers 400 (`ngx_http_process_unique_header_line`).
pub(super) fn is_single(name: &HeaderName) -> bool {
    SINGLE.contains(&name.as_str())
}

/// Appends `HTTP_` and the name as CGI writes it (RFC 3875, 4.1.18); says whether the
/// name can be read back from it.
///
/// Only letters, digits and hyphens can: `X_Foo` and `X.Foo` must not be taken for
/// `X-Foo`, which a front end may have set. nginx drops such headers
/// (`underscores_in_headers`, `ignore_invalid_headers`), and so does Apache since 2.4.
pub(super) fn push_key(name: &HeaderName, key: &mut Vec<u8>) -> bool {
    key.extend_from_slice(b"HTTP_");
    // A header name is in lower case here.
    key.extend(name.as_str().bytes().map(|byte| match byte {
        b'-' => b'_',
        byte => byte.to_ascii_uppercase(),
    }));
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.as_str().bytes().all(is_safe)
}

/// Returns the header of a variable; `None` if it is another variable.
pub(super) fn header_of(key: &[u8]) -> Option<HeaderName> {
    let name = key.strip_prefix(b"HTTP_")?;
    let is_safe = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    if !name.iter().all(is_safe) {
        return None;
    }
    let mut lower = [0; MAX_ON_STACK];
    let mut longer = Vec::new();
    let lower = match lower.get_mut(..name.len()) {
        Some(lower) => lower,
        None => {
            longer.resize(name.len(), 0);
            &mut longer[..]
        }
    };
    for (to, from) in lower.iter_mut().zip(name) {
        *to = match from {
            b'_' => b'-',
            byte => byte.to_ascii_lowercase(),
        };
    }
    HeaderName::from_bytes(lower).ok()
}

fn options(connection: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let options = connection.as_bytes().split(|&byte| byte == b',');
    options.map(<[u8]>::trim_ascii)
}

fn is_essential(name: &HeaderName) -> bool {
    [HOST, CONTENT_TYPE, CONTENT_LENGTH].contains(name)
}

/// RFC 9110, 7.6.1.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const WITHHELD: [&str; 2] = [
    // HTTP_PROXY is the environment variable by which programs choose their proxy:
    // httpoxy, CVE-2016-5385.
    "proxy",
    // RFC 9110, 11.7.2: for the first proxy that asks for it.
    "proxy-authorization",
];

const SINGLE: [&str; 8] = [
    "authorization",
    "content-range",
    "content-type",
    "expect",
    "host",
    "if-modified-since",
    "if-range",
    "if-unmodified-since",
];

const MAX_ON_STACK: usize = 64;
