//! Users whose orders were refused.

use std::collections::HashSet;

use nix::unistd::Uid;

/// The users who have been reported, so that each is reported once.
#[derive(Debug, Default)]
pub(super) struct RejectedUids(HashSet<Option<Uid>>);

impl RejectedUids {
    pub(super) fn is_new(&mut self, peer: Option<Uid>) -> bool {
        self.0.len() < MAX_REJECTED && self.0.insert(peer)
    }
}

/// How many reported users are remembered.
const MAX_REJECTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_users_are_reported_once_and_up_to_a_limit() {
        let mut rejected = RejectedUids::default();
        for uid in 1..=64 {
            assert!(rejected.is_new(Some(Uid::from_raw(uid))), "{uid}");
            assert!(!rejected.is_new(Some(Uid::from_raw(uid))), "{uid}");
        }
        assert!(!rejected.is_new(Some(Uid::from_raw(65))));
    }
}
