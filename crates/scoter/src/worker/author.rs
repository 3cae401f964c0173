//! Who writes the response of a connection: the slot that runs the application, or the
//! reactor in its place.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// The right to write a response, which is the slot's until the reactor takes it away.
///
/// Both may ask at the same time; one of them gets it.
#[derive(Debug, Default)]
pub(crate) struct Author(AtomicU8);

/// What the reactor took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of it: nothing has been sent, so that there can be another response.
    Whole,
    /// The rest: a part has been sent, and no other response can follow it.
    Rest,
}

impl Author {
    /// Asks for the slot before it sends something. It is refused when the reactor has the
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

    /// Takes the response away from the slot, which sends nothing any more.
    pub(crate) fn take(&self) -> Taken {
        match self
            .0
            .compare_exchange(NOBODY, REACTOR_WHOLE, AcqRel, Acquire)
        {
            Ok(_) | Err(REACTOR_WHOLE) => Taken::Whole,
            Err(_) => {
                self.0.store(REACTOR_REST, Release);
                Taken::Rest
            }
        }
    }

    /// What the reactor took away, if it has.
    pub(crate) fn taken(&self) -> Option<Taken> {
        match self.0.load(Acquire) {
            REACTOR_WHOLE => Some(Taken::Whole),
            REACTOR_REST => Some(Taken::Rest),
            _ => None,
        }
    }
}

const NOBODY: u8 = 0;
const SLOT: u8 = 1;
const REACTOR_WHOLE: u8 = 2;
const REACTOR_REST: u8 = 3;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_nobody_began_is_taken_whole() {
        let author = Author::default();
        assert_eq!(author.taken(), None);
        assert_eq!(author.take(), Taken::Whole);
        assert!(!author.claim());
        assert_eq!(author.taken(), Some(Taken::Whole));
    }

    #[test]
    fn of_what_the_slot_began_the_rest_is_taken() {
        let author = Author::default();
        assert!(author.claim() && author.claim());
        assert_eq!(author.take(), Taken::Rest);
        assert!(!author.claim());
        assert_eq!(author.taken(), Some(Taken::Rest));
    }

    #[test]
    fn of_two_that_ask_at_once_one_begins() {
        for _ in 0..200 {
            let author = Author::default();
            let (taken, claimed) = thread::scope(|scope| {
                let slot = scope.spawn(|| author.claim());
                (author.take(), slot.join().unwrap())
            });
            // Whoever came second knows of the first.
            assert_eq!(claimed, taken == Taken::Rest);
        }
    }
}
