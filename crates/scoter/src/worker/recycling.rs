//! Whether a worker has reached `--max-requests`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts requests up to `--max-requests`.
#[derive(Debug)]
pub(crate) struct Recycling {
    limit: u64,
    begun: AtomicU64,
}

impl Recycling {
    /// Counts to `limit`, and a part of it more: workers are not to be replaced all at once.
    pub(crate) fn new(limit: u64, jitter: f64) -> Self {
        Self {
            limit: limit + (limit as f64 * jitter) as u64,
            begun: AtomicU64::new(0),
        }
    }

    /// Counts a request, and says whether it is the one that reaches the limit.
    pub(crate) fn reach(&self) -> bool {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1 == self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_reached_once() {
        let recycling = Recycling::new(3, 0.0);
        let reached: Vec<_> = (0..5).map(|_| recycling.reach()).collect();
        assert_eq!(reached, [false, false, true, false, false]);
    }

    #[test]
    fn jitter_only_adds_to_the_limit() {
        for (jitter, expected) in [(0.0, 1_000), (0.05, 1_050), (1.0, 2_000)] {
            assert_eq!(Recycling::new(1_000, jitter).limit, expected);
        }
    }
}
