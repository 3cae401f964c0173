//! A request that is mapped to variables and back is the same or refused, and so are
//! variables that are mapped to a request and back; neither gives away what it should not.

#![no_main]

use arbitrary::Arbitrary;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Version};
use libfuzzer_sys::fuzz_target;
use uwsgi_codec::http::{
    AbsentBody, BodyLength, ConnectionInfo, MapError, Repeated, RequestContext, RequestMapping,
    UnsafeNames, from_vars,
};
use uwsgi_codec::{PacketBuilder, Vars};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Request(HttpRequest<'a>),
    Vars(Vec<(Key<'a>, &'a [u8])>),
}

#[derive(Arbitrary, Debug)]
struct HttpRequest<'a> {
    method: &'a [u8],
    target: &'a [u8],
    is_http_2: bool,
    headers: Vec<(Name<'a>, &'a [u8])>,
    body: Option<u8>,
    repeated_pairs: bool,
    refuse_names: bool,
    absent_body: u8,
    has_script_name: bool,
}

macro_rules! named {
    ($type:ident, $($variant:ident = $name:literal),*) => {
        #[derive(Arbitrary, Debug)]
        enum $type<'a> {
            $($variant,)*
            Other(&'a [u8]),
        }

        impl $type<'_> {
            fn bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }
        }
    };
}

named!(
    Name,
    Host = b"host",
    Cookie = b"cookie",
    Connection = b"connection",
    Length = b"content-length",
    Type = b"content-type",
    Encoding = b"transfer-encoding",
    Proxy = b"proxy",
    Te = b"te"
);

named!(
    Key,
    Method = b"REQUEST_METHOD",
    Uri = b"REQUEST_URI",
    ScriptName = b"SCRIPT_NAME",
    PathInfo = b"PATH_INFO",
    Query = b"QUERY_STRING",
    Protocol = b"SERVER_PROTOCOL",
    Length = b"CONTENT_LENGTH",
    Type = b"CONTENT_TYPE",
    Host = b"HTTP_HOST",
    Foo = b"HTTP_X_FOO",
    Proxy = b"HTTP_PROXY",
    Encoding = b"HTTP_TRANSFER_ENCODING",
    Https = b"HTTPS",
    RemoteAddr = b"REMOTE_ADDR",
    ServerName = b"SERVER_NAME",
    ServerPort = b"SERVER_PORT"
);

fuzz_target!(|input: Input<'_>| match input {
    Input::Request(request) => check_request(&request),
    Input::Vars(pairs) => {
        let pairs = pairs.iter().map(|(key, value)| (key.bytes(), value));
        let packet: PacketBuilder = pairs.collect();
        if let Ok(packet) = packet.build() {
            check_vars(&packet.vars);
        }
    }
});

fn check_request(request: &HttpRequest<'_>) {
    let Some(parts) = request.parts() else { return };
    let mapping = request.mapping();
    let connection = ConnectionInfo::new();
    let body = match request.body {
        Some(length) => BodyLength::Known(length.into()),
        None => BodyLength::Absent,
    };
    let Ok(vars) = map(&mapping, &parts, &connection, body) else {
        return;
    };
    assert!(vars.get("HTTP_PROXY").is_none());
    assert!(vars.get("HTTP_TRANSFER_ENCODING").is_none());
    assert!(vars.get_all("CONTENT_LENGTH").count() <= 1);
    assert!(vars.get_all("HTTP_HOST").count() <= 1);
    let path = vars.get("PATH_INFO").expect("it is always there");
    assert!(path.split(|&byte| byte == b'/').all(|part| part != b"." && part != b".."));
    assert!(!path.contains(&0));
    if let Ok(length) = BodyLength::of(&parts) {
        assert!(!matches!(length, BodyLength::Known(length) if Some(length) != body.bytes()));
    }

    let (back, _) = from_vars(&vars).expect("it was mapped");
    assert_eq!(back.method, parts.method);
    assert_eq!(back.version, parts.version);
    for (name, value) in &back.headers {
        let is_made = *name == HOST || *name == CONTENT_LENGTH;
        let sent: Vec<_> = parts.headers.get_all(name).iter().collect();
        let is_joined = || sent.iter().all(|one| is_part(one.as_bytes(), value.as_bytes()));
        assert!(is_made || sent.contains(&value) || (sent.len() > 1 && is_joined()), "{name}");
    }
    check_vars(&vars);
}

/// Variables that are a request are the same request when they come back.
fn check_vars(vars: &Vars) {
    let Ok((once, body)) = from_vars(vars) else {
        return;
    };
    assert!(!once.headers.contains_key("proxy"));
    let context = once.extensions.get::<RequestContext>();
    let connection = &context.expect("from_vars").connection;
    let mapping = RequestMapping::new().with_repeated(Repeated::Pairs);
    let vars = match map(&mapping, &once, connection, body) {
        Ok(vars) => vars,
        // The names of headers are longer than those of the variables that they were.
        Err(MapError::Encode(_) | MapError::RepeatedHeader { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let (twice, body_twice) = from_vars(&vars).expect("it was mapped");
    assert_eq!(once.method, twice.method);
    assert_eq!(once.uri, twice.uri);
    assert_eq!(once.version, twice.version);
    assert_eq!(body, body_twice);
    for name in once.headers.keys().filter(|name| *name != "cookie") {
        let values = |parts: &Parts| -> Vec<_> {
            parts.headers.get_all(name).iter().cloned().collect()
        };
        assert_eq!(values(&once), values(&twice), "{name}");
    }
    assert_eq!(once.headers.keys_len(), twice.headers.keys_len());
}

fn is_part(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

fn map(
    mapping: &RequestMapping,
    parts: &Parts,
    connection: &ConnectionInfo,
    body: BodyLength,
) -> Result<Vars, MapError> {
    let mut packet = PacketBuilder::new();
    mapping.to_vars(parts, connection, body, &mut packet)?;
    Ok(packet.build()?.vars)
}

impl HttpRequest<'_> {
    fn parts(&self) -> Option<Parts> {
        let method = match self.method {
            b"" => Method::GET,
            method => Method::from_bytes(method).ok()?,
        };
        let version = match self.is_http_2 {
            true => Version::HTTP_2,
            false => Version::HTTP_11,
        };
        let request = Request::builder().method(method).uri(self.target);
        let (mut parts, ()) = request.version(version).body(()).ok()?.into_parts();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.bytes()).ok()?;
            let value = HeaderValue::from_bytes(value).ok()?;
            parts.headers.append(name, value);
        }
        Some(parts)
    }

    fn mapping(&self) -> RequestMapping {
        let mapping = RequestMapping::new()
            .with_absent_body(match self.absent_body % 3 {
                0 => AbsentBody::Empty,
                1 => AbsentBody::Zero,
                _ => AbsentBody::Omit,
            })
            .with_repeated(match self.repeated_pairs {
                true => Repeated::Pairs,
                false => Repeated::Join,
            })
            .with_unsafe_names(match self.refuse_names {
                true => UnsafeNames::Refuse,
                false => UnsafeNames::Drop,
            });
        match self.has_script_name {
            true => mapping.with_script_name("/a").expect("it is a path"),
            false => mapping,
        }
    }
}
