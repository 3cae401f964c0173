//! Whose turn it is to give a slot its next request, as a policy without descriptors.

/// Where a request may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The connections that this worker keeps. The poller lists each of them as it becomes ready.
    Kept,
    /// The queue in which workers leave connections to each other.
    Passed,
    /// The listeners.
    New,
}

/// The order in which a slot asks the sources that may have a request.
///
/// To the poller, the queue and a listener are one descriptor each, like a single kept connection:
/// it would take one connection from their many and then serve all kept ones that are ready. So a
/// source that has had a connection is asked again, directly, until it has none, and the source
/// that has had no turn for the longest time comes first. A source that is not expected to have
/// any is never asked: that costs a system call.
#[derive(Debug)]
pub(super) struct Turns {
    /// Who had the last turn comes last.
    order: [Source; SOURCES],
    /// Which may have a connection, by their numbers.
    expected: [bool; SOURCES],
}

impl Turns {
    /// Expects a source to have a connection, or not.
    pub(super) fn expect(&mut self, source: Source, has_one: bool) {
        self.expected[source as usize] = has_one;
    }

    /// Returns whom to ask next. `None` if nobody is expected to have a connection.
    pub(super) fn next(&self) -> Option<Source> {
        let mut order = self.order.iter().copied();
        order.find(|&source| self.expected[source as usize])
    }

    /// Takes note of what a source had when it was asked, in its turn or because the poller has
    /// named it.
    pub(super) fn note(&mut self, source: Source, had_one: bool) {
        self.expect(source, had_one);
        if had_one {
            self.order.sort_by_key(|&other| other == source);
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            order: [Source::Kept, Source::Passed, Source::New],
            expected: [false; SOURCES],
        }
    }
}

const SOURCES: usize = 3;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn source_that_nobody_expects_anything_of_is_not_asked() {
        let mut turns = Turns::default();
        assert_eq!(turns.next(), None);
        turns.expect(Source::Kept, true);
        for _ in 0..3 {
            assert_eq!(turns.next(), Some(Source::Kept));
            turns.note(Source::Kept, true);
        }
        turns.note(Source::New, true);
        assert_eq!(turns.next(), Some(Source::Kept));
        turns.note(Source::Kept, true);
        assert_eq!(turns.next(), Some(Source::New));
        turns.note(Source::New, false);
        assert_eq!(turns.next(), Some(Source::Kept));
    }

    #[test]
    fn sources_with_connections_alternate() {
        let mut turns = Turns::default();
        let all = [Source::Kept, Source::Passed, Source::New];
        for source in all {
            turns.expect(source, true);
        }
        let asked = [(); 6].map(|()| {
            let source = turns.next().unwrap();
            turns.note(source, true);
            source
        });
        assert_eq!(asked[..3], all);
        assert_eq!(asked[3..], all);
    }

    /// What the kernel holds for one slot.
    #[derive(Debug, Default)]
    struct Kernel {
        /// The queue and the backlog: when each of their connections came.
        waiting: [VecDeque<usize>; SOURCES],
        /// The poller's list: kept connections, and the two others as long as they have any.
        ready: VecDeque<(Source, usize)>,
    }

    impl Kernel {
        fn arrive(&mut self, source: Source, now: usize) {
            self.waiting[source as usize].push_back(now);
            let is_listed = self.ready.iter().any(|&(listed, _)| listed == source);
            if source == Source::Kept || !is_listed {
                self.ready.push_back((source, now));
            }
        }

        /// Takes the first of a source.
        fn take(&mut self, source: Source) -> Option<usize> {
            self.waiting[source as usize].pop_front()
        }

        /// What the poller names next. A level-triggered descriptor goes to the end of the list.
        fn look(&mut self) -> Option<Source> {
            loop {
                let (source, since) = self.ready.pop_front()?;
                if source == Source::Kept {
                    return Some(source);
                }
                if !self.waiting[source as usize].is_empty() {
                    self.ready.push_back((source, since));
                    return Some(source);
                }
            }
        }

        /// Takes the next connection, as a slot does. Returns where it came from, and since when it
        /// waited.
        fn next(&mut self, turns: &mut Turns) -> Option<(Source, usize)> {
            turns.expect(Source::Kept, true);
            while let Some(asked) = turns.next() {
                let source = match asked {
                    Source::Kept => self.look(),
                    other => Some(other),
                };
                let taken = source.and_then(|source| Some((source, self.take(source)?)));
                turns.note(source.unwrap_or(asked), taken.is_some());
                if taken.is_some() {
                    return taken;
                }
            }
            None
        }
    }

    fn arrivals() -> impl Strategy<Value = Vec<Source>> {
        let source = prop_oneof![
            3 => Just(Source::Kept),
            1 => Just(Source::Passed),
            1 => Just(Source::New),
        ];
        proptest::collection::vec(source, 0..4)
    }

    proptest! {
        /// A connection waits for at most two turns of each other source for each connection of its
        /// own source that came before it, once the poller has come to the source.
        #[test]
        fn no_source_with_connections_waits_for_long(
            rounds in proptest::collection::vec(arrivals(), 1..60),
        ) {
            let mut kernel = Kernel::default();
            let mut turns = Turns::default();
            // For each source: how many others have been served since it was, while it waited and
            // the slot knew.
            let mut passed_over = [0; SOURCES];
            for (now, arriving) in rounds.into_iter().chain(std::iter::repeat_n(vec![], 300)).enumerate() {
                for source in arriving {
                    kernel.arrive(source, now);
                }
                let known = turns.expected;
                let waits = [0, 1, 2].map(|source| !kernel.waiting[source].is_empty());
                let Some((served, _)) = kernel.next(&mut turns) else {
                    prop_assert_eq!(waits, [false; SOURCES], "a connection was not found");
                    continue;
                };
                for source in 0..SOURCES {
                    let counts = waits[source] && known[source] && served as usize != source;
                    passed_over[source] = if counts { passed_over[source] + 1 } else { 0 };
                    prop_assert!(passed_over[source] <= 2 * (SOURCES - 1));
                }
            }
            prop_assert!(kernel.waiting.iter().all(VecDeque::is_empty));
        }

        /// However many connections are kept, new ones have every second turn.
        #[test]
        fn new_connections_among_kept_ones_wait_for_two_turns_each(kept in 1_usize..100, new in 1_usize..50) {
            let (mut kernel, mut turns) = (Kernel::default(), Turns::default());
            (0..kept).for_each(|_| kernel.arrive(Source::Kept, 0));
            (0..new).for_each(|_| kernel.arrive(Source::New, 0));
            let mut turn = 0;
            let mut served = 0;
            while served < new {
                let (source, _) = kernel.next(&mut turns).unwrap();
                turn += 1;
                match source {
                    // A closed loop.
                    Source::Kept => kernel.arrive(Source::Kept, turn),
                    _ => served += 1,
                }
                prop_assert!(turn <= kept + 2 * served + 2, "{served} after {turn}");
            }
        }
    }
}
