//! Formats a [`Status`] for people: a table that fits into 100 columns.

use std::time::Duration;

use crate::control::human::{short, size};
use crate::control::{
    KeptConnections, ListenerStatus, ReloadStatus, SlotStatus, Status, WorkerStatus,
};
use crate::sys::durations::millis;

/// Renders the output of `scoter status`.
pub(crate) fn render(status: &Status) -> String {
    let mut lines = vec![headline(status)];
    for listener in &status.listeners {
        let waiting = waiting(listener).map(|waiting| format!(", {waiting}"));
        lines.push(format!(
            "listening on {}{}",
            printable(&listener.address),
            waiting.unwrap_or_default()
        ));
    }
    if let Some(reload) = &status.last_reload {
        lines.extend(reload_lines(reload, status));
    }
    let totals = &status.totals;
    lines.push(format!(
        "requests: {}, failed {}, refused {}, timeouts {}, peers disconnected {}",
        totals.requests, totals.failed, totals.refused, totals.timeouts, totals.peers_gone
    ));
    lines.push(kept_line(&totals.kept_connections, status.keep_alive));
    lines.push(format!(
        "workers: {}, crashed {}, replaced {}",
        wanted(status),
        totals.crashed,
        totals.replaced
    ));
    lines.push(String::new());
    lines.push(TABLE_HEAD.to_owned());
    for worker in &status.workers {
        lines.push(worker_line(worker));
        let busy = worker.slots.iter().filter(|slot| slot.is_busy());
        lines.extend(busy.map(|slot| request_line(&format!("slot {}", slot.slot), slot, WIDTH)));
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(cut(&line, WIDTH).trim_end());
        text.push('\n');
    }
    text
}

/// The server and its state.
fn headline(status: &Status) -> String {
    let readiness = if status.ready { "ready" } else { "not ready" };
    let name = status
        .name
        .as_deref()
        .map(|name| format!("name {}, ", printable(name)));
    format!(
        "scoter {}, {}pid {}, generation {}: {}, {readiness}, up {}",
        printable(&status.version),
        name.unwrap_or_default(),
        status.pid,
        status.generation,
        status.phase,
        short(status.uptime_ms)
    )
}

/// The kernel's queue of a listening socket, if the server knows it.
pub(super) fn waiting(listener: &ListenerStatus) -> Option<String> {
    let (waiting, capacity) = listener.waiting.zip(listener.capacity)?;
    Some(format!("waiting {waiting} of {capacity}"))
}

/// What has become of kept connections. Without them nothing fails, so the line says why there are
/// none, as far as the server knows.
fn kept_line(kept: &KeptConnections, limit: Option<u32>) -> String {
    if limit == Some(0) {
        return "kept connections: off (--keep-alive 0)".to_owned();
    }
    if *kept == KeptConnections::default() {
        return "kept connections: none".to_owned();
    }
    let KeptConnections {
        idle,
        reused,
        passed_on,
        out_of_step,
    } = kept;
    format!(
        "kept connections: {idle} idle, reused {reused}, passed on {passed_on}, out of step \
         {out_of_step}"
    )
}

/// The wanted number of workers.
pub(super) fn wanted(status: &Status) -> String {
    match status.workers_range {
        Some([least, most]) => format!("{} wanted ({least}..{most})", status.workers_wanted),
        None => format!("{} wanted", status.workers_wanted),
    }
}

const TABLE_HEAD: &str =
    "WORKER      PID  GEN PHASE        AGE    REQUESTS  FAILED    REQ/S  BUSY  MEMORY     SLOTS";

/// A worker's row under [`TABLE_HEAD`].
fn worker_line(worker: &WorkerStatus) -> String {
    let busy = worker.slots.iter().filter(|slot| slot.is_busy()).count();
    format!(
        "{:>6} {:>8} {:>4} {:<8} {:>7} {:>11} {:>7} {:>8.1} {:>4.0}% {:>7} {:>9}",
        worker.id,
        worker.pid,
        worker.generation,
        worker.phase,
        short(worker.age_ms),
        worker.requests,
        worker.failed,
        worker.requests_per_second,
        worker.busy_ratio * 100.0,
        worker.rss_bytes.map_or_else(|| "-".to_owned(), size),
        format!("{busy}/{}", worker.slots.len()),
    )
}

/// A running request; `place` says where it runs. A long URI is truncated to make the rest fit.
pub(super) fn request_line(place: &str, slot: &SlotStatus, width: usize) -> String {
    let part = |text: &Option<String>| ascii(text.as_deref().unwrap_or_default());
    let front = format!(
        "{place:>15} {:<9} {:>7} {:<4} ",
        slot.phase,
        short(slot.age_ms.unwrap_or_default()),
        part(&slot.method)
    );
    let id = part(&slot.request_id);
    let id = cut(&id, MAX_ID_WIDTH);
    let room = width.saturating_sub(front.len() + id.len() + 2);
    let uri = part(&slot.uri);
    let uri = cut(&uri, room.max(MIN_URI_WIDTH));
    format!("{front}{uri}  {id}")
}

fn reload_lines(reload: &ReloadStatus, status: &Status) -> Vec<String> {
    // By the server's clock, not the client's.
    let since_start = Duration::try_from(reload.at.duration_since(status.started_at));
    let age = status
        .uptime_ms
        .saturating_sub(since_start.map(millis).unwrap_or_default());
    let age = short(age);
    if reload.ok {
        return vec![format!(
            "last reload: {age} ago, generation {}",
            reload.generation
        )];
    }
    let error = printable(reload.error.as_deref().unwrap_or_default());
    let error = error.trim();
    let first = error.lines().next().unwrap_or("no reason given");
    let mut lines = vec![format!("last reload: {age} ago, failed: {first}")];
    lines.extend(exception(error).map(|line| format!("  {line}")));
    // Half a hint would not help.
    let hint = error.lines().find(|line| line.starts_with("hint: "));
    let hint = hint.map(|hint| format!("  {hint}"));
    lines.extend(hint.filter(|hint| hint.chars().count() <= WIDTH));
    lines
}

/// The last line of a traceback; the log has all of it.
fn exception(error: &str) -> Option<&str> {
    let (_, frames) = error.rsplit_once(TRACEBACK)?;
    let mut lines = frames.lines().skip(1);
    lines.find(|line| !line.is_empty() && !line.starts_with(' '))
}

/// The first line of Python's tracebacks.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// Untrusted text without control characters that a terminal would interpret. Line breaks are kept.
pub(super) fn printable(text: &str) -> String {
    let harmless = |letter: char| match letter {
        '\n' | '\t' => letter,
        _ if letter.is_control() => '?',
        _ => letter,
    };
    text.chars().map(harmless).collect()
}

/// The same on one line.
pub(super) fn printable_line(text: &str) -> String {
    printable(text).replace('\n', "?")
}

/// Text that a client of the application has chosen, in ASCII only, so that columns stay aligned.
pub(super) fn ascii(text: &str) -> String {
    let harmless = |letter: char| match letter {
        ' '..='~' => letter,
        _ => '?',
    };
    text.chars().map(harmless).collect()
}

/// At most the first `width` characters of `text`.
pub(super) fn cut(text: &str, width: usize) -> &str {
    match text.char_indices().nth(width) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

const WIDTH: usize = 100;

/// Characters of a request id that are shown: a UUID has 36.
const MAX_ID_WIDTH: usize = 36;

const MIN_URI_WIDTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::super::fixture::busy_status;
    use super::*;

    #[test]
    fn status_is_a_table_with_running_requests_under_their_worker() {
        assert_eq!(
            render(&busy_status()),
            "\
scoter 1.0.0, name shop, pid 4242, generation 3: running, ready, up 2h05m
listening on unix:/run/app.sock, waiting 3 of 1025
last reload: 5m00s ago, generation 3
requests: 123456, failed 2, refused 3, timeouts 4, peers disconnected 5
kept connections: 12 idle, reused 98765, passed on 8, out of step 1
workers: 2 wanted (2..8), crashed 6, replaced 7

WORKER      PID  GEN PHASE        AGE    REQUESTS  FAILED    REQ/S  BUSY  MEMORY     SLOTS
     1     4243    3 ready      5m00s       30125       2    101.2   50%   64.0M       2/3
         slot 1 running      1.2s GET  /report?month=11  5f3a
        slot 12 timed-out   3m12s DELETE /long/long/long/long/  0f8fad5b-d9cb-469f-a165-70867728950e
     2     4250    4 starting     0ms           0       0      0.0    0%       -       0/0
"
        );
    }

    #[test]
    fn kept_connections_are_said_to_be_off_or_none() {
        let mut status = busy_status();
        status.keep_alive = Some(0);
        let text = render(&status);
        assert!(
            text.contains("\nkept connections: off (--keep-alive 0)\n"),
            "{text}"
        );
        for limit in [Some(512), None] {
            status.keep_alive = limit;
            status.totals.kept_connections = KeptConnections::default();
            let text = render(&status);
            assert!(text.contains("\nkept connections: none\n"), "{text}");
        }
    }

    #[test]
    fn nothing_is_wider_than_100_columns() {
        let mut status = busy_status();
        status.listeners[0].address = "unix:/".to_owned() + &"x".repeat(200);
        status.totals.requests = u64::MAX;
        status.workers[0].requests = u64::MAX;
        for line in render(&status).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn failed_reload_shows_its_error() {
        const IMPORT: &str = "cannot load the application: app could not be imported\n\
                              Traceback (most recent call last):\n  File \"lib.py\"\n\
                              KeyError: 1\n\nDuring handling of the above exception, another \
                              exception occurred:\n\nTraceback (most recent call last):\n  \
                              File \"app.py\"\nNameError: name 'x' is not defined";
        let long = "x".repeat(100);
        for (error, expected) in [
            ("no memory", "failed: no memory\nrequests:"),
            ("", "failed: no reason given\nrequests:"),
            (
                "there is no file a.py\nsearched: /srv\nhint: set --chdir",
                "failed: there is no file a.py\n  hint: set --chdir\nrequests:",
            ),
            (
                &format!("there is no file a.py\nhint: {long}"),
                "failed: there is no file a.py\nrequests:",
            ),
            (
                IMPORT,
                "failed: cannot load the application: app could not be imported\n  NameError: name \
                 'x' is not defined\nrequests:",
            ),
            (
                &format!("{IMPORT}\nthis is Python 3\nhint: install it\n"),
                "failed: cannot load the application: app could not be imported\n  NameError: name \
                 'x' is not defined\n  hint: install it\nrequests:",
            ),
        ] {
            let mut status = busy_status();
            let reload = status.last_reload.as_mut().unwrap();
            reload.ok = false;
            reload.error = Some(error.to_owned());
            let text = render(&status);
            let expected = format!("last reload: 5m00s ago, {expected}");
            assert!(text.contains(&expected), "{expected} in {text}");
        }
    }

    #[test]
    fn peers_cannot_send_control_sequences_to_the_terminal() {
        let mut status = busy_status();
        status.workers[0].slots[1].uri = Some("/\x1b[2J\r\u{9b}31m\u{202e}é".to_owned());
        status.workers[0].slots[1].method = Some("G\x07".to_owned());
        let text = render(&status);
        assert!(text.contains("G?   /?[2J??31m??  5f3a"), "{text}");
        assert!(text.is_ascii());
        assert_eq!(printable("a\x1b[31m\n\té\u{9b}"), "a?[31m\n\té?");
    }
}
