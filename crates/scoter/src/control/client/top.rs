//! `scoter top`: shows the status every second.

use std::cmp::Reverse;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::error::ClientError;
use super::http::Client;
use super::render::{
    TABLE_HEAD, cut, headline, render, request_line, waiting, wanted, worker_line,
};
use super::screen::{QuitInput, Screen};
use crate::control::{SlotStatus, Status};

/// Shows the status until the user quits or the server ends. If standard output is not a terminal,
/// the result is a single status.
pub(super) async fn watch(client: &Client) -> Result<String, ClientError> {
    let first = client.status().await?;
    if !io::stdout().is_terminal() {
        return Ok(render(&first));
    }
    let failed = |error| client.system(error);
    let mut quit = QuitInput::prepare().map_err(failed)?;
    let screen = Screen::enter().map_err(failed)?;
    tokio::select! {
        () = quit.wait() => Ok(String::new()),
        ended = refresh(client, &screen, first) => ended,
    }
}

async fn refresh(client: &Client, screen: &Screen, first: Status) -> Result<String, ClientError> {
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut rates = Rates::of(&first, None);
    let mut shown = first;
    loop {
        let (columns, rows) = screen.size();
        let drawn = screen.draw(&frame(&shown, &rates, columns, rows));
        drawn.map_err(|error| client.system(error))?;
        ticks.tick().await;
        match client.status().await {
            Ok(status) => {
                rates = Rates::of(&status, Some(&shown));
                shown = status;
            }
            // It is replacing itself or has ended: the next request shows which.
            Err(ClientError::ConnectionLost) => {}
            Err(error) if error.is_absence() => return Ok("the server has ended\n".to_owned()),
            Err(error) => return Err(error),
        }
    }
}

/// Requests per second.
#[derive(Debug, PartialEq)]
struct Rates {
    requests: f64,
    failed: f64,
}

impl Rates {
    /// Computes the rates between two statuses. With only one, the server's own figures are used.
    fn of(now: &Status, before: Option<&Status>) -> Self {
        let same = before.filter(|before| {
            before.started_at == now.started_at && before.uptime_ms < now.uptime_ms
        });
        let Some(before) = same else {
            let rates = now.workers.iter().map(|worker| worker.requests_per_second);
            return Self {
                requests: rates.sum(),
                failed: 0.0,
            };
        };
        let seconds = (now.uptime_ms - before.uptime_ms) as f64 / 1_000.0;
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Self {
            requests: rate(now.totals.requests, before.totals.requests),
            failed: rate(now.totals.failed, before.totals.failed),
        }
    }
}

/// The kernel's queues, one for each listening socket.
fn in_queues(status: &Status) -> String {
    let queues = status.listeners.iter().filter_map(waiting);
    queues.map(|waiting| format!(", {waiting}")).collect()
}

/// A screenful of lines: the server, its workers, and the requests that have been running longest.
fn frame(status: &Status, rates: &Rates, columns: usize, rows: usize) -> Vec<String> {
    let (busy, slots) = status.busy_slots();
    let mut lines = vec![
        headline(status),
        format!(
            "{:.1} requests/s, {:.1} failed/s, {busy} of {slots} slots busy{}, workers: {}",
            rates.requests,
            rates.failed,
            in_queues(status),
            wanted(status)
        ),
        String::new(),
        TABLE_HEAD.to_owned(),
    ];
    let mut running: Vec<(u32, &SlotStatus)> = Vec::new();
    for worker in &status.workers {
        let busy = worker.slots.iter().filter(|slot| slot.is_busy());
        running.extend(busy.map(|slot| (worker.id, slot)));
    }
    running.sort_by_key(|(_, slot)| Reverse(slot.age_ms));

    // If there is not enough room, workers leave half of it to the requests.
    let room = rows.saturating_sub(lines.len());
    let for_requests = (running.len() + 2).min(room / 2);
    let workers = status.workers.iter().take(room - for_requests);
    lines.extend(workers.map(worker_line));
    lines.push(String::new());
    lines.push(REQUESTS_HEAD.to_owned());
    lines.extend(running.iter().map(|(worker, slot)| {
        let place = format!("{worker}/{}", slot.slot);
        request_line(&place, slot, columns)
    }));
    lines.truncate(rows);
    for line in &mut lines {
        *line = cut(line, columns).to_owned();
    }
    lines
}

const REQUESTS_HEAD: &str = "    WORKER/SLOT PHASE         AGE REQUEST";

const REFRESH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::fixture::busy_status;
    use super::*;

    const RATES: Rates = Rates {
        requests: 101.5,
        failed: 0.5,
    };

    #[test]
    fn frame_lists_the_longest_running_requests_first() {
        let mut status = busy_status();
        status.workers[0].slots[2].uri = Some("/stuck".to_owned());
        assert_eq!(
            frame(&status, &RATES, 100, 24).join("\n"),
            "\
scoter 1.0.0, name shop, pid 4242, generation 3: running, ready, up 2h05m
101.5 requests/s, 0.5 failed/s, 2 of 3 slots busy, waiting 3 of 1025, workers: 2 wanted (2..8)

WORKER      PID  GEN PHASE        AGE    REQUESTS  FAILED    REQ/S  BUSY  MEMORY     SLOTS
     1     4243    3 ready      5m00s       30125       2    101.2   50%   64.0M       2/3
     2     4250    4 starting     0ms           0       0      0.0    0%       -       0/0

    WORKER/SLOT PHASE         AGE REQUEST
           1/12 timed-out   3m12s DELETE /stuck  0f8fad5b-d9cb-469f-a165-70867728950e
            1/1 running      1.2s GET  /report?month=11  5f3a"
        );
    }

    #[test]
    fn frame_fits_any_screen() {
        let mut status = busy_status();
        for _ in 0..5 {
            status.workers.extend(status.workers.clone());
        }
        for (columns, rows) in [(0, 0), (1, 1), (20, 3), (80, 5), (80, 24), (300, 200)] {
            let lines = frame(&status, &RATES, columns, rows);
            assert!(lines.len() <= rows, "{columns}x{rows}");
            let widest = lines.iter().map(String::len).max();
            assert!(widest.unwrap_or_default() <= columns, "{columns}x{rows}");
        }
        let lines = frame(&status, &RATES, 80, 24);
        let requests = lines.iter().filter(|line| line.contains("timed-out"));
        assert_eq!(requests.count(), 8);
    }

    #[test]
    fn rates_are_computed_between_two_statuses() {
        let before = busy_status();
        let mut now = busy_status();
        now.uptime_ms += 2_000;
        now.totals.requests += 30;
        now.totals.failed += 1;
        let expected = Rates {
            requests: 15.0,
            failed: 0.5,
        };
        assert_eq!(Rates::of(&now, Some(&before)), expected);
        // A server that has replaced the previous one counts from 0.
        now.started_at += Duration::from_secs(9_000);
        let theirs = Rates {
            requests: 101.25,
            failed: 0.0,
        };
        assert_eq!(Rates::of(&now, Some(&before)), theirs);
        assert_eq!(Rates::of(&now, None), theirs);
    }
}
