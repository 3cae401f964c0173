//! A screenful of lines: the server, its workers, the requests that have been running longest, and
//! the keys.

use std::cmp::Reverse;

use super::columns::{Order, SORT_KEYS, table};
use super::line::{Line, Style};
use super::rates::Rates;
use crate::control::client::render::{ascii, cut, printable, request_line, waiting, wanted};
use crate::control::human::short;
use crate::control::{ListenerStatus, Percentiles, SlotPhase, SlotStatus, Status, WorkerStatus};

/// The columns and rows to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The lines for a window.
pub(super) fn frame(status: &Status, rates: &Rates, order: Order, size: Size) -> Vec<Line> {
    let Size { columns, rows } = size;
    let mut lines = head(status, rates, columns);
    // The rest matters more than long addresses in a small window.
    lines.truncate(rows / 2);
    let footer = (rows >= MIN_ROWS_WITH_FOOTER).then(|| footer(columns));
    let rows = rows - usize::from(footer.is_some());

    let mut workers: Vec<&WorkerStatus> = status.workers.iter().collect();
    order.sort(&mut workers);
    let (table_head, mut table) = table(&workers, order, columns);
    lines.push(Line::default());
    lines.push(table_head);
    let running = running(status);
    // If there is not enough room, workers leave half of it to the requests.
    let room = rows.saturating_sub(lines.len());
    let for_requests = (running.len() + 2).min(room / 2);
    limit(&mut table, room - for_requests, "workers");
    lines.extend(table);
    lines.push(Line::default());
    lines.push(Line::new(Style::Bold, requests_head(columns)));
    let mut requests: Vec<_> = running
        .iter()
        .map(|(worker, slot)| request(*worker, slot, columns))
        .collect();
    limit(&mut requests, rows.saturating_sub(lines.len()), "requests");
    lines.extend(requests);
    lines.truncate(rows);
    if let Some(footer) = footer {
        lines.resize(rows, Line::default());
        lines.push(footer);
    }
    lines.into_iter().map(|line| line.fitted(columns)).collect()
}

/// The last line says how many are left out.
fn limit(lines: &mut Vec<Line>, room: usize, what: &str) {
    if lines.len() > room && room > 0 {
        let more = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(Line::new(Style::Dim, format!("    and {more} more {what}")));
    }
    lines.truncate(room);
}

fn head(status: &Status, rates: &Rates, columns: usize) -> Vec<Line> {
    let plain = |text: String| Line::new(Style::Plain, text);
    let title = match &status.name {
        Some(name) => format!(
            "{} (scoter {})",
            printable(name),
            printable(&status.version)
        ),
        None => format!("scoter {}", printable(&status.version)),
    };
    let server = [
        Line::new(Style::Bold, title),
        plain(format!("pid {}", status.pid)),
        plain(format!("generation {}", status.generation)),
        match status.ready {
            true => Line::new(Style::Good, format!("{}, ready", status.phase)),
            false => Line::new(Style::Bad, format!("{}, not ready", status.phase)),
        },
        plain(format!("up {}", short(status.uptime_ms))),
    ];
    let (busy, slots) = status.busy_slots();
    let load = [
        plain(format!("{:.1} requests/s", rates.requests)),
        Line::new(
            if rates.failed > 0.0 {
                Style::Bad
            } else {
                Style::Plain
            },
            format!("{:.1} failed/s", rates.failed),
        ),
        plain(percentiles("latency", status.latency)),
        plain(percentiles("queue", status.queue)),
        Line::new(
            if busy == slots && slots > 0 {
                Style::Warning
            } else {
                Style::Plain
            },
            format!("{busy} of {slots} slots busy"),
        ),
        plain(format!("workers: {}", wanted(status))),
    ];
    let mut lines = Line::flow(server, columns);
    lines.extend(Line::flow(load, columns));
    lines.extend(Line::flow(status.listeners.iter().map(listener), columns));
    let failed = status.last_reload.as_ref().filter(|reload| !reload.ok);
    lines.extend(failed.map(|reload| {
        let error = printable(reload.error.as_deref().unwrap_or_default());
        let first = error.trim().lines().next().unwrap_or("no reason given");
        Line::new(Style::Bad, format!("last reload failed: {first}"))
    }));
    lines
}

fn percentiles(what: &str, times: Percentiles) -> String {
    format!(
        "{what} p50 {} p99 {}",
        millis(times.p50_ms),
        millis(times.p99_ms)
    )
}

fn millis(time: Option<f64>) -> String {
    match time {
        Some(time) if time < 10.0 => format!("{time:.1}ms"),
        Some(time) => short(time as u64),
        None => "-".to_owned(),
    }
}

fn listener(listener: &ListenerStatus) -> Line {
    let style = match (listener.waiting, listener.capacity) {
        (Some(waiting), Some(capacity)) if waiting >= capacity => Style::Bad,
        (Some(1..), _) => Style::Warning,
        _ => Style::Plain,
    };
    let mut line = Line::new(Style::Plain, format!("{}: ", printable(&listener.address)));
    line.push(
        style,
        waiting(listener).unwrap_or_else(|| "waiting -".to_owned()),
    );
    line
}

/// The running requests with their workers, the longest first.
fn running(status: &Status) -> Vec<(u32, &SlotStatus)> {
    let mut running: Vec<_> = status
        .workers
        .iter()
        .flat_map(|worker| worker.slots.iter().map(|slot| (worker.id, slot)))
        .filter(|(_, slot)| slot.is_busy())
        .collect();
    running.sort_by_key(|(_, slot)| Reverse(slot.age_ms));
    running
}

fn request(worker: u32, slot: &SlotStatus, columns: usize) -> Line {
    let place = format!("{worker}/{}", slot.slot);
    let style = match slot.phase {
        SlotPhase::TimedOut => Style::Bad,
        SlotPhase::Idle | SlotPhase::Running => Style::Plain,
    };
    let text = match columns {
        0..NARROW => {
            let mark = if style == Style::Bad { '!' } else { ' ' };
            let part = |text: &Option<String>| ascii(text.as_deref().unwrap_or_default());
            let age = short(slot.age_ms.unwrap_or_default());
            let (method, uri) = (part(&slot.method), part(&slot.uri));
            format!("{place:>6} {age:>6}{mark} {method} {uri}")
        }
        _ => request_line(&place, slot, columns),
    };
    Line::new(style, text)
}

fn requests_head(columns: usize) -> &'static str {
    match columns {
        0..NARROW => " ID/SL    AGE  REQUEST",
        _ => "        ID/SLOT PHASE         AGE REQUEST",
    }
}

/// The keys, in as many words as fit.
fn footer(columns: usize) -> Line {
    let names = SORT_KEYS.map(|(key, _, name)| format!("{key} {name}"));
    let letters = SORT_KEYS.map(|(key, ..)| key.to_string());
    let texts = [
        format!("q quit   sort by {} (again: reverse)", names.join("  ")),
        format!("q quit  sort: {}", names.join(" ")),
        format!("q quit  sort: {}", letters.join(" ")),
    ];
    let fits = |text: &&String| text.len() <= columns;
    let text = texts.iter().find(fits).unwrap_or(&texts[2]);
    Line::new(Style::Dim, cut(text, columns))
}

/// Below this, a request has no columns for its phase and its ID.
const NARROW: usize = 70;

/// In a lower window the keys would cost too much.
const MIN_ROWS_WITH_FOOTER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::client::fixture::busy_status;

    const RATES: Rates = Rates {
        requests: 101.5,
        failed: 0.5,
    };

    fn texts(status: &Status, columns: usize, rows: usize) -> Vec<String> {
        let size = Size { columns, rows };
        let lines = frame(status, &RATES, Order::default(), size);
        lines.iter().map(Line::text).collect()
    }

    fn status() -> Status {
        let mut status = busy_status();
        status.workers[0].slots[2].uri = Some("/stuck".to_owned());
        status
    }

    #[test]
    fn wide_window_has_everything_and_the_longest_running_requests_first() {
        assert_eq!(
            texts(&status(), 110, 14).join("\n"),
            "\
shop (scoter 1.0.0)  pid 4242  generation 3  running, ready  up 2h05m
101.5 requests/s  0.5 failed/s  latency p50 3.5ms p99 48ms  queue p50 0.1ms p99 1.5ms  2 of 3 slots busy
workers: 2 wanted (2..8)
unix:/run/app.sock: waiting 3 of 1025

> ID     PID GEN PHASE       AGE  REQUESTS FAILED   REQ/S BUSY  CPU MEMORY SLOTS
   1    4243   3 ready     5m00s     30125      2   101.2  50%  25%  64.0M   2/3
   2    4250   4 starting    0ms         0      0     0.0   0%    -      -   0/0

        ID/SLOT PHASE         AGE REQUEST
           1/12 timed-out   3m12s DELETE /stuck  0f8fad5b-d9cb-469f-a165-70867728950e
            1/1 running      1.2s GET  /report?month=11  5f3a

q quit  sort: w worker p pid a age n requests f failed r req/s b busy c CPU m memory"
        );
    }

    #[test]
    fn window_of_40_columns_is_readable() {
        assert_eq!(
            texts(&status(), 39, 22).join("\n"),
            "\
shop (scoter 1.0.0)  pid 4242
generation 3  running, ready  up 2h05m
101.5 requests/s  0.5 failed/s
latency p50 3.5ms p99 48ms
queue p50 0.1ms p99 1.5ms
2 of 3 slots busy
workers: 2 wanted (2..8)
unix:/run/app.sock: waiting 3 of 1025

> ID PHASE      REQ/S BUSY  CPU MEMORY
   1 ready      101.2  50%  25%  64.0M
   2 starting     0.0   0%    -      -

 ID/SL    AGE  REQUEST
  1/12  3m12s! DELETE /stuck
   1/1   1.2s  GET /report?month=11





q quit  sort: w p a n f r b c m"
        );
    }

    #[test]
    fn what_is_wrong_is_coloured() {
        let mut status = status();
        status.listeners[0].waiting = status.listeners[0].capacity;
        let reload = status.last_reload.as_mut().unwrap();
        reload.ok = false;
        reload.error = Some("app could not be imported\nTraceback".to_owned());
        let size = Size {
            columns: 120,
            rows: 30,
        };
        let lines = frame(&status, &RATES, Order::default(), size);
        let coloured: String = lines.iter().map(Line::coloured).collect();
        for part in [
            "\x1b[32mrunning, ready\x1b[0m",
            "\x1b[31m0.5 failed/s\x1b[0m",
            "\x1b[31mwaiting 1025 of 1025\x1b[0m",
            "\x1b[31mlast reload failed: app could not be imported\x1b[0m",
            "\x1b[33mstarting\x1b[0m",
            "\x1b[1m>\x1b[0m",
        ] {
            assert!(coloured.contains(part), "{part:?} in {coloured:?}");
        }
    }

    #[test]
    fn what_a_server_does_not_say_is_a_dash() {
        let mut status = Status {
            workers: vec![WorkerStatus::default()],
            ..Status::default()
        };
        status.listeners.push(ListenerStatus::default());
        let text = texts(&status, 110, 24).join("\n");
        for part in ["latency p50 - p99 -", "queue p50 - p99 -", "waiting -"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn frame_fits_any_screen() {
        let mut status = busy_status();
        for _ in 0..5 {
            status.workers.extend(status.workers.clone());
        }
        for columns in [0, 1, 7, 20, 39, 69, 70, 79, 80, 200] {
            for rows in [0, 1, 2, 3, 5, 7, 8, 9, 24, 60] {
                let lines = texts(&status, columns, rows);
                assert!(lines.len() <= rows, "{columns}x{rows}");
                let widest = lines.iter().map(|line| line.chars().count()).max();
                assert!(widest.unwrap_or_default() <= columns, "{columns}x{rows}");
                if rows >= 8 {
                    assert_eq!(lines.len(), rows, "{columns}x{rows}");
                }
            }
        }
        let lines = texts(&status, 80, 24);
        assert!(
            lines.iter().any(|line| line.contains("more workers")),
            "{lines:#?}"
        );
        assert!(
            lines.iter().any(|line| line.contains("more requests")),
            "{lines:#?}"
        );
        let requests = lines.iter().filter(|line| line.contains("timed-out"));
        assert!(requests.count() > 4, "{lines:#?}");
    }

    #[test]
    fn names_and_paths_of_a_server_are_printed_without_control_sequences() {
        let mut status = busy_status();
        status.name = Some("\x1b[2J".to_owned());
        status.version = "\x1b]0;".to_owned();
        status.listeners[0].address = "unix:/\x1b".to_owned();
        status.workers[0].slots[1].uri = Some("/\x1b[2J".to_owned());
        for columns in [39, 110] {
            let text = texts(&status, columns, 24).concat();
            assert!(!text.contains('\x1b'), "{text:?}");
        }
    }
}
