use crate::Method;
use crate::reason::reason_phrase;

/// Appends a complete response from the server itself to `out`: this status and
/// plain text, with its Content-Length; for a HEAD, without the text.
pub fn write_plain_response(status: u16, text: &str, method: Method, out: &mut Vec<u8>) {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        reason_phrase(status),
        text.len()
    );
    out.extend_from_slice(head.as_bytes());
    if method != Method::Head {
        out.extend_from_slice(text.as_bytes());
    }
}
