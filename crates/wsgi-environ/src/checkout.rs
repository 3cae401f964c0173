use std::mem;
use std::sync::PoisonError;

use pyo3::Python;

#[cfg(all(test, feature = "loom"))]
use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, feature = "loom")))]
use std::sync::{Condvar, Mutex, MutexGuard};

/// A value that one thread at a time checks out to work with, so that no lock
/// is held while it waits for a client or for the interpreter.
#[derive(Debug)]
pub(crate) struct Checkout<T> {
    state: Mutex<State<T>>,
    checked_in: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Available(T),
    CheckedOut {
        /// What the thread that waits for the value, if any, will use it for.
        claim: Option<Claim>,
    },
    /// Checked in, for the thread that waits. Otherwise a thread that checks it out
    /// in a loop could keep it from all others.
    Reserved(T, Claim),
    Gone,
}

/// What a waiting thread wants the value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// To work with it.
    Use,
    /// To remove it.
    Take,
}

/// Why there is no value to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Another thread has it, or this one further up its stack.
    CheckedOut,
    /// It was removed.
    Gone,
}

impl<T> Checkout<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            state: Mutex::new(State::Available(value)),
            checked_in: Condvar::new(),
        }
    }

    /// Checks the value out for `work`. Until that returns, the value is unavailable
    /// to other threads, and to this one further down its stack.
    ///
    /// Returns [`Unavailable::Gone`] also if the value was removed meanwhile.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Result<R, Unavailable> {
        let mut value = self.check_out()?;
        let unwinding = Unwinding(self);
        let result = work(&mut value);
        mem::forget(unwinding);
        self.check_in(value).map(|()| result)
    }

    /// Removes the value. If it is checked out, it is dropped when that ends.
    pub(crate) fn take(&self) -> Result<T, Unavailable> {
        // In a separate statement, so that the lock is released immediately.
        let state = mem::replace(&mut *self.lock(), State::Gone);
        match state {
            State::Available(value) | State::Reserved(value, _) => Ok(value),
            State::CheckedOut { claim } => {
                self.wake(claim);
                Err(Unavailable::CheckedOut)
            }
            State::Gone => Err(Unavailable::Gone),
        }
    }

    /// Replaces a removed value with a new one. No other thread may have access to this object.
    pub(crate) fn put(&self, value: T) {
        let mut state = self.lock();
        debug_assert!(
            matches!(*state, State::Gone),
            "the last value was not removed"
        );
        *state = State::Available(value);
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(*self.lock(), State::Gone)
    }

    fn check_out(&self) -> Result<T, Unavailable> {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::CheckedOut { claim: None }) {
            State::Available(value) => Ok(value),
            other => {
                let unavailable = match &other {
                    State::Gone
                    | State::Reserved(_, Claim::Take)
                    | State::CheckedOut {
                        claim: Some(Claim::Take),
                    } => Unavailable::Gone,
                    _ => Unavailable::CheckedOut,
                };
                *state = other;
                Err(unavailable)
            }
        }
    }

    fn check_in(&self, value: T) -> Result<(), Unavailable> {
        let mut state = self.lock();
        let State::CheckedOut { claim } = *state else {
            drop(state);
            // Only now, without the lock, may the value be dropped.
            drop(value);
            return Err(Unavailable::Gone);
        };
        *state = match claim {
            None => State::Available(value),
            Some(claim) => State::Reserved(value, claim),
        };
        drop(state);
        self.wake(claim);
        Ok(())
    }

    fn wake(&self, claim: Option<Claim>) {
        // A system call, even if no thread waits.
        if claim.is_some() {
            self.checked_in.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Checkout<T> {
    /// As [`with`](Self::with), but waits for a value that is checked out, and is the next to
    /// have it. `None` if it is gone.
    ///
    /// For one thread at a time, which must not have the value itself.
    pub(crate) fn with_waiting<R>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut value = self.claim(Claim::Use, |wait| py.detach(wait))?;
        let unwinding = Unwinding(self);
        let result = work(&mut value);
        mem::forget(unwinding);
        self.check_in(value).ok().map(|()| result)
    }

    /// Removes the value as soon as it is not checked out. From the call on, no other thread can
    /// check it out. `None` if it is gone.
    ///
    /// For one thread at a time, which must not have the value itself.
    pub(crate) fn take_waiting(&self, py: Python<'_>) -> Option<T> {
        self.claim(Claim::Take, |wait| py.detach(wait))
    }

    /// Calls `detached` with a function that waits, which must not run attached to the interpreter.
    fn claim(&self, claim: Claim, detached: impl Fn(&(dyn Fn() + Sync))) -> Option<T> {
        loop {
            let mut state = self.lock();
            let taken = match claim {
                Claim::Use => State::CheckedOut { claim: None },
                Claim::Take => State::Gone,
            };
            match mem::replace(&mut *state, taken) {
                State::Available(value) | State::Reserved(value, _) => return Some(value),
                State::Gone => {
                    *state = State::Gone;
                    return None;
                }
                State::CheckedOut { .. } => *state = State::CheckedOut { claim: Some(claim) },
            }
            drop(state);
            detached(&|| self.wait_for_check_in());
        }
    }

    fn wait_for_check_in(&self) {
        let mut state = self.lock();
        while matches!(*state, State::CheckedOut { .. }) {
            let woken = self.checked_in.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Marks a value as gone if a panic unwinds through its user, so that no thread waits for it.
struct Unwinding<'a, T>(&'a Checkout<T>);

impl<T> Drop for Unwinding<'_, T> {
    fn drop(&mut self) {
        let state = mem::replace(&mut *self.0.lock(), State::Gone);
        if let State::CheckedOut { claim } = state {
            self.0.wake(claim);
        }
    }
}

#[cfg(all(test, feature = "loom"))]
mod model;

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn value_is_unavailable_while_it_is_checked_out() {
        let checkout = Checkout::new(1);
        let inner = checkout.with(|value| {
            *value += 1;
            checkout.with(|_| ())
        });
        assert_eq!(inner, Ok(Err(Unavailable::CheckedOut)));
        assert_eq!(checkout.with(|value| *value), Ok(2));
    }

    #[test]
    fn value_removed_meanwhile_is_gone() {
        let checkout = Checkout::new(1);
        assert_eq!(checkout.with(|_| checkout.take()), Err(Unavailable::Gone));
        assert!(checkout.is_gone());
        assert_eq!(checkout.take(), Err(Unavailable::Gone));
    }

    #[test]
    fn value_is_gone_after_a_panic_of_its_user() {
        let checkout = Checkout::new(1);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            checkout.with(|_| panic::resume_unwind(Box::new("no message needed")))
        }));
        assert!(result.is_err());
        assert_eq!(checkout.with(|_| ()), Err(Unavailable::Gone));
        Python::attach(|py| assert_eq!(checkout.take_waiting(py), None));
    }

    /// Works with the value until the other thread claims it, and then tries to check it
    /// out again. Returns the result of that.
    fn work_until_claimed(
        checkout: &Arc<Checkout<i32>>,
    ) -> thread::JoinHandle<Result<(), Unavailable>> {
        let worker = Arc::clone(checkout);
        let (taken, is_taken) = mpsc::channel();
        let working = thread::spawn(move || {
            let worked = worker.with(|value| {
                taken.send(()).unwrap();
                while !matches!(*worker.lock(), State::CheckedOut { claim: Some(_) }) {
                    thread::yield_now();
                }
                *value = 2;
            });
            assert_eq!(worked, Ok(()));
            worker.with(|value| *value = 3)
        });
        is_taken.recv().unwrap();
        working
    }

    #[test]
    fn claimed_value_goes_to_the_thread_that_waits() {
        let checkout = Arc::new(Checkout::new(1));
        let working = work_until_claimed(&checkout);
        let (seen, again) = Python::attach(|py| {
            let seen = checkout.with_waiting(py, |value| {
                let again = py.detach(|| working.join().unwrap());
                (*value, again)
            });
            seen.unwrap()
        });
        assert_eq!((seen, again), (2, Err(Unavailable::CheckedOut)));
        assert_eq!(checkout.take(), Ok(2));
    }

    #[test]
    fn value_claimed_for_removal_is_gone_for_all_others() {
        let checkout = Arc::new(Checkout::new(1));
        let working = work_until_claimed(&checkout);
        assert_eq!(Python::attach(|py| checkout.take_waiting(py)), Some(2));
        assert_eq!(working.join().unwrap(), Err(Unavailable::Gone));
    }
}
