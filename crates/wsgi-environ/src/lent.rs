use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use pyo3::Python;

/// A value that one thread at a time takes away to work with, so that no lock
/// is held while it waits for a client or for the interpreter.
#[derive(Debug)]
pub(crate) struct Lent<T> {
    place: Mutex<Place<T>>,
    returned: Condvar,
}

#[derive(Debug)]
enum Place<T> {
    Here(T),
    Away {
        awaited: Option<Wish>,
    },
    /// Back, and kept for the thread that has awaited it: one that takes it again and
    /// again would otherwise keep it from others.
    Kept(T, Wish),
    Gone,
}

/// What the server awaits a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// To work with it.
    Turn,
    /// To take it for ever.
    End,
}

/// Why a value cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Another thread has it, or this one further up its stack.
    Away,
    /// It was taken for ever.
    Gone,
}

impl<T> Lent<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            place: Mutex::new(Place::Here(value)),
            returned: Condvar::new(),
        }
    }

    /// Takes the value away while `work` works with it. Other threads, and this
    /// one further down, meanwhile find it absent.
    ///
    /// It is [`Absent::Gone`] also if it was taken for ever meanwhile.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Result<R, Absent> {
        let mut value = self.borrow()?;
        let unwinding = Unwinding(self);
        let result = work(&mut value);
        mem::forget(unwinding);
        self.give_back(value).map(|()| result)
    }

    /// Takes the value for ever. If it is away, it is dropped when it comes back.
    pub(crate) fn take(&self) -> Result<T, Absent> {
        // In a statement of its own, for the lock to be released at once.
        let place = mem::replace(&mut *self.lock(), Place::Gone);
        match place {
            Place::Here(value) | Place::Kept(value, _) => Ok(value),
            Place::Away { awaited } => {
                self.wake(awaited);
                Err(Absent::Away)
            }
            Place::Gone => Err(Absent::Gone),
        }
    }

    /// Puts a value where the last one was taken for ever.
    pub(crate) fn renew(&self, value: T) {
        // In a statement of its own, for the lock to be released at once.
        let place = mem::replace(&mut *self.lock(), Place::Here(value));
        debug_assert!(matches!(place, Place::Gone), "somebody has a value yet");
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(*self.lock(), Place::Gone)
    }

    fn borrow(&self) -> Result<T, Absent> {
        let mut place = self.lock();
        match mem::replace(&mut *place, Place::Away { awaited: None }) {
            Place::Here(value) => Ok(value),
            other => {
                let absent = match &other {
                    Place::Gone
                    | Place::Kept(_, Wish::End)
                    | Place::Away {
                        awaited: Some(Wish::End),
                    } => Absent::Gone,
                    _ => Absent::Away,
                };
                *place = other;
                Err(absent)
            }
        }
    }

    fn give_back(&self, value: T) -> Result<(), Absent> {
        let mut place = self.lock();
        let Place::Away { awaited } = *place else {
            drop(place);
            // Only now, without the lock, may the value be dropped.
            drop(value);
            return Err(Absent::Gone);
        };
        *place = match awaited {
            None => Place::Here(value),
            Some(wish) => Place::Kept(value, wish),
        };
        drop(place);
        self.wake(awaited);
        Ok(())
    }

    fn wake(&self, awaited: Option<Wish>) {
        // Waking nobody would cost a system call as well.
        if awaited.is_some() {
            self.returned.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        // Nothing that can panic runs under the lock.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Lent<T> {
    /// As [`with`](Self::with), for the one thread that waits for the value where it is away,
    /// and is then the next to have it. `None` if it is gone.
    ///
    /// Not for a thread that may have it itself.
    pub(crate) fn with_waiting<R>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut value = self.claim(py, Wish::Turn)?;
        let unwinding = Unwinding(self);
        let result = work(&mut value);
        mem::forget(unwinding);
        self.give_back(value).ok().map(|()| result)
    }

    /// Takes the value for ever once it is not away; from now on nobody else gets it. `None`
    /// if it is gone.
    ///
    /// Not for a thread that may have it itself.
    pub(crate) fn reclaim(&self, py: Python<'_>) -> Option<T> {
        self.claim(py, Wish::End)
    }

    fn claim(&self, py: Python<'_>, wish: Wish) -> Option<T> {
        loop {
            let mut place = self.lock();
            let taken = match wish {
                Wish::Turn => Place::Away { awaited: None },
                Wish::End => Place::Gone,
            };
            match mem::replace(&mut *place, taken) {
                Place::Here(value) | Place::Kept(value, _) => return Some(value),
                Place::Gone => {
                    *place = Place::Gone;
                    return None;
                }
                Place::Away { .. } => {
                    *place = Place::Away {
                        awaited: Some(wish),
                    }
                }
            }
            drop(place);
            py.detach(|| {
                let place = self.lock();
                let is_away = |place: &mut Place<T>| matches!(place, Place::Away { .. });
                let place = self.returned.wait_while(place, is_away);
                drop(place.unwrap_or_else(PoisonError::into_inner));
            });
        }
    }
}

/// Declares a value gone that a panic took along, so that nobody waits for it.
struct Unwinding<'a, T>(&'a Lent<T>);

impl<T> Drop for Unwinding<'_, T> {
    fn drop(&mut self) {
        let place = mem::replace(&mut *self.0.lock(), Place::Gone);
        if let Place::Away { awaited } = place {
            self.0.wake(awaited);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn value_is_absent_while_it_is_worked_with() {
        let lent = Lent::new(1);
        let inner = lent.with(|value| {
            *value += 1;
            lent.with(|_| ())
        });
        assert_eq!(inner, Ok(Err(Absent::Away)));
        assert_eq!(lent.with(|value| *value), Ok(2));
    }

    #[test]
    fn value_taken_meanwhile_is_gone() {
        let lent = Lent::new(1);
        assert_eq!(lent.with(|_| lent.take()), Err(Absent::Gone));
        assert!(lent.is_gone());
        assert_eq!(lent.take(), Err(Absent::Gone));
    }

    #[test]
    fn value_that_a_panic_took_along_is_gone() {
        let lent = Lent::new(1);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            lent.with(|_| panic::resume_unwind(Box::new("no message needed")))
        }));
        assert!(result.is_err());
        assert_eq!(lent.with(|_| ()), Err(Absent::Gone));
        Python::attach(|py| assert_eq!(lent.reclaim(py), None));
    }

    /// Works with the value until the other thread says that it awaits it, and then tries
    /// to take it again. Returns what that came to.
    fn work_until_awaited(lent: &Arc<Lent<i32>>) -> thread::JoinHandle<Result<(), Absent>> {
        let worker = Arc::clone(lent);
        let (taken, is_taken) = mpsc::channel();
        let working = thread::spawn(move || {
            let worked = worker.with(|value| {
                taken.send(()).unwrap();
                while !matches!(*worker.lock(), Place::Away { awaited: Some(_) }) {
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
    fn awaited_value_goes_to_whom_it_was_promised() {
        let lent = Arc::new(Lent::new(1));
        let working = work_until_awaited(&lent);
        let (seen, again) = Python::attach(|py| {
            let seen = lent.with_waiting(py, |value| {
                let again = py.detach(|| working.join().unwrap());
                (*value, again)
            });
            seen.unwrap()
        });
        assert_eq!((seen, again), (2, Err(Absent::Away)));
        assert_eq!(lent.take(), Ok(2));
    }

    #[test]
    fn value_that_is_to_be_taken_for_ever_is_gone_for_all_others() {
        let lent = Arc::new(Lent::new(1));
        let working = work_until_awaited(&lent);
        assert_eq!(Python::attach(|py| lent.reclaim(py)), Some(2));
        assert_eq!(working.join().unwrap(), Err(Absent::Gone));
    }
}
