use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Version};
use std::str::{self, FromStr};
use std::string::String;

use super::body_length::BodyLength;
use super::connection_info::{ConnectionInfo, Scheme};
use super::header_names::{header_of, is_hop_by_hop, is_withheld};
use super::host::Host;
use super::map_error::MapError;
use super::requested_path::RequestedPath;
use crate::{ContentLength, Vars};

/// What the variables of a request say that an HTTP request has no place for.
///
/// [`from_vars`] puts it into the extensions of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestContext {
    /// The client's connection to the front end.
    pub connection: ConnectionInfo,
    /// `SCRIPT_NAME`: the decoded path that the application is mounted at.
    pub script_name: Bytes,
    /// `PATH_INFO`: the decoded path below that.
    pub path_info: Bytes,
    /// All variables, such as `REMOTE_USER` and a site's own.
    pub vars: Vars,
}

/// Makes a request of HTTP of the variables of a packet: the server's side.
///
/// Values are not copied: headers share the packet's bytes and keep them alive. The
/// extensions have a [`RequestContext`]. The [module](crate::http#and-back) lists every
/// decision.
///
/// # Errors
///
/// - [`MapError::MissingVar`]: no `REQUEST_METHOD`, or neither `REQUEST_URI` nor
///   `PATH_INFO`;
/// - [`MapError::Var`]: a value that HTTP does not allow there;
/// - [`MapError::ContentLength`]: see [`content_length`](crate::content_length());
/// - [`MapError::LengthRequired`]: the client's `Transfer-Encoding`, and no length;
/// - [`MapError::Host`]; [`MapError::RepeatedHeader`]: several that differ;
/// - [`MapError::Connect`], [`MapError::Target`], [`MapError::PathNul`],
///   [`MapError::PathAboveRoot`], [`MapError::PathEncoding`],
///   [`MapError::OutsideScriptName`], [`MapError::TooManyHeaders`].
///
/// # Examples
///
/// ```
/// use uwsgi_codec::PacketBuilder;
/// use uwsgi_codec::http::{BodyLength, RequestContext, from_vars};
///
/// let packet = PacketBuilder::new()
///     .var("REQUEST_METHOD", "POST")?
///     .var("REQUEST_URI", "/caf%C3%A9?page=2")?
///     .var("PATH_INFO", "/café")?
///     .var("QUERY_STRING", "page=2")?
///     .var("CONTENT_LENGTH", "5")?
///     .var("REMOTE_ADDR", "192.0.2.1")?
///     .var("HTTP_HOST", "example.com")?
///     .build()?;
///
/// let (parts, body) = from_vars(&packet.vars)?;
/// assert_eq!(parts.method, "POST");
/// assert_eq!(parts.uri, "/caf%C3%A9?page=2");
/// assert_eq!(parts.headers["host"], "example.com");
/// assert_eq!(body, BodyLength::Known(5));
///
/// let context = parts.extensions.get::<RequestContext>().expect("from_vars");
/// let client = context.connection.remote_addr;
/// assert_eq!(client, Some("192.0.2.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_vars(vars: &Vars) -> Result<(Parts, BodyLength), MapError> {
    let mut read = Read {
        headers: HeaderMap::try_with_capacity(vars.len()).map_err(|_| MapError::TooManyHeaders)?,
        ..Read::default()
    };
    for (key, value) in vars {
        read.note(key, value, vars)?;
    }
    read.finish(vars)
}

/// The variables that mean something here. Of each the last one counts.
#[derive(Default)]
struct Read<'a> {
    method: Option<&'a [u8]>,
    request_uri: Option<&'a [u8]>,
    script_name: Option<&'a [u8]>,
    path_info: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    length: ContentLength,
    remote_addr: Option<&'a [u8]>,
    remote_port: Option<&'a [u8]>,
    server_name: Option<&'a [u8]>,
    server_port: Option<&'a [u8]>,
    uwsgi_scheme: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    https: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    headers: HeaderMap,
}

impl<'a> Read<'a> {
    fn note(&mut self, key: &[u8], value: &'a [u8], vars: &Vars) -> Result<(), MapError> {
        let place = match key {
            b"REQUEST_METHOD" => &mut self.method,
            b"REQUEST_URI" => &mut self.request_uri,
            b"SCRIPT_NAME" => &mut self.script_name,
            b"PATH_INFO" => &mut self.path_info,
            b"QUERY_STRING" => &mut self.query,
            b"SERVER_PROTOCOL" => &mut self.protocol,
            b"CONTENT_TYPE" => &mut self.content_type,
            b"REMOTE_ADDR" => &mut self.remote_addr,
            b"REMOTE_PORT" => &mut self.remote_port,
            b"SERVER_NAME" => &mut self.server_name,
            b"SERVER_PORT" => &mut self.server_port,
            b"UWSGI_SCHEME" => &mut self.uwsgi_scheme,
            b"REQUEST_SCHEME" => &mut self.scheme,
            b"HTTPS" => &mut self.https,
            b"HTTP_TRANSFER_ENCODING" => &mut self.transfer_encoding,
            b"CONTENT_LENGTH" => return Ok(self.length.note(value)?),
            _ => return self.note_header(key, value, vars),
        };
        *place = Some(value);
        Ok(())
    }

    fn note_header(&mut self, key: &[u8], value: &[u8], vars: &Vars) -> Result<(), MapError> {
        let Some(name) = header_of(key) else {
            return Ok(());
        };
        // nginx sends HTTP_CONTENT_LENGTH and HTTP_CONTENT_TYPE too, as the client wrote
        // them; what the front end did with the body is in those without a prefix.
        let is_elsewhere = [CONTENT_LENGTH, CONTENT_TYPE].contains(&name);
        if is_elsewhere || is_hop_by_hop(&name) || is_withheld(&name) {
            return Ok(());
        }
        if name == HOST {
            // The uWSGI router sends `a, b` for two of them.
            Host::parse(value)?;
            match self.headers.get(HOST) {
                Some(host) if host.as_bytes() == value => return Ok(()),
                Some(_) => return Err(MapError::RepeatedHeader { name }),
                None => {}
            }
        }
        append(&mut self.headers, name, header_value(key, value, vars)?)
    }

    fn finish(mut self, vars: &Vars) -> Result<(Parts, BodyLength), MapError> {
        let method = self.method()?;
        let body = self.body()?;
        if let BodyLength::Known(length) = body {
            append(&mut self.headers, CONTENT_LENGTH, length.into())?;
        }
        if let Some(value) = self.content_type.filter(|value| !value.is_empty()) {
            let value = header_value(b"CONTENT_TYPE", value, vars)?;
            append(&mut self.headers, CONTENT_TYPE, value)?;
        }
        let version = self.version()?;
        let target = RequestedPath {
            method: &method,
            request_uri: self.request_uri.unwrap_or_default(),
            script_name: vars.as_bytes().slice_ref(self.script_name()),
            path_info: self.path_info.map(|path| vars.as_bytes().slice_ref(path)),
            query: self.query,
        };
        let target = target.target()?;
        // RFC 9112, 3.2.2: the target's authority counts, whatever `Host` says.
        if let Some(host) = target.host {
            self.headers.insert(HOST, host);
        }
        let context = RequestContext {
            connection: self.connection(),
            script_name: target.script_name,
            path_info: target.path_info,
            vars: vars.clone(),
        };
        // Parts cannot be made in another way.
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method;
        parts.uri = target.uri;
        parts.version = version;
        parts.headers = self.headers;
        parts.extensions.insert(context);
        Ok((parts, body))
    }

    fn method(&self) -> Result<Method, MapError> {
        let missing = MapError::MissingVar {
            key: "REQUEST_METHOD",
        };
        let method = self.method.ok_or(missing)?;
        match Method::from_bytes(method).map_err(|_| var(b"REQUEST_METHOD"))? {
            Method::CONNECT => Err(MapError::Connect),
            method => Ok(method),
        }
    }

    /// Without a slash at the end, which the path below begins with: `SCRIPT_NAME=/` is a
    /// common way to say that there is none.
    fn script_name(&self) -> &'a [u8] {
        let name = self.script_name.unwrap_or_default();
        let is_below = self.path_info.unwrap_or(b"/").starts_with(b"/");
        match name.strip_suffix(b"/") {
            Some(shorter) if is_below => shorter,
            _ => name,
        }
    }

    fn body(&self) -> Result<BodyLength, MapError> {
        match self.length.get() {
            Some(length) => Ok(BodyLength::Known(length)),
            // nginx receives a chunked body to its end and then sends its length. Without
            // a length nobody knows where it ends.
            None if self.transfer_encoding.is_some() => Err(MapError::LengthRequired),
            None => Ok(BodyLength::Absent),
        }
    }

    fn version(&self) -> Result<Version, MapError> {
        Ok(match self.protocol {
            Some(b"HTTP/1.1") => Version::HTTP_11,
            Some(b"HTTP/2.0" | b"HTTP/2") => Version::HTTP_2,
            Some(b"HTTP/3.0" | b"HTTP/3") => Version::HTTP_3,
            // uWSGI answers so if there is none.
            Some(b"HTTP/1.0" | b"") | None => Version::HTTP_10,
            Some(b"HTTP/0.9") => Version::HTTP_09,
            Some(_) => return Err(var(b"SERVER_PROTOCOL")),
        })
    }

    fn connection(&self) -> ConnectionInfo {
        // nginx: `unix:` for the address, and an empty port.
        ConnectionInfo {
            remote_addr: parse(self.remote_addr),
            remote_port: parse(self.remote_port),
            server_name: parse(self.server_name).filter(|name: &String| !name.is_empty()),
            server_port: parse(self.server_port),
            scheme: self.scheme(),
        }
    }

    /// In the order of uWSGI (`uwsgi_parse_vars`, `uwsgi_request_wsgi`). An empty or
    /// unknown value says nothing.
    fn scheme(&self) -> Scheme {
        let named = |value: Option<&[u8]>| Scheme::named(value.unwrap_or_default());
        let https = self.https.unwrap_or_default();
        let is_on = |on: &&str| https.eq_ignore_ascii_case(on.as_bytes());
        let switched_on = || {
            let on = ["on", "1", "true"].iter().any(is_on);
            on.then_some(Scheme::Https)
        };
        named(self.uwsgi_scheme)
            .or_else(switched_on)
            .or_else(|| named(self.scheme))
            .unwrap_or_default()
    }
}

fn parse<T: FromStr>(value: Option<&[u8]>) -> Option<T> {
    str::from_utf8(value?).ok()?.parse().ok()
}

/// Shares the bytes of the packet.
fn header_value(key: &[u8], value: &[u8], vars: &Vars) -> Result<HeaderValue, MapError> {
    let value = vars.as_bytes().slice_ref(value);
    HeaderValue::from_maybe_shared(value).map_err(|_| var(key))
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), MapError> {
    let appended = headers.try_append(name, value);
    appended.map(|_| ()).map_err(|_| MapError::TooManyHeaders)
}

fn var(key: &[u8]) -> MapError {
    MapError::Var {
        key: String::from_utf8_lossy(key).into_owned(),
    }
}
