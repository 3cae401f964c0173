/// How to treat a variable that occurs several times in a packet.
///
/// RFC 9110, 5.3 allows joining the values of a header, in order, only if it is
/// defined as a list. nginx before 1.23 sends each line of a repeated header as its
/// own pair. Every nginx sends a pair for each `uwsgi_param`, and a later one
/// overrides an included one.
///
/// Unknown headers are joined: RFC 9110, 5.2 calls that the combined field value,
/// and nginx itself does so since 1.23 (`ngx_http_uwsgi_create_request`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// The last value wins: all variables that are not request headers, and headers
    /// with a single value.
    Last,
    /// The values are joined with this between them.
    Joined(&'static [u8]),
}

impl Repeated {
    /// Returns the treatment of a variable by its name, such as `HTTP_HOST`.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        match key.strip_prefix(b"HTTP_") {
            None => Self::Last,
            // RFC 6265, 4.2.1; RFC 9113, 8.2.3.
            Some(b"COOKIE") => Self::Joined(b"; "),
            Some(name) if has_one_value(name) => Self::Last,
            Some(_) => Self::Joined(b", "),
        }
    }
}

fn has_one_value(name: &[u8]) -> bool {
    // Of all X-Forwarded-* this one grows with each proxy, by a line of its own with some. Those
    // that make a list of others, as Apache does, make it within one line.
    if name == b"X_FORWARDED_FOR" {
        return false;
    }
    let known = SINGLE.binary_search_by(|(known, _)| known.as_bytes().cmp(name));
    known.is_ok()
        || SINGLE_FAMILIES
            .iter()
            .any(|(prefix, _)| name.starts_with(prefix.as_bytes()))
}

/// Request headers with a single value, each with its source. Sorted by name.
///
/// `one per request` marks headers without a standard: a proxy, a browser or a
/// framework sets one value, and readers do not split it. A joined value would be a
/// different address, token or name.
const SINGLE: &[(&str, &str)] = &[
    ("ACCESS_CONTROL_REQUEST_METHOD", "Fetch, 3.3.2"),
    (
        "ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK",
        "WICG Private Network Access, 3.1",
    ),
    ("AGE", "RFC 9111, 5.1"),
    ("AUTHORIZATION", "RFC 9110, 11.6.2"),
    ("CF_CONNECTING_IP", "one per request"),
    ("CF_RAY", "one per request"),
    ("CLIENT_CERT", "RFC 9440, 2.2: an item"),
    ("CLIENT_IP", "one per request"),
    ("CONTENT_DISPOSITION", "RFC 6266, 4.1"),
    ("CONTENT_LOCATION", "RFC 9110, 8.7"),
    ("CONTENT_MD5", "RFC 1864, 2"),
    ("CONTENT_RANGE", "RFC 9110, 14.4"),
    ("DATE", "RFC 9110, 6.6.1"),
    ("DEPTH", "RFC 4918, 10.2"),
    ("DESTINATION", "RFC 4918, 10.3"),
    ("DEVICE_MEMORY", "W3C Device Memory, 3: an item"),
    ("DNT", "W3C Tracking Preference Expression, 5.2"),
    ("DOWNLINK", "WICG Network Information: an item"),
    ("DPR", "Responsive Image Client Hints: an item"),
    ("EARLY_DATA", "RFC 8470, 5.1"),
    ("ECT", "WICG Network Information: an item"),
    ("ETAG", "RFC 9110, 8.8.3"),
    ("EXPIRES", "RFC 9111, 5.3"),
    ("FASTLY_CLIENT_IP", "one per request"),
    ("FROM", "RFC 9110, 10.1.2"),
    ("FRONT_END_HTTPS", "one per request"),
    ("HOST", "RFC 9110, 7.2"),
    ("HTTP2_SETTINGS", "RFC 7540, 3.2.1"),
    (
        "IDEMPOTENCY_KEY",
        "draft-ietf-httpapi-idempotency-key-header, 2: an item",
    ),
    ("IF", "RFC 4918, 10.4"),
    ("IF_MODIFIED_SINCE", "RFC 9110, 13.1.3"),
    ("IF_RANGE", "RFC 9110, 13.1.5"),
    ("IF_SCHEDULE_TAG_MATCH", "RFC 6638, 8.3"),
    ("IF_UNMODIFIED_SINCE", "RFC 9110, 13.1.4"),
    ("LAST_EVENT_ID", "HTML, 9.2.4"),
    ("LAST_MODIFIED", "RFC 9110, 8.8.2"),
    ("LOCK_TOKEN", "RFC 4918, 10.5"),
    ("MAX_FORWARDS", "RFC 9110, 7.6.2"),
    ("MIME_VERSION", "RFC 2045, 4"),
    ("ORIGIN", "RFC 6454, 7.1; Fetch, 3.2"),
    ("OVERWRITE", "RFC 4918, 10.6"),
    ("PROXY_AUTHORIZATION", "RFC 9110, 11.7.2"),
    // `bytes=0-1, bytes=2-3` is no `ranges-specifier`: the list is inside of it.
    ("RANGE", "RFC 9110, 14.2"),
    ("REFERER", "RFC 9110, 10.1.3"),
    ("REMOTE_USER", "one per request"),
    ("REQUEST_ID", "one per request"),
    ("RTT", "WICG Network Information: an item"),
    ("SAVE_DATA", "WICG Save Data: an item"),
    ("SEC_CH_DEVICE_MEMORY", "W3C Device Memory, 3: an item"),
    ("SEC_CH_DPR", "Responsive Image Client Hints: an item"),
    ("SEC_CH_UA_ARCH", "WICG User-Agent Client Hints, 3: an item"),
    (
        "SEC_CH_UA_BITNESS",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_UA_FULL_VERSION",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_UA_MOBILE",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_UA_MODEL",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_UA_PLATFORM",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_UA_PLATFORM_VERSION",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_UA_WOW64",
        "WICG User-Agent Client Hints, 3: an item",
    ),
    (
        "SEC_CH_VIEWPORT_HEIGHT",
        "Responsive Image Client Hints: an item",
    ),
    (
        "SEC_CH_VIEWPORT_WIDTH",
        "Responsive Image Client Hints: an item",
    ),
    ("SEC_CH_WIDTH", "Responsive Image Client Hints: an item"),
    ("SEC_GPC", "W3C Global Privacy Control, 3"),
    ("SEC_PURPOSE", "Fetch, 3.5: an item"),
    ("SEC_WEBSOCKET_KEY", "RFC 6455, 11.3.1"),
    ("SEC_WEBSOCKET_VERSION", "RFC 6455, 11.3.5"),
    ("SLUG", "RFC 5023, 9.7"),
    ("SOAPACTION", "W3C SOAP 1.1, 6.1.1"),
    ("TRACEPARENT", "W3C Trace Context, 3.2"),
    ("TRUE_CLIENT_IP", "one per request"),
    ("UBER_TRACE_ID", "one per request"),
    (
        "UPGRADE_INSECURE_REQUESTS",
        "W3C Upgrade Insecure Requests, 3.2.1",
    ),
    ("USER_AGENT", "RFC 9110, 10.1.5"),
    ("VIEWPORT_WIDTH", "Responsive Image Client Hints: an item"),
    ("WIDTH", "Responsive Image Client Hints: an item"),
    ("X_AMZN_TRACE_ID", "one per request"),
    ("X_API_KEY", "one per request"),
    ("X_AUTH_TOKEN", "one per request"),
    ("X_CLIENT_IP", "one per request"),
    ("X_CLOUD_TRACE_CONTEXT", "one per request"),
    ("X_CLUSTER_CLIENT_IP", "one per request"),
    ("X_CORRELATION_ID", "one per request"),
    ("X_CSRFTOKEN", "one per request"),
    ("X_CSRF_TOKEN", "one per request"),
    ("X_HTTP_METHOD", "one per request"),
    ("X_HTTP_METHOD_OVERRIDE", "one per request"),
    ("X_METHOD_OVERRIDE", "one per request"),
    ("X_QUEUE_START", "one per request"),
    ("X_REAL_IP", "one per request"),
    ("X_REMOTE_USER", "one per request"),
    ("X_REQUESTED_WITH", "one per request"),
    ("X_REQUEST_ID", "one per request"),
    ("X_REQUEST_START", "one per request"),
    ("X_REWRITE_URL", "one per request"),
    ("X_SCHEME", "one per request"),
    ("X_SCRIPT_NAME", "one per request"),
    ("X_SENDFILE_TYPE", "one per request"),
    ("X_URL_SCHEME", "one per request"),
    ("X_WEBAUTH_USER", "one per request"),
    ("X_XSRF_TOKEN", "one per request"),
];

/// Families of such headers, by what their names begin with.
const SINGLE_FAMILIES: &[(&str, &str)] = &[
    (
        "SEC_CH_PREFERS_",
        "WICG User Preference Media Features Client Hints: items",
    ),
    ("SEC_FETCH_", "W3C Fetch Metadata, 2: items"),
    (
        "SSL_CLIENT_",
        "the client's certificate, as a proxy has seen it",
    ),
    ("X_ACCEL_", "one per request"),
    ("X_AUTH_REQUEST_", "the user, as a proxy has seen it"),
    ("X_B3_", "openzipkin B3 propagation: one per request"),
    (
        "X_CLIENT_CERT",
        "the client's certificate, as a proxy has seen it",
    ),
    (
        "X_FORWARDED_",
        "what the nearest proxy was asked: its line is the last",
    ),
    (
        "X_ORIGINAL_",
        "what the nearest proxy was asked: its line is the last",
    ),
    (
        "X_SSL_CLIENT_",
        "the client's certificate, as a proxy has seen it",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_each_says_why() {
        assert!(SINGLE.is_sorted_by(|(a, _), (b, _)| a < b));
        for (name, source) in SINGLE.iter().chain(SINGLE_FAMILIES) {
            assert!(!source.is_empty(), "{name}");
            assert_eq!(
                Repeated::of(format!("HTTP_{name}").as_bytes()),
                Repeated::Last
            );
        }
    }

    #[test]
    fn lists_and_what_is_unknown_are_joined() {
        for name in [
            "ACCEPT",
            "ACCEPT_ENCODING",
            "ACCESS_CONTROL_REQUEST_HEADERS",
            "CACHE_CONTROL",
            "CONNECTION",
            "CONTENT_ENCODING",
            "CONTENT_LANGUAGE",
            "EXPECT",
            "FORWARDED",
            "IF_MATCH",
            "IF_NONE_MATCH",
            "PRAGMA",
            "PREFER",
            "PRIORITY",
            "SEC_CH_UA",
            "SEC_CH_UA_FORM_FACTORS",
            "SEC_CH_UA_FULL_VERSION_LIST",
            "SEC_WEBSOCKET_EXTENSIONS",
            "SEC_WEBSOCKET_PROTOCOL",
            "TE",
            "TIMEOUT",
            "TRACESTATE",
            "TRAILER",
            "UPGRADE",
            "VIA",
            "WARNING",
            "X_FORWARDED_FOR",
            "X_UNKNOWN",
            "HOST_",
            "",
        ] {
            let key = format!("HTTP_{name}");
            assert_eq!(
                Repeated::of(key.as_bytes()),
                Repeated::Joined(b", "),
                "{key}"
            );
        }
        assert_eq!(Repeated::of(b"HTTP_COOKIE"), Repeated::Joined(b"; "));
        for key in ["REMOTE_USER", "HTTPS", "http_x", "HOST", "HTTP"] {
            assert_eq!(Repeated::of(key.as_bytes()), Repeated::Last, "{key}");
        }
    }
}
