//! Records which connection a descriptor number belongs to.

use std::os::fd::RawFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A connection's claim to the number of its descriptor.
///
/// If application code closes the number, the kernel gives it to the next connection. Two
/// connections then believe that they own it, and the first would send its response to the client
/// of the second. Only the later claim counts.
#[derive(Debug)]
pub(crate) struct Claim {
    number: RawFd,
    ticket: u32,
}

impl Claim {
    /// Claims a number that the kernel has just given out.
    pub(crate) fn new(number: RawFd) -> Self {
        let next = |ticket: u32| Some(ticket.wrapping_add(1) | HELD);
        let ticket = ticket_of(number).map_or(0, |current| {
            let before = current.fetch_update(AcqRel, Relaxed, next);
            next(before.unwrap_or_else(|ticket| ticket)).unwrap_or_default()
        });
        Self { number, ticket }
    }

    /// Whether a later claim to the number would be noticed.
    pub(crate) fn is_watched(&self) -> bool {
        ticket_of(self.number).is_some()
    }

    pub(crate) fn number(&self) -> RawFd {
        self.number
    }

    /// Whether no other connection has claimed the number since.
    pub(crate) fn counts(&self) -> bool {
        ticket_of(self.number).is_none_or(|current| current.load(Acquire) == self.ticket)
    }

    /// Gives up the claim. Returns whether it counted: only then must the number be closed.
    pub(crate) fn give_up(&self) -> bool {
        // Before the number is closed, because it may belong to something else afterwards.
        let released = self.ticket.wrapping_add(1);
        ticket_of(self.number).is_none_or(|current| {
            current
                .compare_exchange(self.ticket, released, AcqRel, Relaxed)
                .is_ok()
        })
    }
}

fn ticket_of(number: RawFd) -> Option<&'static AtomicU32> {
    usize::try_from(number)
        .ok()
        .and_then(|index| TICKETS.get(index))
}

/// The latest claim to each number, odd while it is held.
static TICKETS: [AtomicU32; NUMBERS] = [const { AtomicU32::new(0) }; NUMBERS];

const HELD: u32 = 1;

/// The numbers whose claims are recorded. Few processes have more connections.
const NUMBERS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_claim_counts() {
        // Numbers that no descriptor of this process has.
        let number = RawFd::try_from(NUMBERS - 1).unwrap();
        let first = Claim::new(number);
        assert!(first.counts());
        let second = Claim::new(number);
        assert!(!first.counts() && second.counts());
        assert!(!first.give_up() && second.counts());
        assert!(second.give_up() && !second.counts());
        let third = Claim::new(number);
        assert!(third.counts() && !first.counts() && !second.counts());
        assert!(third.give_up());
    }

    #[test]
    fn numbers_beyond_the_table_are_taken_on_trust() {
        let number = RawFd::try_from(NUMBERS).unwrap();
        let (first, second) = (Claim::new(number), Claim::new(number));
        assert!(first.counts() && second.counts() && first.give_up());
    }
}
