use super::escape::escape;
use crate::request_head::{Param, RequestHead};

/// Writes `GET /path?query HTTP/1.1`.
pub(super) fn write_request(line: &mut Vec<u8>, head: &RequestHead) {
    escape(line, head.param(Param::Method));
    line.push(b' ');
    write_uri(line, head);
    line.push(b' ');
    escape(line, head.param(Param::Protocol));
}

/// Writes the URI as the client sent it, or else the path and query.
pub(super) fn write_uri(line: &mut Vec<u8>, head: &RequestHead) {
    escape(line, head.uri());
    if let Some(query) = head.query_apart() {
        line.push(b'?');
        escape(line, Some(query));
    }
}
