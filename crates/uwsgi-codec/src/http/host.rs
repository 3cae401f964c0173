//! Which host a request is for.

use http::Version;
use http::header::{HOST, HeaderMap};
use http::request::Parts;
use http::uri::Authority;
use std::string::String;

use super::map_error::MapError;

/// A host with an optional port, as the client wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    text: String,
    name_len: usize,
    pub(super) port: Option<u16>,
}

impl Host {
    /// Reads the host from the target and from `Host`. `None` if neither has one.
    pub(super) fn of(parts: &Parts) -> Result<Option<Self>, MapError> {
        let header = single_host(&parts.headers)?;
        let Some(authority) = parts.uri.authority() else {
            return header.map(Self::parse).transpose();
        };
        // RFC 9113, 8.3.1, and RFC 9114, 4.3.1: a request with two different ones is
        // malformed. In HTTP/1 the header is ignored (RFC 9112, 3.2.2).
        let counts = header.filter(|_| parts.version > Version::HTTP_11);
        if counts.is_some_and(|it| !it.eq_ignore_ascii_case(authority.as_str().as_bytes())) {
            return Err(MapError::HostConflict);
        }
        Self::parse(authority.as_str().as_bytes()).map(Some)
    }

    /// Reads `host [ ":" port ]` (RFC 9110, 7.2). It may be empty (RFC 9112, 3.2); user
    /// information is an error (RFC 9110, 4.2.4).
    pub(super) fn parse(text: &[u8]) -> Result<Self, MapError> {
        if text.is_empty() {
            return Ok(Self {
                text: String::new(),
                name_len: 0,
                port: None,
            });
        }
        let authority = Authority::try_from(text).map_err(|_| MapError::Host)?;
        let text = authority.as_str();
        let name = authority.host();
        let port = match text.strip_prefix(name).ok_or(MapError::Host)? {
            "" | ":" => None,
            port => {
                let digits = port.strip_prefix(':').ok_or(MapError::Host)?;
                let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse().ok().filter(|_| all_digits);
                Some(port.ok_or(MapError::Host)?)
            }
        };
        if name.is_empty() {
            return Err(MapError::Host);
        }
        Ok(Self {
            name_len: name.len(),
            text: text.into(),
            port,
        })
    }

    /// Returns the value of `HTTP_HOST`.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host without the port, an IPv6 address in brackets (RFC 3875,
    /// 4.1.14).
    pub(super) fn name(&self) -> &str {
        &self.text[..self.name_len]
    }
}

/// RFC 9112, 3.2: more than one `Host` is answered with 400, equal or not.
fn single_host(headers: &HeaderMap) -> Result<Option<&[u8]>, MapError> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    match hosts.next() {
        Some(_) => Err(MapError::RepeatedHeader { name: HOST }),
        None => Ok(host.map(|host| host.as_bytes())),
    }
}
