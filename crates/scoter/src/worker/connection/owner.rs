//! Who may answer a request: the slot that runs the application, or the reactor in its place.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

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
    /// Nothing: the peer has all of it, and the connection may be serving the next request.
    Nothing,
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
        let mut owner = self.0.load(Acquire);
        loop {
            let (revoked, next) = match owner {
                NOBODY | REACTOR_WHOLE => (Revoked::Whole, REACTOR_WHOLE),
                COMPLETE => return Revoked::Nothing,
                _ => (Revoked::Rest, REACTOR_REST),
            };
            match self.0.compare_exchange(owner, next, AcqRel, Acquire) {
                Ok(_) => return revoked,
                Err(current) => owner = current,
            }
        }
    }

    /// Ends the response: nobody sends anything more. Returns whether it was still the slot's.
    pub(crate) fn complete(&self) -> bool {
        let complete = |owner| matches!(owner, NOBODY | SLOT).then_some(COMPLETE);
        self.0.fetch_update(AcqRel, Acquire, complete).is_ok()
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
const COMPLETE: u8 = 4;

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
    fn of_a_complete_response_nothing_is_revoked() {
        let owner = ResponseOwner::default();
        assert!(owner.claim() && owner.complete());
        assert_eq!(owner.revoke(), Revoked::Nothing);
        assert_eq!(owner.revoked(), None);
        assert!(!owner.claim() && !owner.complete());
    }

    #[test]
    fn response_that_was_revoked_is_not_completed() {
        for began in [false, true] {
            let owner = ResponseOwner::default();
            assert!(!began || owner.claim());
            let revoked = owner.revoke();
            assert!(!owner.complete());
            assert_eq!(owner.revoked(), Some(revoked));
        }
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
