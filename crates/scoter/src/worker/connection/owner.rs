//! Who may answer a request: the slot that runs the application, or the reactor in its place.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

#[cfg(all(test, feature = "loom"))]
use loom::sync::atomic::AtomicU8;
#[cfg(not(all(test, feature = "loom")))]
use std::sync::atomic::AtomicU8;

/// The right to send the response, which the slot has until the reactor revokes it.
///
/// If both ask at the same time, one of them gets it.
#[derive(Debug, Default)]
pub(crate) struct ResponseOwner(AtomicU8);

/// What the reactor has revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// The whole response: nothing has been sent, so another response can be.
    Whole,
    /// The rest: a part has been sent, so no other response can follow.
    Rest,
}

impl ResponseOwner {
    /// Asks on behalf of the slot, before it sends anything. Refused if the reactor has the
    /// response.
    pub(crate) fn claim(&self) -> bool {
        match self.0.load(Acquire) {
            SLOT => true,
            NOBODY => self
                .0
                .compare_exchange(NOBODY, SLOT, AcqRel, Acquire)
                .is_ok(),
            _ => false,
        }
    }

    /// Revokes the slot's right to send.
    pub(crate) fn revoke(&self) -> Revoked {
        match self
            .0
            .compare_exchange(NOBODY, REACTOR_WHOLE, AcqRel, Acquire)
        {
            Ok(_) | Err(REACTOR_WHOLE) => Revoked::Whole,
            Err(_) => {
                self.0.store(REACTOR_REST, Release);
                Revoked::Rest
            }
        }
    }

    /// What has been revoked, if anything.
    pub(crate) fn revoked(&self) -> Option<Revoked> {
        match self.0.load(Acquire) {
            REACTOR_WHOLE => Some(Revoked::Whole),
            REACTOR_REST => Some(Revoked::Rest),
            _ => None,
        }
    }
}

const NOBODY: u8 = 0;
const SLOT: u8 = 1;
const REACTOR_WHOLE: u8 = 2;
const REACTOR_REST: u8 = 3;

#[cfg(all(test, feature = "loom"))]
mod model;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn response_that_nobody_began_is_revoked_whole() {
        let owner = ResponseOwner::default();
        assert_eq!(owner.revoked(), None);
        assert_eq!(owner.revoke(), Revoked::Whole);
        assert!(!owner.claim());
        assert_eq!(owner.revoked(), Some(Revoked::Whole));
    }

    #[test]
    fn of_a_response_that_the_slot_began_the_rest_is_revoked() {
        let owner = ResponseOwner::default();
        assert!(owner.claim() && owner.claim());
        assert_eq!(owner.revoke(), Revoked::Rest);
        assert!(!owner.claim());
        assert_eq!(owner.revoked(), Some(Revoked::Rest));
    }

    #[test]
    fn of_two_that_ask_at_once_one_begins() {
        for _ in 0..200 {
            let owner = ResponseOwner::default();
            let (revoked, claimed) = thread::scope(|scope| {
                let slot = scope.spawn(|| owner.claim());
                (owner.revoke(), slot.join().unwrap())
            });
            // Whoever came second knows of the first.
            assert_eq!(claimed, revoked == Revoked::Rest);
        }
    }
}
