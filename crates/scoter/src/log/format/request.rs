use super::escape::escape;
use crate::asked::{Asked, Param};

/// Writes `GET /path?query HTTP/1.1`.
pub(super) fn write_request(line: &mut Vec<u8>, asked: &Asked) {
    escape(line, asked.param(Param::Method));
    line.push(b' ');
    write_uri(line, asked);
    line.push(b' ');
    escape(line, asked.param(Param::Protocol));
}

/// Writes the URI as the client sent it, or else the path and the query.
pub(super) fn write_uri(line: &mut Vec<u8>, asked: &Asked) {
    escape(line, asked.uri());
    if let Some(query) = asked.query_apart() {
        line.push(b'?');
        escape(line, Some(query));
    }
}
