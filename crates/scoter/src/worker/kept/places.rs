//! The places of kept connections, as a state machine without descriptors or a clock.

use std::time::Instant;

use crate::worker::connection::place::Ticket;

/// A table of places, each of which belongs to one connection until the connection leaves it.
#[derive(Debug)]
pub(super) struct Places<C> {
    places: Vec<Place<C>>,
    free: Vec<u32>,
    idle: usize,
}

#[derive(Debug)]
struct Place<C> {
    generation: u32,
    state: State<C>,
}

#[derive(Debug)]
enum State<C> {
    Free,
    /// Somebody has the connection. An event that somebody else has seen since then does not
    /// come again, so the owner must look at the connection before it becomes idle.
    Taken {
        has_event: bool,
    },
    Idle {
        connection: C,
        since: Instant,
    },
}

impl<C> Places<C> {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            idle: 0,
        }
    }

    /// The number of connections that have a place.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The number of connections that wait for their next request.
    pub(super) fn idle(&self) -> usize {
        self.idle
    }

    /// Assigns a place to a connection that the caller has.
    pub(super) fn enter(&mut self) -> Ticket {
        let state = State::Taken { has_event: false };
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.state = state;
            return Ticket {
                index,
                generation: place.generation,
            };
        }
        let index = u32::try_from(self.places.len()).expect("fewer than there are descriptors");
        let generation = FIRST_GENERATION;
        self.places.push(Place { generation, state });
        Ticket { index, generation }
    }

    /// Takes a connection on which something has arrived. Returns `None` if it has left, or if
    /// somebody has it, who then looks at it once more.
    pub(super) fn claim(&mut self, ticket: Ticket) -> Option<C> {
        if let State::Taken { has_event } = &mut self.place(ticket)?.state {
            *has_event = true;
            return None;
        }
        self.take(ticket)
    }

    /// Notes that something has arrived on a connection. Returns since when it is idle. If somebody
    /// has it, they look at it once more.
    pub(super) fn notify(&mut self, ticket: Ticket) -> Option<Instant> {
        match &mut self.place(ticket)?.state {
            State::Idle { since, .. } => Some(*since),
            State::Taken { has_event } => {
                *has_event = true;
                None
            }
            State::Free => None,
        }
    }

    /// Forgets an event on a connection that the caller has.
    pub(super) fn forget_event(&mut self, ticket: Ticket) {
        if let Some(State::Taken { has_event }) = self.place(ticket).map(|place| &mut place.state) {
            *has_event = false;
        }
    }

    /// Returns since when a connection is idle, if it is.
    pub(super) fn idle_since(&self, ticket: Ticket) -> Option<Instant> {
        let place = self.places.get(ticket.index as usize)?;
        match &place.state {
            State::Idle { since, .. } if place.generation == ticket.generation => Some(*since),
            State::Idle { .. } | State::Free | State::Taken { .. } => None,
        }
    }

    /// Takes a connection if it is idle.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<C> {
        let place = self.place(ticket)?;
        if !matches!(place.state, State::Idle { .. }) {
            return None;
        }
        match std::mem::replace(&mut place.state, State::Taken { has_event: false }) {
            State::Idle { connection, .. } => {
                self.idle -= 1;
                Some(connection)
            }
            State::Free | State::Taken { .. } => None,
        }
    }

    /// Makes a connection idle.
    ///
    /// # Errors
    ///
    /// The connection comes back if there has been an event: the caller must look at it again.
    pub(super) fn release(&mut self, ticket: Ticket, connection: C, now: Instant) -> Result<(), C> {
        let Some(place) = self.place(ticket) else {
            return Err(connection);
        };
        match place.state {
            State::Taken { has_event: false } => {
                let since = now;
                place.state = State::Idle { connection, since };
                self.idle += 1;
                Ok(())
            }
            State::Taken { has_event: true } => {
                place.state = State::Taken { has_event: false };
                Err(connection)
            }
            State::Free | State::Idle { .. } => Err(connection),
        }
    }

    /// Frees the place of a connection.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        let Some(place) = self.place(ticket) else {
            return;
        };
        place.generation = place.generation.checked_add(1).unwrap_or(FIRST_GENERATION);
        let before = std::mem::replace(&mut place.state, State::Free);
        self.free.push(ticket.index);
        if matches!(before, State::Idle { .. }) {
            self.idle -= 1;
        }
    }

    /// The idle connections, and since when they are.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Ticket, &C, Instant)> {
        let places = (0..).zip(&self.places);
        places.filter_map(|(index, place)| match &place.state {
            State::Idle { connection, since } => {
                let generation = place.generation;
                Some((Ticket { index, generation }, connection, *since))
            }
            State::Free | State::Taken { .. } => None,
        })
    }

    fn place(&mut self, ticket: Ticket) -> Option<&mut Place<C>> {
        let place = self.places.get_mut(ticket.index as usize)?;
        let is_current =
            place.generation == ticket.generation && !matches!(place.state, State::Free);
        is_current.then_some(place)
    }
}

/// Not 0, so that no ticket's number is that of another event of a slot.
const FIRST_GENERATION: u32 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn event_of_an_idle_connection_gives_it_to_one() {
        let mut places = Places::new();
        let now = Instant::now();
        let ticket = places.enter();
        places.release(ticket, "a", now).unwrap();
        assert_eq!((places.len(), places.idle()), (1, 1));
        assert_eq!(places.claim(ticket), Some("a"));
        assert_eq!(places.claim(ticket), None);
        assert_eq!((places.len(), places.idle()), (1, 0));
    }

    #[test]
    fn event_that_another_slot_has_taken_is_not_lost() {
        let mut places = Places::new();
        let now = Instant::now();
        let ticket = places.enter();
        // The next request came before this one's slot was done with the connection.
        assert_eq!(places.claim(ticket), None);
        assert_eq!(places.release(ticket, "a", now), Err("a"));
        assert_eq!(places.release(ticket, "a", now), Ok(()));
    }

    #[test]
    fn late_event_of_a_connection_that_has_left_concerns_nobody() {
        let mut places = Places::new();
        let now = Instant::now();
        let first = places.enter();
        places.leave(first);
        let second = places.enter();
        assert_eq!((second.index, places.len()), (first.index, 1));
        places.release(second, "b", now).unwrap();
        assert_eq!(places.claim(first), None);
        places.leave(first);
        assert_eq!(places.claim(second), Some("b"));
    }

    #[test]
    fn numbers_of_tickets_are_none_of_other_events() {
        let mut places = Places::<()>::new();
        for _ in 0..3 {
            let ticket = places.enter();
            assert!(ticket.to_u64() > u64::from(u32::MAX));
            assert_eq!(Ticket::from_u64(ticket.to_u64()), ticket);
            places.leave(ticket);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Enter,
        Event(usize),
        Notify(usize),
        Release(usize),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let one = 0_usize..8;
        let step = prop_oneof![
            Just(Step::Enter),
            one.clone().prop_map(Step::Event),
            one.clone().prop_map(Step::Notify),
            one.clone().prop_map(Step::Release),
            one.prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// A connection is idle or somebody's, never both, and after each event somebody looks.
        #[test]
        fn connection_has_one_owner_and_no_event_is_lost(steps in steps()) {
            let now = Instant::now();
            let mut places = Places::new();
            // Each: its ticket, whether a slot has it, and whether there is an event to see.
            let mut all: Vec<(Ticket, Option<usize>, bool)> = Vec::new();
            let mut name = 0;
            for step in steps {
                match step {
                    Step::Enter => {
                        all.push((places.enter(), Some(name), false));
                        name += 1;
                    }
                    Step::Event(which) if which < all.len() => {
                        let (ticket, owned, event) = &mut all[which];
                        let claimed = places.claim(*ticket);
                        prop_assert_eq!(claimed.is_some(), owned.is_none());
                        *event = owned.is_some();
                        *owned = owned.or(claimed);
                    }
                    Step::Notify(which) if which < all.len() => {
                        let (ticket, owned, event) = &mut all[which];
                        let since = places.notify(*ticket);
                        prop_assert_eq!(since.is_some(), owned.is_none());
                        *event |= owned.is_some();
                    }
                    Step::Release(which) if which < all.len() => {
                        let (ticket, owned, event) = &mut all[which];
                        if let Some(connection) = owned.take() {
                            let released = places.release(*ticket, connection, now);
                            prop_assert_eq!(released.is_err(), *event);
                            *owned = released.err();
                            *event = false;
                        }
                    }
                    Step::Leave(which) if which < all.len() => {
                        let (ticket, ..) = all.swap_remove(which);
                        places.leave(ticket);
                        prop_assert_eq!(places.claim(ticket), None);
                    }
                    Step::Event(_) | Step::Notify(_) | Step::Release(_) | Step::Leave(_) => {}
                }
                prop_assert_eq!(places.len(), all.len());
                let idle = all.iter().filter(|(_, owned, _)| owned.is_none()).count();
                prop_assert_eq!(places.idle(), idle);
                prop_assert_eq!(places.waiting().count(), idle);
            }
        }
    }
}
