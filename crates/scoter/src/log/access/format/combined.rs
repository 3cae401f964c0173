use std::time::Duration;

use super::Record;
use super::escape::escape;
use super::request::write_request;
use crate::request_head::Param;

/// nginx's `combined`: `$remote_addr - $remote_user [$time_local] "$request" $status
/// $body_bytes_sent "$http_referer" "$http_user_agent"`, then the request's duration in seconds.
pub(super) fn write(line: &mut Vec<u8>, record: &Record<'_>) {
    let head = &record.entry.head;
    escape(line, head.param(Param::RemoteAddr));
    line.extend_from_slice(b" - ");
    escape(line, head.param(Param::RemoteUser));
    line.extend_from_slice(b" [");
    line.extend_from_slice(record.now.common.as_bytes());
    line.extend_from_slice(b"] \"");
    write_request(line, head);
    line.extend_from_slice(b"\" ");
    number(line, u64::from(record.entry.status));
    line.push(b' ');
    number(line, record.body_bytes);
    line.extend_from_slice(b" \"");
    escape(line, head.param(Param::Referer));
    line.extend_from_slice(b"\" \"");
    escape(line, head.param(Param::UserAgent));
    line.extend_from_slice(b"\" ");
    seconds(line, record.elapsed);
}

fn number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes seconds with three decimals, as nginx does.
fn seconds(line: &mut Vec<u8>, time: Duration) {
    number(line, time.as_secs());
    // Four digits: the first one is then replaced by the decimal point.
    let decimals = line.len();
    number(line, u64::from(1_000 + time.subsec_millis()));
    line[decimals] = b'.';
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{entry, line_of};
    use super::*;

    #[test]
    fn line_has_the_combined_format_and_the_request_time() {
        let entry = entry([
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/a?b=c"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "10.0.0.1"),
            ("REMOTE_USER", "ann"),
            ("HTTP_REFERER", "http://example.com/"),
            ("HTTP_USER_AGENT", "curl/8"),
        ]);
        assert_eq!(
            line_of(&entry, write),
            "10.0.0.1 - ann [22/Nov/2026:06:30:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 10 \
             \"http://example.com/\" \"curl/8\" 1.042"
        );
    }

    #[test]
    fn absent_vars_are_dashes_and_the_path_stands_in_for_the_uri() {
        let entry = entry([
            ("PATH_INFO", "/p"),
            ("QUERY_STRING", "q"),
            ("REMOTE_USER", ""),
        ]);
        assert_eq!(
            line_of(&entry, write),
            "- - - [22/Nov/2026:06:30:00 +0000] \"- /p?q -\" 200 10 \"-\" \"-\" 1.042"
        );
    }

    #[test]
    fn values_cannot_forge_lines_or_fields() {
        let entry = entry([("HTTP_USER_AGENT", "a\"b\\c\nd\u{e9}")]);
        assert!(line_of(&entry, write).contains("\"a\\x22b\\x5Cc\\x0Ad\\xC3\\xA9\" "));
    }
}
