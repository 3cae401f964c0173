//! The access log: nginx's combined format and the request time, written off the slots.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tracing::{error, warn};
use uwsgi_codec::{Packet, VarsRef};

use super::request_id::RequestId;
use crate::config::AccessLogTo;

/// What a line tells about one request.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) packet: Packet,
    pub(crate) request_id: RequestId,
    pub(crate) status: u16,
    /// Bytes behind the head.
    pub(crate) body_bytes: u64,
    pub(crate) accepted: Instant,
}

/// Takes lines from any thread; a thread of its own writes them in batches.
///
/// A line appears within [`BATCH_DELAY`]. Lines are lost, and that is reported, only where
/// the disk is full or the reader of a pipe stands still for a megabyte.
#[derive(Debug)]
pub(crate) struct AccessLog(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    lost: u64,
    clock: Clock,
    /// The writer is to write what there is, and end.
    closing: bool,
    /// It has.
    closed: bool,
}

impl AccessLog {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    ///
    /// That of opening the file, or of starting a thread.
    pub(crate) fn open(to: &AccessLogTo) -> io::Result<Self> {
        let file = match to {
            AccessLogTo::Off => return Ok(Self(None)),
            AccessLogTo::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            AccessLogTo::Stderr => File::from(io::stderr().as_fd().try_clone_to_owned()?),
            AccessLogTo::File(path) => OpenOptions::new().append(true).create(true).open(path)?,
        };
        let shared = Arc::new(Shared::default());
        std::thread::Builder::new()
            .name("scoter-log".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || write_batches(&shared, file)
            })?;
        Ok(Self(Some(shared)))
    }

    /// Writes the line of a response, of which `unsent` bytes never left.
    pub(crate) fn write(&self, entry: &Entry, unsent: u64) {
        let Some(shared) = &self.0 else {
            return;
        };
        let elapsed = entry.accepted.elapsed();
        let mut lines = shared.lock();
        if lines.bytes.len() >= MOST_PENDING {
            lines.lost += 1;
            return;
        }
        let was_empty = lines.bytes.is_empty();
        let Lines { bytes, clock, .. } = &mut *lines;
        format_line(bytes, entry, unsent, clock.now(), elapsed);
        let is_full = bytes.len() >= BATCH_BYTES;
        drop(lines);
        if was_empty || is_full {
            shared.changed.notify_one();
        }
    }

    pub(crate) fn reopen(&self) {}

    /// Writes what is pending, unless that takes longer than [`CLOSE_PATIENCE`]. Lines that
    /// come later are lost.
    pub(crate) fn close(&self) {
        let Some(shared) = &self.0 else {
            return;
        };
        let mut lines = shared.lock();
        lines.closing = true;
        shared.changed.notify_all();
        let _ = shared
            .changed
            .wait_timeout_while(lines, CLOSE_PATIENCE, |lines| !lines.closed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, then a moment for more of them. `None` is the end.
    fn next_batch(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut lines = self
            .changed
            .wait_while(self.lock(), |lines| {
                lines.bytes.is_empty() && !lines.closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        if lines.bytes.is_empty() {
            return None;
        }
        (lines, _) = self
            .changed
            .wait_timeout_while(lines, BATCH_DELAY, |lines| {
                lines.bytes.len() < BATCH_BYTES && !lines.closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut lines.bytes, batch);
        Some(std::mem::take(&mut lines.lost))
    }
}

fn write_batches(shared: &Shared, mut file: File) {
    let mut batch = Vec::with_capacity(2 * BATCH_BYTES);
    let mut failing = false;
    while let Some(lost) = shared.next_batch(&mut batch) {
        if lost > 0 {
            warn!(
                lost,
                "access log lines were lost: the log is not taken fast enough"
            );
        }
        match write_whole_lines(&mut file, &batch) {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                error!(%error, "the access log cannot be written: its lines are lost");
                failing = true;
            }
            Err(_) => {}
        }
        batch.clear();
    }
    shared.lock().closed = true;
    shared.changed.notify_all();
}

/// Writes in pieces of whole lines that a pipe takes at once (pipe(7), PIPE_BUF), so that
/// they are never torn apart by another process that writes there.
fn write_whole_lines(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let longest = bytes.len().min(PIPE_BUF);
        let end = match bytes[..longest].iter().rposition(|&byte| byte == b'\n') {
            Some(position) => position + 1,
            // One line longer than a pipe takes at once.
            None => bytes
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(bytes.len(), |position| position + 1),
        };
        file.write_all(&bytes[..end])?;
        bytes = &bytes[end..];
    }
    Ok(())
}

/// nginx's `combined`: `$remote_addr - $remote_user [$time_local] "$request" $status
/// $body_bytes_sent "$http_referer" "$http_user_agent"`, then the seconds it took.
fn format_line(line: &mut Vec<u8>, entry: &Entry, unsent: u64, time: &str, elapsed: Duration) {
    let request = RequestVars::of(entry.packet.vars.as_ref());
    escape(line, request.remote_addr);
    line.extend_from_slice(b" - ");
    escape(line, request.remote_user);
    line.extend_from_slice(b" [");
    line.extend_from_slice(time.as_bytes());
    line.extend_from_slice(b"] \"");
    escape(line, request.method);
    line.push(b' ');
    match request.uri {
        Some(uri) => escape(line, Some(uri)),
        None => {
            escape(line, request.path);
            if let Some(query) = request.query {
                line.push(b'?');
                escape(line, Some(query));
            }
        }
    }
    line.push(b' ');
    escape(line, request.protocol);
    let sent = entry.body_bytes.saturating_sub(unsent);
    // Writing to a vector cannot fail.
    let _ = write!(line, "\" {} {sent} \"", entry.status);
    escape(line, request.referer);
    line.extend_from_slice(b"\" \"");
    escape(line, request.user_agent);
    let _ = writeln!(
        line,
        "\" {}.{:03}",
        elapsed.as_secs(),
        elapsed.subsec_millis()
    );
}

/// The vars a line is made of, found in one pass; empty ones count as absent.
#[derive(Default)]
struct RequestVars<'a> {
    remote_addr: Option<&'a [u8]>,
    remote_user: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    referer: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
}

impl<'a> RequestVars<'a> {
    fn of(vars: VarsRef<'a>) -> Self {
        let mut found = Self::default();
        for (key, value) in vars.iter() {
            let place = match key {
                b"REMOTE_ADDR" => &mut found.remote_addr,
                b"REMOTE_USER" => &mut found.remote_user,
                b"REQUEST_METHOD" => &mut found.method,
                b"REQUEST_URI" => &mut found.uri,
                b"PATH_INFO" => &mut found.path,
                b"QUERY_STRING" => &mut found.query,
                b"SERVER_PROTOCOL" => &mut found.protocol,
                b"HTTP_REFERER" => &mut found.referer,
                b"HTTP_USER_AGENT" => &mut found.user_agent,
                _ => continue,
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
        found
    }
}

/// Writes a value as nginx does: `-` for none, `\xXX` for what could forge a line.
fn escape(line: &mut Vec<u8>, value: Option<&[u8]>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let Some(value) = value else {
        return line.push(b'-');
    };
    for &byte in value {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => line.extend_from_slice(&[
                b'\\',
                b'x',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
            byte => line.push(byte),
        }
    }
}

/// The local time of the log, formatted once a second.
#[derive(Debug, Default)]
struct Clock {
    zone: Option<TimeZone>,
    second: i64,
    text: String,
}

impl Clock {
    fn now(&mut self) -> &str {
        let now = Timestamp::now();
        if now.as_second() != self.second || self.text.is_empty() {
            let zone = self.zone.get_or_insert_with(TimeZone::system);
            self.second = now.as_second();
            self.text = Zoned::new(now, zone.clone())
                .strftime("%d/%b/%Y:%H:%M:%S %z")
                .to_string();
        }
        &self.text
    }
}

/// How long lines are gathered before they are written.
const BATCH_DELAY: Duration = Duration::from_millis(50);

/// How long the end of the process waits for the last lines to be taken.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that are written without further delay.
const BATCH_BYTES: usize = 32 * 1_024;

/// Bytes kept for a log that is not taken.
const MOST_PENDING: usize = 1_024 * 1_024;

/// Linux: what one write(2) to a pipe never splits.
const PIPE_BUF: usize = 4_096;

#[cfg(test)]
mod tests {
    use uwsgi_codec::PacketBuilder;

    use super::super::request_id::RequestIds;
    use super::*;

    fn entry(vars: &[(&str, &str)], status: u16, body_bytes: u64) -> Entry {
        let mut builder = PacketBuilder::new();
        for (key, value) in vars {
            builder.var(key, value).unwrap();
        }
        let packet = builder.build().unwrap();
        Entry {
            request_id: RequestIds::new().unwrap().of(&packet.vars),
            packet,
            status,
            body_bytes,
            accepted: Instant::now(),
        }
    }

    fn line(entry: &Entry, unsent: u64) -> String {
        let mut line = Vec::new();
        let elapsed = Duration::from_millis(1_042);
        format_line(
            &mut line,
            entry,
            unsent,
            "22/Nov/2026:06:30:00 +0000",
            elapsed,
        );
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn line_has_the_combined_format_and_the_request_time() {
        let entry = entry(
            &[
                ("REQUEST_METHOD", "GET"),
                ("REQUEST_URI", "/a?b=c"),
                ("SERVER_PROTOCOL", "HTTP/1.1"),
                ("REMOTE_ADDR", "10.0.0.1"),
                ("REMOTE_USER", "ann"),
                ("HTTP_REFERER", "http://example.com/"),
                ("HTTP_USER_AGENT", "curl/8"),
            ],
            200,
            12,
        );
        assert_eq!(
            line(&entry, 2),
            "10.0.0.1 - ann [22/Nov/2026:06:30:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 10 \
             \"http://example.com/\" \"curl/8\" 1.042\n"
        );
    }

    #[test]
    fn absent_vars_are_dashes_and_the_path_stands_in_for_the_uri() {
        let entry = entry(
            &[
                ("PATH_INFO", "/p"),
                ("QUERY_STRING", "q"),
                ("REMOTE_USER", ""),
            ],
            404,
            0,
        );
        assert_eq!(
            line(&entry, 0),
            "- - - [22/Nov/2026:06:30:00 +0000] \"- /p?q -\" 404 0 \"-\" \"-\" 1.042\n"
        );
    }

    #[test]
    fn values_cannot_forge_lines_or_fields() {
        let entry = entry(&[("HTTP_USER_AGENT", "a\"b\\c\nd\u{e9}")], 200, 0);
        assert!(line(&entry, 0).contains("\"a\\x22b\\x5Cc\\x0Ad\\xC3\\xA9\" "));
    }

    #[test]
    fn every_line_is_in_the_file_after_close() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = AccessLog::open(&AccessLogTo::File(path.clone())).unwrap();
        for index in 0..1_000 {
            log.write(&entry(&[("REQUEST_URI", &format!("/{index}"))], 200, 0), 0);
        }
        log.close();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 1_000);
        assert!(text.lines().last().unwrap().contains("/999 "));
    }
}
