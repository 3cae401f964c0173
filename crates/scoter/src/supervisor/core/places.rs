//! The places of workers: what one has been through outlives its worker, a change of the number
//! of workers, and an upgrade.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::backoff::{Backoff, BackoffState, Service};
use super::notice::Notice;

/// The history of the workers' places, by generation and number: failures of the old code say
/// nothing about the new.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<(u32, u32), Place>);

#[derive(Debug)]
struct Place {
    backoff: Backoff,
    /// Whether the place is wanted. An empty place that is no longer wanted must not count, but is
    /// remembered in case it is wanted again.
    is_wanted: bool,
}

/// The state of a place for the next release.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PlaceState {
    generation: u32,
    worker: u32,
    backoff: BackoffState,
    is_wanted: bool,
}

impl Places {
    /// Records that a place has lost its worker. Returns how long it stays empty.
    fn lose(
        &mut self,
        (generation, worker): (u32, u32),
        service: Service,
        is_anybody_ready: bool,
        now: Instant,
    ) -> Duration {
        let place = self.0.entry((generation, worker)).or_insert_with(|| Place {
            backoff: Backoff::default(),
            is_wanted: true,
        });
        place.is_wanted = true;
        place.backoff.note(service, now);
        place.backoff.pause(is_anybody_ready)
    }

    /// Whether so many consecutive workers of a place have failed that new code is given up.
    pub(super) fn keeps_failing(&self, generation: u32, worker: u32) -> bool {
        let place = self.0.get(&(generation, worker));
        place.is_some_and(|place| place.backoff.keeps_failing())
    }

    /// Whether a place stays empty for now.
    pub(super) fn is_held(
        &self,
        generation: u32,
        worker: u32,
        is_anybody_ready: bool,
        now: Instant,
    ) -> bool {
        let place = self.0.get(&(generation, worker));
        place.is_some_and(|place| place.backoff.until(is_anybody_ready, now).is_some())
    }

    /// How many wanted places stay empty for now.
    pub(super) fn held(&self, generation: u32, is_anybody_ready: bool, now: Instant) -> usize {
        let places = self.0.iter();
        let is_held = |((of, _), place): &(&(u32, u32), &Place)| {
            *of == generation
                && place.is_wanted
                && place.backoff.until(is_anybody_ready, now).is_some()
        };
        places.filter(is_held).count()
    }

    /// When places may be filled again, if that is in the future.
    pub(super) fn times(
        &self,
        is_anybody_ready: bool,
        now: Instant,
    ) -> impl Iterator<Item = Instant> {
        let places = self.0.values();
        places.filter_map(move |place| place.backoff.until(is_anybody_ready, now))
    }

    /// Forgets the places of other generations.
    pub(super) fn retain(&mut self, exists: impl Fn(u32) -> bool) {
        self.0.retain(|(generation, _), _| exists(*generation));
    }

    /// Changes how many places are wanted. Empty places are removed first, those that stay empty
    /// longest before the others, and they are also the first to be restored.
    fn change(&mut self, generation: u32, by: i64, is_anybody_ready: bool, now: Instant) {
        let was_wanted = by < 0;
        let places = self.0.iter_mut();
        let mut held: Vec<_> = places
            .filter(|((of, _), place)| *of == generation && place.is_wanted == was_wanted)
            .filter_map(|((_, worker), place)| {
                let until = place.backoff.until(is_anybody_ready, now)?;
                Some((until, *worker, place))
            })
            .collect();
        held.sort_by_key(|(until, worker, _)| (*until, *worker));
        if was_wanted {
            held.reverse();
        }
        let count = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        for (_, _, place) in held.into_iter().take(count) {
            place.is_wanted = !was_wanted;
        }
    }

    pub(super) fn state(&self, now: Instant) -> Vec<PlaceState> {
        let places = self.0.iter();
        let state = |(&(generation, worker), place): (&(u32, u32), &Place)| PlaceState {
            generation,
            worker,
            backoff: place.backoff.state(now),
            is_wanted: place.is_wanted,
        };
        places.map(state).collect()
    }

    pub(super) fn resume(state: Vec<PlaceState>, now: Instant) -> Self {
        let places = state.into_iter().map(|state| {
            let place = Place {
                backoff: state.backoff.resume(now),
                is_wanted: state.is_wanted,
            };
            ((state.generation, state.worker), place)
        });
        Self(places.collect())
    }
}

impl Supervisor {
    /// Records that a worker has ended unexpectedly.
    pub(super) fn lose_place(
        &mut self,
        generation: u32,
        worker: u32,
        service: Service,
        now: Instant,
    ) {
        let is_serving = self.is_anybody_ready();
        let place = (generation, worker);
        let pause = self.places.lose(place, service, is_serving, now);
        if !pause.is_zero() {
            self.log(Notice::PlaceStaysEmpty { worker, pause });
        }
    }

    /// Adjusts the places to the number of workers.
    pub(super) fn change_places(&mut self, before: u32, now: Instant) {
        let by = i64::from(self.worker_count.wanted()) - i64::from(before);
        let is_serving = self.is_anybody_ready();
        // Only one worker of new code is wanted, whatever the number.
        for generation in self.generations.iter().filter(|it| it.is_proven) {
            self.places.change(generation.number, by, is_serving, now);
        }
    }
}
