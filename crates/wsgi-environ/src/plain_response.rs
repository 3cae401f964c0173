use crate::Method;
use crate::reason::reason_phrase;

/// Appends a complete response from the server itself to `out`: this status and
/// plain text, with its Content-Length; for a HEAD, without the text.
pub fn write_plain_response(status: u16, text: &str, method: Method, out: &mut Vec<u8>) {
    write_plain_head(status, text, out);
    out.extend_from_slice(b"\r\n");
    if method != Method::Head {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends the lines of such a response's head, without the empty line that ends them. Returns the
/// Content-Length.
pub(crate) fn write_plain_head(status: u16, text: &str, out: &mut Vec<u8>) -> u64 {
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n",
        reason_phrase(status),
    );
    out.extend_from_slice(head.as_bytes());
    length as u64
}
