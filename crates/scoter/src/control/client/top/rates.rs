//! Requests per second, between two statuses.

use crate::control::Status;

/// Requests per second.
#[derive(Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) requests: f64,
    pub(super) failed: f64,
}

impl Rates {
    /// Computes the rates between two statuses. With only one, the server's own figures are used.
    pub(super) fn of(now: &Status, before: Option<&Status>) -> Self {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::client::fixture::busy_status;

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
