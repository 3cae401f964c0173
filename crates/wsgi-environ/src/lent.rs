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
    Away { awaited: bool },
    Gone,
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
            Place::Here(value) => Ok(value),
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
        match mem::replace(&mut *place, Place::Away { awaited: false }) {
            Place::Here(value) => Ok(value),
            Place::Away { awaited } => {
                *place = Place::Away { awaited };
                Err(Absent::Away)
            }
            Place::Gone => {
                *place = Place::Gone;
                Err(Absent::Gone)
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
        *place = Place::Here(value);
        drop(place);
        self.wake(awaited);
        Ok(())
    }

    fn wake(&self, awaited: bool) {
        // Waking nobody would cost a system call as well.
        if awaited {
            self.returned.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        // Nothing that can panic runs under the lock.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Lent<T> {
    /// Takes the value for ever once it is not away. `None` if it is gone.
    ///
    /// Not for a thread that may have it itself.
    pub(crate) fn reclaim(&self, py: Python<'_>) -> Option<T> {
        loop {
            let mut place = self.lock();
            match mem::replace(&mut *place, Place::Gone) {
                Place::Here(value) => return Some(value),
                Place::Gone => return None,
                away @ Place::Away { .. } => *place = away,
            }
            drop(place);
            self.wait(py);
        }
    }

    /// Waits, detached, until the value is not away, without taking it.
    ///
    /// Not for a thread that may have it itself.
    pub(crate) fn wait(&self, py: Python<'_>) {
        if matches!(*self.lock(), Place::Away { .. }) {
            py.detach(|| {
                let mut place = self.lock();
                while let Place::Away { awaited } = &mut *place {
                    *awaited = true;
                    place = self
                        .returned
                        .wait(place)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            });
        }
    }
}

/// Declares a value gone that a panic took along, so that nobody waits for it.
struct Unwinding<'a, T>(&'a Lent<T>);

impl<T> Drop for Unwinding<'_, T> {
    fn drop(&mut self) {
        let place = mem::replace(&mut *self.0.lock(), Place::Gone);
        self.0.wake(matches!(place, Place::Away { awaited: true }));
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
        Python::attach(|py| lent.wait(py));
    }

    #[test]
    fn waiting_ends_when_the_value_is_back() {
        let lent = Arc::new(Lent::new(1));
        let worker = Arc::clone(&lent);
        let (taken, is_taken) = mpsc::channel();
        let working = thread::spawn(move || {
            worker.with(|value| {
                taken.send(()).unwrap();
                // Until the waiting thread says that it waits.
                while !matches!(*worker.lock(), Place::Away { awaited: true }) {
                    thread::yield_now();
                }
                *value = 2;
            })
        });
        is_taken.recv().unwrap();
        Python::attach(|py| lent.wait(py));
        assert_eq!(working.join().unwrap(), Ok(()));
        assert_eq!(lent.take(), Ok(2));
    }
}
