use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use std::net::IpAddr;
use std::string::ToString;
use std::vec::Vec;

use super::body_length::{BodyLength, header_length};
use super::connection_info::{ConnectionInfo, Scheme};
use super::header_names::{HopByHop, is_single, is_withheld, push_key};
use super::host::Host;
use super::map_error::MapError;
use super::path::resolved;
use crate::PacketBuilder;

/// How a request of HTTP becomes variables: the choices that a front end has.
///
/// The default is what nginx sends with its `uwsgi_params`; the
/// [module](crate::http#how-a-request-is-mapped) lists every decision.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::PacketBuilder;
/// use uwsgi_codec::http::{BodyLength, ConnectionInfo, RequestMapping};
///
/// let (parts, _) = http::Request::post("/shop/caf%C3%A9?page=2")
///     .header("Host", "example.com")
///     .header("Content-Length", "5")
///     .header("X-Tag", "a")
///     .header("X-Tag", "b")
///     .body(())?
///     .into_parts();
/// let body = BodyLength::of(&parts)?;
/// let mapping = RequestMapping::new().with_script_name("/shop")?;
///
/// let mut packet = PacketBuilder::new();
/// mapping.to_vars(&parts, &ConnectionInfo::new(), body, &mut packet)?;
///
/// let vars = packet.build()?.vars;
/// assert_eq!(vars.get("SCRIPT_NAME"), Some(&b"/shop"[..]));
/// assert_eq!(vars.get("PATH_INFO"), Some("/café".as_bytes()));
/// assert_eq!(vars.get("CONTENT_LENGTH"), Some(&b"5"[..]));
/// assert_eq!(vars.get("HTTP_X_TAG"), Some(&b"a, b"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestMapping {
    absent_body: AbsentBody,
    repeated: Repeated,
    unsafe_names: UnsafeNames,
    script_name: Bytes,
    document_root: Option<Bytes>,
}

/// What `CONTENT_LENGTH` is for a request without a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbsentBody {
    /// Empty, as nginx sends it.
    #[default]
    Empty,
    /// `0`, as lighttpd sends it. The server cannot tell it from a body of no bytes.
    Zero,
    /// Not there, as with Apache and the uWSGI router.
    Omit,
}

/// How a header that is there several times is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeated {
    /// As one pair: joined by `, `, or `; ` for `Cookie` (RFC 9110, 5.3; RFC 9113,
    /// 8.2.3). So does nginx since 1.23.
    #[default]
    Join,
    /// As a pair for each, except `Cookie`. So did nginx before 1.23; many servers take
    /// only the last.
    Pairs,
}

/// What becomes of a header whose name has other bytes than letters, digits and
/// hyphens, such as `X_Foo`, which would be the variable of `X-Foo`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnsafeNames {
    /// It is left out, as nginx and Apache do it.
    #[default]
    Drop,
    /// The request is refused: [`MapError::HeaderName`].
    Refuse,
}

impl RequestMapping {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what a request without a body says about its length. Default:
    /// [`AbsentBody::Empty`].
    #[must_use]
    pub fn with_absent_body(mut self, absent_body: AbsentBody) -> Self {
        self.absent_body = absent_body;
        self
    }

    /// Sets how repeated headers are sent. Default: [`Repeated::Join`].
    #[must_use]
    pub fn with_repeated(mut self, repeated: Repeated) -> Self {
        self.repeated = repeated;
        self
    }

    /// Sets what becomes of headers with unsafe names. Default: [`UnsafeNames::Drop`].
    #[must_use]
    pub fn with_unsafe_names(mut self, unsafe_names: UnsafeNames) -> Self {
        self.unsafe_names = unsafe_names;
        self
    }

    /// Sets the path that the application is mounted at, decoded and without a slash
    /// at its end: `/shop`. Only paths under it are mapped. Default: none, and no
    /// `SCRIPT_NAME` is sent.
    ///
    /// # Errors
    ///
    /// [`MapError::Target`] if it does not begin with a slash, ends with one, or has
    /// dot segments or a NUL.
    pub fn with_script_name(mut self, path: impl AsRef<[u8]>) -> Result<Self, MapError> {
        let path = path.as_ref();
        let is_dot_segment = |segment: &[u8]| matches!(segment, b"." | b"..");
        if !path.starts_with(b"/")
            || path.ends_with(b"/")
            || path.contains(&0)
            || path.split(|&byte| byte == b'/').any(is_dot_segment)
        {
            return Err(MapError::Target);
        }
        self.script_name = Bytes::copy_from_slice(path);
        Ok(self)
    }

    /// Sets `DOCUMENT_ROOT`. Default: it is not sent.
    #[must_use]
    pub fn with_document_root(mut self, path: impl AsRef<[u8]>) -> Self {
        self.document_root = Some(Bytes::copy_from_slice(path.as_ref()));
        self
    }

    /// Appends the variables of a request to a packet.
    ///
    /// `body` is what will be sent behind the packet; [`BodyLength::of`] reads it from
    /// the headers, and whoever has received a chunked body knows its length. More
    /// variables may be appended before and after, of equal names the last one counts.
    ///
    /// # Errors
    ///
    /// Those of [`MapError`]; the response to such a request is
    /// [`MapError::http_status`]. Discard the packet then: it may have some of the
    /// variables.
    pub fn to_vars(
        &self,
        parts: &Parts,
        connection: &ConnectionInfo,
        body: BodyLength,
        packet: &mut PacketBuilder,
    ) -> Result<(), MapError> {
        let target = Target::of(parts)?;
        let path = self.path_info(&target.path)?;
        let host = Host::of(parts)?;
        let length = checked_length(&parts.headers, body)?;

        packet.var("QUERY_STRING", target.query)?;
        packet.var("REQUEST_METHOD", parts.method.as_str())?;
        let content_type = single(&parts.headers, &CONTENT_TYPE)?;
        if let Some(value) = content_type.filter(|value| !value.is_empty()) {
            packet.var("CONTENT_TYPE", value)?;
        }
        match (length, self.absent_body) {
            (Some(length), _) => packet.var("CONTENT_LENGTH", length.to_string())?,
            (None, AbsentBody::Empty) => packet.var("CONTENT_LENGTH", "")?,
            (None, AbsentBody::Zero) => packet.var("CONTENT_LENGTH", "0")?,
            (None, AbsentBody::Omit) => packet,
        };
        target.write_uri(packet)?;
        if !self.script_name.is_empty() {
            packet.var("SCRIPT_NAME", &self.script_name)?;
        }
        packet.var("PATH_INFO", path)?;
        if let Some(root) = &self.document_root {
            packet.var("DOCUMENT_ROOT", root)?;
        }
        packet.var("SERVER_PROTOCOL", protocol(parts.version)?)?;
        write_connection(connection, host.as_ref(), packet)?;
        if let Some(host) = &host {
            packet.var("HTTP_HOST", host.as_str())?;
        }
        self.write_headers(&parts.headers, packet)
    }

    /// Returns the part of the path behind `SCRIPT_NAME`.
    fn path_info<'a>(&self, path: &'a [u8]) -> Result<&'a [u8], MapError> {
        // `OPTIONS *` is about the server, wherever the application is.
        if path.is_empty() {
            return Ok(path);
        }
        match path.strip_prefix(&*self.script_name) {
            Some(rest) if matches!(rest.first(), None | Some(b'/')) => Ok(rest),
            _ => Err(MapError::OutsideScriptName),
        }
    }

    fn write_headers(
        &self,
        headers: &HeaderMap,
        packet: &mut PacketBuilder,
    ) -> Result<(), MapError> {
        let hop_by_hop = HopByHop::of(headers);
        let mut key = Vec::with_capacity(64);
        let mut joined = Vec::new();
        for name in headers.keys() {
            let is_mapped_above = [HOST, CONTENT_TYPE, CONTENT_LENGTH].contains(name);
            if is_mapped_above || hop_by_hop.contains(name) || is_withheld(name) {
                continue;
            }
            key.clear();
            if !push_key(name, &mut key) {
                match self.unsafe_names {
                    UnsafeNames::Drop => continue,
                    UnsafeNames::Refuse => {
                        return Err(MapError::HeaderName { name: name.clone() });
                    }
                }
            }
            let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
            let Some(first) = values.next() else { continue };
            let Some(second) = values.next() else {
                packet.var(&key, first)?;
                continue;
            };
            if is_single(name) {
                return Err(MapError::RepeatedHeader { name: name.clone() });
            }
            let all = [first, second].into_iter().chain(values);
            let separator = match (self.repeated, name) {
                (_, name) if name == COOKIE => b"; ",
                (Repeated::Join, _) => b", ",
                (Repeated::Pairs, _) => {
                    packet.vars(all.map(|value| (&key, value)))?;
                    continue;
                }
            };
            joined.clear();
            for value in all {
                joined.extend_from_slice(value);
                joined.extend_from_slice(separator);
            }
            joined.truncate(joined.len() - separator.len());
            packet.var(&key, &joined)?;
        }
        Ok(())
    }
}

/// The request target.
struct Target<'a> {
    /// As in `REQUEST_URI`.
    raw_path: &'a str,
    raw_query: Option<&'a str>,
    query: &'a str,
    /// Decoded, and empty for `*`.
    path: Vec<u8>,
}

impl<'a> Target<'a> {
    fn of(parts: &'a Parts) -> Result<Self, MapError> {
        // RFC 9110, 9.3.6: a tunnel. RFC 8441 gives it a path, and means a tunnel still.
        if parts.method == Method::CONNECT {
            return Err(MapError::Connect);
        }
        let raw_path = parts.uri.path();
        let raw_query = parts.uri.query();
        let path = match raw_path {
            // RFC 9112, 3.2.4. The path is empty (RFC 3875, 4.1.5: "" or one that
            // begins with a slash), REQUEST_URI is `*`.
            "*" if parts.method == Method::OPTIONS && raw_query.is_none() => Vec::new(),
            path if path.starts_with('/') => resolved(path.as_bytes())?,
            _ => return Err(MapError::Target),
        };
        Ok(Self {
            raw_path,
            raw_query,
            query: raw_query.unwrap_or_default(),
            path,
        })
    }

    /// Writes `REQUEST_URI`: what the client sent, without scheme and authority, as
    /// nginx and Apache do it.
    fn write_uri(&self, packet: &mut PacketBuilder) -> Result<(), MapError> {
        let Some(query) = self.raw_query else {
            packet.var("REQUEST_URI", self.raw_path)?;
            return Ok(());
        };
        let mut uri = Vec::with_capacity(self.raw_path.len() + 1 + query.len());
        uri.extend_from_slice(self.raw_path.as_bytes());
        uri.push(b'?');
        uri.extend_from_slice(query.as_bytes());
        packet.var("REQUEST_URI", uri)?;
        Ok(())
    }
}

/// Compares what the headers say with what will be sent.
fn checked_length(headers: &HeaderMap, body: BodyLength) -> Result<Option<u64>, MapError> {
    let header = header_length(headers)?;
    if header.is_some() && headers.contains_key(http::header::TRANSFER_ENCODING) {
        return Err(MapError::TransferEncodingWithLength);
    }
    let bytes = body.bytes().ok_or(MapError::LengthRequired)?;
    match (header, body) {
        (Some(header), _) if header != bytes => Err(MapError::BodyLength {
            header,
            body: bytes,
        }),
        (None, BodyLength::Absent) => Ok(None),
        _ => Ok(Some(bytes)),
    }
}

fn write_connection(
    connection: &ConnectionInfo,
    host: Option<&Host>,
    packet: &mut PacketBuilder,
) -> Result<(), MapError> {
    packet.var("REQUEST_SCHEME", connection.scheme.as_str())?;
    // nginx: `uwsgi_param HTTPS $https if_not_empty`.
    if connection.scheme == Scheme::Https {
        packet.var("HTTPS", "on")?;
    }
    // PEP 3333 and RFC 3875, 4.1.8: it is always there. For a Unix socket it is empty, as
    // with gunicorn; nginx says `unix:`.
    let remote_addr = connection.remote_addr.as_ref().map(IpAddr::to_string);
    packet.var("REMOTE_ADDR", remote_addr.unwrap_or_default())?;
    if let Some(port) = connection.remote_port {
        packet.var("REMOTE_PORT", port.to_string())?;
    }
    // RFC 3875, 4.1.14 and 4.1.15; PEP 3333: "can never be empty strings".
    let asked = host.filter(|host| !host.name().is_empty());
    let port = connection.server_port;
    let port = port.or_else(|| asked.and_then(|host| host.port));
    let port = port.unwrap_or_else(|| connection.scheme.default_port());
    packet.var("SERVER_PORT", port.to_string())?;
    let name = connection.server_name.as_deref();
    let name = name.or_else(|| asked.map(Host::name));
    packet.var("SERVER_NAME", name.unwrap_or("localhost"))?;
    Ok(())
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, MapError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(MapError::RepeatedHeader { name: name.clone() }),
        None => Ok(first),
    }
}

/// What `SERVER_PROTOCOL` is, as nginx writes it.
fn protocol(version: Version) -> Result<&'static str, MapError> {
    Ok(match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => {
            return Err(MapError::Var {
                key: "SERVER_PROTOCOL".into(),
            });
        }
    })
}
