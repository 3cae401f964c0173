//! Every interleaving of the few threads that may meet at one value.

use std::panic::{self, AssertUnwindSafe};

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::*;

#[test]
fn removal_waits_for_those_who_have_the_value_and_sees_all_of_their_work() {
    loom::model(|| {
        let checkout = Arc::new(Checkout::new(0));
        let applications = [add_one(&checkout), add_one(&checkout)];
        let removed = checkout.claim(Claim::Take, attached);
        assert_eq!(checkout.with(|_| ()), Err(Unavailable::Gone));
        let added = applications.map(|application| application.join().unwrap());
        assert_eq!(
            removed,
            Some(added.iter().filter(|added| added.is_ok()).count())
        );
    });
}

#[test]
fn waiting_thread_gets_the_value_and_so_do_others_after_it() {
    loom::model(|| {
        let checkout = Arc::new(Checkout::new(0));
        let application = {
            let checkout = Arc::clone(&checkout);
            thread::spawn(move || [(); 2].map(|()| checkout.with(|value| *value += 1)))
        };
        let value = checkout
            .claim(Claim::Use, attached)
            .expect("nobody removes it");
        assert_eq!(checkout.with(|_| ()), Err(Unavailable::CheckedOut));
        assert_eq!(checkout.check_in(value), Ok(()));
        let added = application
            .join()
            .unwrap()
            .iter()
            .filter(|added| added.is_ok())
            .count();
        assert_eq!(checkout.with(|value| *value), Ok(added));
    });
}

#[test]
fn removal_that_does_not_wait_leaves_the_value_to_one_thread() {
    loom::model(|| {
        let checkout = Arc::new(Checkout::new(0));
        let application = add_one(&checkout);
        let removed = checkout.take();
        match (removed, application.join().unwrap()) {
            (Ok(0), Err(Unavailable::Gone))
            | (Ok(1), Ok(()))
            | (Err(Unavailable::CheckedOut), Err(Unavailable::Gone)) => {}
            other => panic!("{other:?}"),
        }
        assert!(checkout.is_gone());
    });
}

#[test]
fn panic_of_who_has_the_value_ends_the_wait_for_it() {
    for claim in [Claim::Use, Claim::Take] {
        loom::model(move || {
            let checkout = Arc::new(Checkout::new(0));
            let application = {
                let checkout = Arc::clone(&checkout);
                thread::spawn(move || {
                    let worked = panic::catch_unwind(AssertUnwindSafe(|| {
                        checkout.with(|_| panic::resume_unwind(Box::new("no message needed")))
                    }));
                    assert!(
                        worked.is_err()
                            || worked.is_ok_and(|worked: Result<(), _>| worked.is_err())
                    );
                })
            };
            if let Some(value) = checkout.claim(claim, attached) {
                assert_eq!(value, 0);
                if claim == Claim::Use {
                    assert_eq!(checkout.check_in(value), Ok(()));
                }
            }
            application.join().unwrap();
        });
    }
}

#[test]
fn object_is_reused_only_when_the_last_user_is_done_with_it() {
    loom::model(|| {
        let mut checkout = Arc::new(Checkout::new(0));
        let application = add_one(&checkout);
        assert!(checkout.claim(Claim::Take, attached).is_some());
        // As in the object cache: an object that others may reach must not be reused.
        if Arc::get_mut(&mut checkout).is_some() {
            checkout.put(100);
            assert_eq!(checkout.with(|value| *value), Ok(100));
        } else {
            assert!(checkout.is_gone());
        }
        application.join().unwrap().ok();
    });
}

/// A thread of the application, which may come too late or at the wrong time.
fn add_one(checkout: &Arc<Checkout<usize>>) -> JoinHandle<Result<(), Unavailable>> {
    let checkout = Arc::clone(checkout);
    thread::spawn(move || checkout.with(|value| *value += 1))
}

/// There is no interpreter to detach from.
fn attached(wait: &(dyn Fn() + Sync)) {
    wait();
}
