use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Uri};

use super::host::Host;
use super::map_error::MapError;
use super::path::{composed, decoded, parsed, resolved, without_dot_segments};

/// What the variables say about the path of a request.
#[derive(Debug)]
pub(super) struct RequestedPath<'a> {
    pub(super) method: &'a Method,
    /// Empty if there is none.
    pub(super) request_uri: &'a [u8],
    pub(super) script_name: Bytes,
    pub(super) path_info: Option<Bytes>,
    pub(super) query: Option<&'a [u8]>,
}

/// What that means in HTTP.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) uri: Uri,
    /// The authority, if the target has one.
    pub(super) host: Option<HeaderValue>,
    pub(super) script_name: Bytes,
    pub(super) path_info: Bytes,
}

impl RequestedPath<'_> {
    /// Decides which URI was requested.
    ///
    /// It is `REQUEST_URI` as the client wrote it, if that means the path and the query
    /// of the other variables. Otherwise these count: the front end has decided about
    /// them, has removed dot segments and perhaps rewritten the path, and what it has
    /// not looked at must not reach the application.
    pub(super) fn target(self) -> Result<Target, MapError> {
        if self.request_uri == b"*" {
            return self.asterisk();
        }
        let sent = SentUri::parse(self.request_uri)?;
        let path_info = self.path_info.clone().filter(|path_info| {
            // The uWSGI router makes it of an absolute URI as if that were a path.
            let is_path = matches!(path_info.first(), None | Some(b'/'));
            let before_query = self.request_uri.split(|&byte| byte == b'?').next();
            is_path || decoded(before_query.unwrap_or_default()).as_deref() != Ok(path_info)
        });
        match (sent, path_info) {
            (None, None) => Err(MapError::MissingVar { key: "REQUEST_URI" }),
            (None, Some(path_info)) => {
                let uri = self.composed(&path_info, self.query.unwrap_or_default())?;
                Ok(self.found(uri, None, path_info))
            }
            (Some(sent), None) => self.sent_alone(sent),
            (Some(sent), Some(path_info)) => self.both(sent, path_info),
        }
    }

    fn asterisk(self) -> Result<Target, MapError> {
        let path_info = self.path_info.as_deref().unwrap_or_default();
        // The uWSGI router sends `*` there, too.
        if self.method != Method::OPTIONS || !matches!(path_info, b"" | b"*") {
            return Err(MapError::Target);
        }
        Ok(self.found(Uri::from_static("*"), None, Bytes::new()))
    }

    /// `REQUEST_URI` without `PATH_INFO`.
    fn sent_alone(self, sent: SentUri<'_>) -> Result<Target, MapError> {
        let path = resolved(sent.path)?;
        let below = below(&path, &self.script_name).ok_or(MapError::OutsideScriptName)?;
        let path_info = Bytes::copy_from_slice(below);
        let is_same = decoded(sent.path)? == path;
        let uri = match sent.verbatim().filter(|_| is_same) {
            Some(uri) => uri,
            None => composed(&path, sent.query.unwrap_or_default())?,
        };
        Ok(self.found(uri, sent.host, path_info))
    }

    fn both(self, sent: SentUri<'_>, path_info: Bytes) -> Result<Target, MapError> {
        let sent_query = sent.query.unwrap_or_default();
        let query = self.query.unwrap_or(sent_query);
        let same_query = query == sent_query;
        // What cannot be decoded is not what the front end has decided about.
        let path = decoded(sent.path).ok().filter(|_| same_query);
        let path_info = match below(&path_info, &self.script_name) {
            // `uwsgi_param SCRIPT_NAME /shop` beside the whole path, with `modifier1` 30.
            Some(below) if !self.script_name.is_empty() && path.as_deref() == Some(&*path_info) => {
                path_info.slice_ref(below)
            }
            _ => path_info,
        };
        let is_same = path.is_some_and(|path| {
            path.strip_prefix(&*self.script_name) == Some(&path_info)
                && without_dot_segments(&path).as_deref() == Ok(&path)
        });
        let uri = match sent.verbatim().filter(|_| is_same) {
            Some(uri) => uri,
            None => self.composed(&path_info, query)?,
        };
        Ok(self.found(uri, sent.host, path_info))
    }

    fn composed(&self, path_info: &[u8], query: &[u8]) -> Result<Uri, MapError> {
        let path = [&*self.script_name, path_info].concat();
        match path.first() {
            // RFC 3875, 4.1.5: the root of a host may be an empty path.
            None => composed(b"/", query),
            Some(b'/') => composed(&without_dot_segments(&path)?, query),
            Some(_) => Err(MapError::Target),
        }
    }

    fn found(self, uri: Uri, host: Option<HeaderValue>, path_info: Bytes) -> Target {
        Target {
            uri,
            host,
            script_name: self.script_name,
            path_info,
        }
    }
}

/// `REQUEST_URI`, taken apart.
#[derive(Debug)]
struct SentUri<'a> {
    path_and_query: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
    host: Option<HeaderValue>,
}

impl<'a> SentUri<'a> {
    /// Reads a path with or without scheme and authority. `None` if it is empty.
    fn parse(uri: &'a [u8]) -> Result<Option<Self>, MapError> {
        if uri.is_empty() {
            return Ok(None);
        }
        let (host, path_and_query) = match uri.first() {
            Some(b'/') => (None, uri),
            _ => absolute(uri)?,
        };
        let mut halves = path_and_query.splitn(2, |&byte| byte == b'?');
        Ok(Some(Self {
            path_and_query,
            path: halves.next().unwrap_or_default(),
            query: halves.next(),
            host,
        }))
    }

    /// Returns the URI as it was sent; `None` if it has bytes that no URI has.
    fn verbatim(&self) -> Option<Uri> {
        // A fragment would be cut off.
        match self.path_and_query.contains(&b'#') {
            true => None,
            false => parsed(self.path_and_query),
        }
    }
}

/// Takes scheme and authority off (RFC 9112, 3.2.2). nginx has done that, Apache and the
/// uWSGI router have not.
fn absolute(uri: &[u8]) -> Result<(Option<HeaderValue>, &[u8]), MapError> {
    let is_scheme = |scheme: &&&[u8]| {
        uri.split_at_checked(scheme.len())
            .is_some_and(|(start, _)| start.eq_ignore_ascii_case(scheme))
    };
    let scheme = [&b"http://"[..], b"https://"];
    let scheme = scheme.iter().find(is_scheme).ok_or(MapError::Target)?;
    let rest = &uri[scheme.len()..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    // RFC 9110, 4.2.1: there is no URI of http without a host.
    if authority.is_empty() {
        return Err(MapError::Host);
    }
    let host = Host::parse(authority)?;
    let host = HeaderValue::from_str(host.as_str()).map_err(|_| MapError::Host)?;
    match path.first() {
        None => Ok((Some(host), b"/")),
        Some(b'/') => Ok((Some(host), path)),
        Some(_) => Err(MapError::Target),
    }
}

/// The part of a path behind a prefix that ends where a segment does.
fn below<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(prefix)
        .filter(|rest| matches!(rest.first(), None | Some(b'/')))
}
