//! What holds for every request, packet and reply.

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use uwsgi_codec::http::{
    AbsentBody, BodyLength, ConnectionInfo, MapError, Repeated, ReplyHead, ReplyLimits,
    RequestContext, RequestMapping, Scheme, UnsafeNames, from_vars,
};
use uwsgi_codec::{PacketBuilder, Vars};

use crate::reply_head::parse;

fn path() -> impl Strategy<Value = String> {
    let piece = select(
        &[
            "/", ".", "..", "/..", "/.", "%2e", "%2F", "%00", "%C3%A9", "%e9", "%", "a", "+", "?",
            "&q=1", "{", "\"", ";", "é", "%25", "shop",
        ][..],
    );
    vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn target() -> impl Strategy<Value = String> {
    let host = select(&["example.com", "[::1]:80", "u@h", "h:", "a_b"][..]);
    prop_oneof![
        6 => path(),
        1 => Just("*".to_owned()),
        1 => (host, path()).prop_map(|(host, path)| format!("http://{host}{path}")),
    ]
}

fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let name = select(
        &[
            "host",
            "cookie",
            "x-foo",
            "x-foo-bar",
            "x_foo",
            "x.foo",
            "-",
            "connection",
            "te",
            "proxy",
            "content-type",
            "content-length",
            "transfer-encoding",
            "authorization",
            "content-encoding",
            "upgrade",
            "accept",
        ][..],
    );
    let value = select(VALUES);
    (name, value).prop_map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        )
    })
}

fn request() -> impl Strategy<Value = Parts> {
    let method = prop_oneof![
        4 => Just(Method::GET), 1 => Just(Method::POST), 1 => Just(Method::HEAD),
        1 => Just(Method::OPTIONS), 1 => Just(Method::CONNECT),
    ];
    let version = prop_oneof![
        Just(Version::HTTP_10),
        Just(Version::HTTP_11),
        Just(Version::HTTP_2)
    ];
    (method, target(), version, vec(header(), 0..6)).prop_filter_map(
        "a target that http accepts",
        |(method, target, version, headers)| {
            let request = Request::builder()
                .method(method)
                .uri(target)
                .version(version);
            let (mut parts, ()) = request.body(()).ok()?.into_parts();
            parts
                .headers
                .extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
            Some(parts)
        },
    )
}

fn mapping() -> impl Strategy<Value = RequestMapping> {
    let absent_body = prop_oneof![
        Just(AbsentBody::Empty),
        Just(AbsentBody::Zero),
        Just(AbsentBody::Omit)
    ];
    let repeated = prop_oneof![Just(Repeated::Join), Just(Repeated::Pairs)];
    let names = prop_oneof![Just(UnsafeNames::Drop), Just(UnsafeNames::Refuse)];
    (absent_body, repeated, names, any::<bool>()).prop_map(
        |(absent_body, repeated, names, shop)| {
            let mapping = RequestMapping::new()
                .with_absent_body(absent_body)
                .with_repeated(repeated)
                .with_unsafe_names(names);
            match shop {
                true => mapping.with_script_name("/shop").unwrap(),
                false => mapping,
            }
        },
    )
}

fn body() -> impl Strategy<Value = BodyLength> {
    prop_oneof![
        Just(BodyLength::Absent),
        Just(BodyLength::Unknown),
        (0_u64..6).prop_map(BodyLength::Known),
    ]
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

/// The headers by name, each with its values.
fn grouped(headers: &HeaderMap) -> Vec<(String, Vec<Vec<u8>>)> {
    let values = |name| {
        headers
            .get_all(name)
            .iter()
            .map(|v| v.as_bytes().to_vec())
            .collect()
    };
    let mut all: Vec<_> = headers.keys().map(|n| (n.to_string(), values(n))).collect();
    all.sort();
    all
}

/// The headers that a request should arrive with, said in another way than in the code.
fn expected_headers(parts: &Parts, repeated: Repeated) -> Vec<(String, Vec<Vec<u8>>)> {
    let options: Vec<String> = parts
        .headers
        .get_all("connection")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("").split(','))
        .map(|option| option.trim().to_ascii_lowercase())
        .collect();
    let mut expected = grouped(&parts.headers);
    expected.retain(|(name, values)| {
        let essential = ["host", "content-type", "content-length"].contains(&name.as_str());
        let hop = ["connection", "te", "transfer-encoding", "upgrade", "proxy"];
        let empty_type = name == "content-type" && values[0].is_empty();
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let named = !essential && options.contains(name);
        plain && !named && !empty_type && !hop.contains(&name.as_str()) && name != "content-length"
    });
    for (name, values) in &mut expected {
        match (name.as_str(), repeated) {
            ("cookie", _) => *values = vec![values.join(&b"; "[..])],
            (_, Repeated::Join) => *values = vec![values.join(&b", "[..])],
            // `Repeated::Pairs`.
            _ => {}
        }
    }
    if let Some(authority) = parts.uri.authority() {
        expected.retain(|(name, _)| name != "host");
        expected.push(("host".to_owned(), vec![authority.as_str().into()]));
        expected.sort();
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn request_comes_back_the_same_or_is_refused(
        parts in request(),
        repeated in prop_oneof![Just(Repeated::Join), Just(Repeated::Pairs)],
        body in body(),
    ) {
        let mapping = RequestMapping::new().with_repeated(repeated);
        let connection = ConnectionInfo::new()
            .with_remote("192.0.2.1:52814".parse().unwrap())
            .with_server_name("site")
            .with_server_port(81)
            .with_scheme(Scheme::Https);
        let Ok(vars) = map(&mapping, &parts, &connection, body) else { return Ok(()) };
        let (back, length) = from_vars(&vars)?;

        prop_assert_eq!(&back.method, &parts.method);
        prop_assert_eq!(back.version, parts.version);
        let context = back.extensions.get::<RequestContext>().unwrap();
        prop_assert_eq!(&context.connection, &connection);
        // A length in the head is a body, even of no bytes.
        let length_before = match (body, parts.headers.get("content-length")) {
            (BodyLength::Absent, Some(_)) => BodyLength::Known(0),
            (body, _) => body,
        };
        prop_assert_eq!(length, length_before);
        let mut headers = back.headers.clone();
        headers.remove("content-length");
        prop_assert_eq!(grouped(&headers), expected_headers(&parts, repeated));

        let sent = match parts.uri.query() {
            Some(query) => format!("{}?{query}", parts.uri.path()),
            None => parts.uri.path().to_owned(),
        };
        if back.uri != *sent {
            // Dot segments are the one reason to change it.
            let segments = parts.uri.path().to_ascii_lowercase();
            let segments = segments.replace("%2e", ".").replace("%2f", "/");
            prop_assert!(segments.split('/').any(|s| s == "." || s == ".."), "{sent}");
            prop_assert_eq!(
                back.uri.query().unwrap_or(""),
                parts.uri.query().unwrap_or("").replace('é', "%C3%A9")
            );
        }
    }

    #[test]
    fn mapping_twice_changes_nothing_more(
        parts in request(),
        mapping in mapping(),
        body in body(),
    ) {
        let connection = ConnectionInfo::new();
        let Ok(vars) = map(&mapping, &parts, &connection, body) else { return Ok(()) };
        let (once, length) = from_vars(&vars)?;
        let context = once.extensions.get::<RequestContext>().unwrap();
        let again = map(&mapping, &once, &context.connection, length)?;
        let (twice, length_twice) = from_vars(&again)?;

        prop_assert_eq!(&once.uri, &twice.uri);
        prop_assert_eq!(&once.method, &twice.method);
        prop_assert_eq!(grouped(&once.headers), grouped(&twice.headers));
        prop_assert_eq!(length, length_twice);
        let context_twice = twice.extensions.get::<RequestContext>().unwrap();
        prop_assert_eq!(&context.connection, &context_twice.connection);
        prop_assert_eq!(&context.script_name, &context_twice.script_name);
        prop_assert_eq!(&context.path_info, &context_twice.path_info);
        // The application sees one path, whichever variable it looks at.
        let pairs = |vars: &Vars| {
            let mut pairs: Vec<_> = vars.clone().into_iter().collect();
            pairs.retain(|(key, _)| key != "REQUEST_URI" && key != "QUERY_STRING");
            pairs.sort();
            pairs
        };
        prop_assert_eq!(pairs(&vars), pairs(&again));
    }

    #[test]
    fn variables_of_any_kind_are_a_request_or_refused(
        pairs in vec(
            (
                prop_oneof![
                    Just("REQUEST_METHOD"), Just("REQUEST_URI"), Just("PATH_INFO"),
                    Just("SCRIPT_NAME"), Just("QUERY_STRING"), Just("SERVER_PROTOCOL"),
                    Just("CONTENT_LENGTH"), Just("HTTP_HOST"), Just("HTTP_X_FOO"),
                    Just("HTTP_TRANSFER_ENCODING"), Just("HTTP_PROXY"),
                ],
                prop_oneof![
                    path().prop_map(String::into_bytes), target().prop_map(String::into_bytes),
                    Just(b"GET".to_vec()), Just(b"HTTP/1.1".to_vec()), Just(b"5".to_vec()),
                    Just(b"/shop".to_vec()), Just(vec![]), vec(any::<u8>(), 0..6),
                ],
            ),
            0..10,
        ),
    ) {
        let mut packet = PacketBuilder::new();
        packet.var("REQUEST_METHOD", "GET")?.var("PATH_INFO", "/")?.vars(pairs)?;
        let Ok((parts, body)) = from_vars(&packet.build()?.vars) else { return Ok(()) };
        prop_assert!(!parts.headers.contains_key("proxy"));
        prop_assert!(parts.headers.get_all(HOST).iter().count() <= 1);

        // What an adapter hands out can be mapped again.
        let context = parts.extensions.get::<RequestContext>().unwrap();
        let connection = &context.connection;
        let mapping = RequestMapping::new().with_repeated(Repeated::Pairs);
        let vars = map(&mapping, &parts, connection, body)?;
        let (again, body_again) = from_vars(&vars)?;
        prop_assert_eq!(&parts.uri, &again.uri);
        prop_assert_eq!(grouped(&parts.headers), grouped(&again.headers));
        prop_assert_eq!(body, body_again);
    }

    #[test]
    fn any_bytes_are_a_head_or_too_few_or_refused(
        pieces in vec(
            select(PIECES),
            0..8,
        ),
        is_head: bool,
        max_bytes in 0_usize..120,
        max_headers in 0_usize..4,
    ) {
        let wire = pieces.concat();
        let method = if is_head { Method::HEAD } else { Method::GET };
        let limits = ReplyLimits::new().with_max_bytes(max_bytes).with_max_headers(max_headers);
        let Ok(Some((head, len))) = parse(&wire, &method, &limits) else { return Ok(()) };
        prop_assert!(len <= max_bytes && len <= wire.len());
        prop_assert!(head.headers().len() <= max_headers);
        prop_assert!(!head.headers().contains_key("transfer-encoding"));

        // What was read can be written, and read again.
        let mut out = Vec::new();
        head.encode(&mut out)?;
        let (again, len) = ReplyHead::parse(&out, &method, &ReplyLimits::new())?.unwrap();
        prop_assert_eq!(len, out.len());
        prop_assert_eq!(head.status(), again.status());
        prop_assert_eq!(head.reason(), again.reason());
        prop_assert_eq!(head.headers(), again.headers());
        prop_assert_eq!(head.body_end(), again.body_end());
    }

    #[test]
    fn head_that_is_written_is_read_as_it_was(
        status in 200_u16..1_000,
        headers in vec(header(), 0..6),
    ) {
        let headers: HeaderMap = headers.into_iter().collect();
        let status = StatusCode::from_u16(status).unwrap();
        let Ok(head) = ReplyHead::new(status, headers, &Method::GET) else { return Ok(()) };
        let mut out = Vec::new();
        head.encode(&mut out)?;
        let (again, _) = ReplyHead::parse(&out, &Method::GET, &ReplyLimits::new())?.unwrap();
        prop_assert_eq!(again.status(), status);
        prop_assert_eq!(again.body_end(), head.body_end());
        let trimmed = |headers: &HeaderMap| {
            let mut all = grouped(headers);
            for value in all.iter_mut().flat_map(|(_, values)| values) {
                *value = value.trim_ascii().to_vec();
            }
            all
        };
        prop_assert_eq!(trimmed(head.headers()), trimmed(again.headers()));
    }
}

const VALUES: &[&[u8]] = &[
    b"1",
    b"",
    b"a, b",
    b"caf\xe9",
    b"x-foo, accept",
    b"example.com",
    b"chunked",
    b" x ",
    b"05",
    b"\xc3\xa9",
];

const PIECES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 \n",
    b"Status: 404\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b":",
    b"Content-Length: 5\r\n",
    b"Content-Length: 05\r\n",
    b"Connection: keep-alive, x\r\n",
    b"X: y\r\n",
    b"X:\xe9\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP",
    b"a",
];
