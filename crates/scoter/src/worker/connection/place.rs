//! A connection's place among those that are kept.

use std::fmt::Debug;
use std::sync::Arc;

/// Identifies the kept connection that an event is about. A place is reused with another
/// generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    pub(crate) index: u32,
    /// At least 1.
    pub(crate) generation: u32,
}

/// Assigns places.
pub(crate) trait Keeper: Debug + Send + Sync {
    /// Takes a place back.
    fn leave(&self, ticket: Ticket);
}

/// A place, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    ticket: Ticket,
    keeper: Arc<dyn Keeper>,
    /// Whether slots learn of what arrives on the connection.
    is_registered: bool,
}

impl Ticket {
    /// The number that the kernel returns with an event, at least 2^32.
    pub(crate) fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_u64(number: u64) -> Self {
        Self {
            index: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

impl Place {
    pub(crate) fn new(ticket: Ticket, keeper: Arc<dyn Keeper>) -> Self {
        let is_registered = false;
        Self {
            ticket,
            keeper,
            is_registered,
        }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.is_registered
    }

    pub(crate) fn set_registered(&mut self) {
        self.is_registered = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keeper.leave(self.ticket);
    }
}
