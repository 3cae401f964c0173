/// What nginx sends for a browser's GET with this repository's
/// `uwsgi_params`, in nginx's order: the vars of the codec's fixture
/// `get.bin`. Those that follow from the options are empty here, and one more, with the
/// request's id, stands behind them.
pub(crate) const BROWSER: [(&str, &str); 24] = [
    ("QUERY_STRING", ""),
    ("REQUEST_METHOD", ""),
    ("CONTENT_TYPE", ""),
    ("CONTENT_LENGTH", ""),
    ("REQUEST_URI", ""),
    ("PATH_INFO", ""),
    ("DOCUMENT_ROOT", "/srv/www"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_SCHEME", "http"),
    ("REMOTE_ADDR", "192.0.2.1"),
    ("REMOTE_PORT", "52814"),
    ("SERVER_PORT", ""),
    ("SERVER_NAME", "example.com"),
    ("HTTP_HOST", "example.com"),
    (
        "HTTP_USER_AGENT",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "HTTP_ACCEPT",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
    (
        "HTTP_REFERER",
        "http://example.com:8080/login?next=/caf%C3%A9/",
    ),
    (
        "HTTP_COOKIE",
        "csrftoken=Xn9W1kYpGQ0hbXkzM1dAQe5Zt0sYVb3K; sessionid=9k2u7c0x1m5v8b3n6a4s",
    ),
    ("HTTP_DNT", "1"),
    ("HTTP_UPGRADE_INSECURE_REQUESTS", "1"),
    ("HTTP_CONNECTION", "keep-alive"),
    ("HTTP_PRIORITY", "u=0, i"),
];

/// The vars without which there is no request.
pub(crate) const BARE: [(&str, &str); 6] = [
    ("REQUEST_METHOD", ""),
    ("PATH_INFO", ""),
    ("QUERY_STRING", ""),
    ("REQUEST_URI", ""),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("CONTENT_LENGTH", ""),
];

/// Decodes `%XX` as nginx does for PATH_INFO.
pub(crate) fn percent_decoded(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escaped {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    decoded
}
