//! Every interleaving of a slot that sends and the reactor that revokes.

use loom::sync::Arc;
use loom::thread;

use super::*;

#[test]
fn slot_or_reactor_begins_the_response_and_never_both() {
    loom::model(|| {
        let owner = Arc::new(ResponseOwner::default());
        let slot = {
            let owner = Arc::clone(&owner);
            thread::spawn(move || owner.claim())
        };
        let revoked = owner.revoke();
        assert_eq!(slot.join().unwrap(), revoked == Revoked::Rest);
        assert_eq!(owner.revoked(), Some(revoked));
        assert!(!owner.claim());
    });
}

#[test]
fn slot_that_is_refused_once_sends_nothing_more_and_knows_what_was_revoked() {
    loom::model(|| {
        let owner = Arc::new(ResponseOwner::default());
        let slot = {
            let owner = Arc::clone(&owner);
            thread::spawn(move || {
                let sent = [(); 3].map(|()| owner.claim());
                let seen = owner.revoked();
                assert!(sent.is_sorted_by(|before, after| before >= after));
                assert!(sent[2] || seen.is_some());
                (sent[0], seen)
            })
        };
        let revoked = owner.revoke();
        let (began, seen) = slot.join().unwrap();
        assert_eq!(began, revoked == Revoked::Rest);
        assert!(seen.is_none_or(|seen| seen == revoked));
    });
}

#[test]
fn response_is_completed_or_revoked_and_never_both() {
    loom::model(|| {
        let owner = Arc::new(ResponseOwner::default());
        let slot = {
            let owner = Arc::clone(&owner);
            thread::spawn(move || owner.claim() && owner.complete())
        };
        let revoked = owner.revoke();
        assert_eq!(slot.join().unwrap(), revoked == Revoked::Nothing);
        assert!(!owner.claim() && !owner.complete());
    });
}
