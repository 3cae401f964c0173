use std::time::Duration;

use super::Record;
use super::escape::escape;
use super::request::write_uri;
use crate::request_head::Param;

/// The time of day, method, URI, status and duration: what whoever edits the application looks for.
pub(super) fn write(line: &mut Vec<u8>, record: &Record<'_>, style: Style) {
    let head = &record.entry.head;
    let time = record.now.date_time.split_once('T');
    colour(line, style, DIM, |line| {
        line.extend_from_slice(time.map_or("", |(_, time)| time).as_bytes());
    });
    line.push(b' ');
    escape(line, head.param(Param::Method));
    line.push(b' ');
    write_uri(line, head);
    line.push(b' ');
    let status = record.entry.status;
    colour(line, style, colour_of(status), |line| {
        number(line, status.into())
    });
    line.push(b' ');
    colour(line, style, DIM, |line| duration(line, record.elapsed));
}

/// Whether a line has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Coloured,
    Plain,
}

fn colour(line: &mut Vec<u8>, style: Style, code: &str, write: impl FnOnce(&mut Vec<u8>)) {
    if style == Style::Plain {
        return write(line);
    }
    line.extend_from_slice(code.as_bytes());
    write(line);
    line.extend_from_slice(RESET.as_bytes());
}

fn colour_of(status: u16) -> &'static str {
    match status {
        ..300 => GREEN,
        300..400 => CYAN,
        400..500 => YELLOW,
        500.. => RED,
    }
}

fn duration(line: &mut Vec<u8>, time: Duration) {
    let millis = time.as_millis();
    if millis < 10_000 {
        number(line, u64::try_from(millis).unwrap_or_default());
        line.extend_from_slice(b" ms");
    } else {
        number(line, time.as_secs());
        line.extend_from_slice(b" s");
    }
}

fn number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// ECMA-48, "Select graphic rendition".
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::super::fixture::{entry, line_of};
    use super::*;

    #[test]
    fn line_is_short_and_coloured_only_where_that_is_wanted() {
        let mut entry = entry([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/a?b=\x1b[0m")]);
        let line = |entry: &_, style| line_of(entry, |line, record| write(line, record, style));
        assert_eq!(
            line(&entry, Style::Plain),
            "06:30:00 GET /a?b=\\x1B[0m 200 1042 ms"
        );
        entry.status = 500;
        assert_eq!(
            line(&entry, Style::Coloured),
            "\x1b[2m06:30:00\x1b[0m GET /a?b=\\x1B[0m \x1b[1;31m500\x1b[0m \x1b[2m1042 ms\x1b[0m"
        );
    }
}
