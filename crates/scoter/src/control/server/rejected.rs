//! Peers that were refused.

use std::collections::HashSet;
use std::hash::Hash;

/// The peers that have been reported, so that each is reported once.
#[derive(Debug)]
pub(super) struct Rejected<T>(HashSet<T>);

impl<T: Eq + Hash> Rejected<T> {
    pub(super) fn is_new(&mut self, peer: T) -> bool {
        self.0.len() < MAX_REJECTED && self.0.insert(peer)
    }
}

impl<T> Default for Rejected<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

/// How many reported peers are remembered.
const MAX_REJECTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_peers_are_reported_once_and_up_to_a_limit() {
        let mut rejected = Rejected::default();
        for uid in 1..=64 {
            assert!(rejected.is_new(uid), "{uid}");
            assert!(!rejected.is_new(uid), "{uid}");
        }
        assert!(!rejected.is_new(65));
    }
}
