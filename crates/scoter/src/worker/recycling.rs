//! When a worker has served enough.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts requests up to `--max-requests`.
#[derive(Debug)]
pub(crate) struct Recycling {
    limit: u64,
    begun: AtomicU64,
}

impl Recycling {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
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
        let recycling = Recycling::new(3);
        let reached: Vec<_> = (0..5).map(|_| recycling.reach()).collect();
        assert_eq!(reached, [false, false, true, false, false]);
    }
}
