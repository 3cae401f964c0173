//! What the log says of the kernel's queue of a listening socket.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::backlog::Backlog;
use super::listener::Listener;
use crate::sys::durations::millis;

/// Decides when a queue is worth a line in the log: one when an overload begins, one if it gets
/// worse, and one when it is over.
#[derive(Debug, Default)]
pub(crate) struct QueueWatch {
    growth: Growth,
    overload: Option<Overload>,
}

/// What there is to say about a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueNotice {
    /// The kernel refuses connections.
    Full(Backlog),
    /// It grows, and no worker will be added.
    Growing(Backlog),
    /// The overload of which the log has spoken is over.
    Over {
        lasted: Duration,
        /// The most connections that have been seen waiting.
        longest: u32,
    },
}

/// Whether the load may still lead to another worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Help {
    /// There may be one, or the number of workers does not follow the load.
    Possible,
    /// There are as many as there may be, and all their slots are busy.
    Exhausted,
}

/// How a queue has grown since help was exhausted.
#[derive(Debug, Default)]
struct Growth {
    longest: u32,
    /// How often it has been longer than ever.
    rises: u32,
}

/// An overload of which the log has spoken.
#[derive(Debug)]
struct Overload {
    since: Instant,
    longest: u32,
    was_full: bool,
    /// Since when the queue is no longer than half of that.
    calm_since: Option<Instant>,
}

impl QueueWatch {
    /// Looks at the queue of a listener.
    pub(crate) fn look(
        &mut self,
        listener: &Listener,
        help: Help,
        now: Instant,
    ) -> Option<QueueNotice> {
        let backlog = match listener.has_waiting() {
            true => Some(listener.backlog()?),
            // A look at all sockets of the machine is saved where nobody waits.
            false => None,
        };
        self.observe(backlog, help, now)
    }

    /// Decides what to say of a queue in which somebody waits, or nobody.
    fn observe(
        &mut self,
        backlog: Option<Backlog>,
        help: Help,
        now: Instant,
    ) -> Option<QueueNotice> {
        let waiting = backlog.map_or(0, |backlog| backlog.waiting);
        let full = backlog.filter(|backlog| backlog.waiting >= backlog.capacity);
        let grows = self.growth.note(waiting, help);
        let Some(overload) = &mut self.overload else {
            let grown = backlog.filter(|_| grows).map(QueueNotice::Growing);
            let notice = full.map(QueueNotice::Full).or(grown)?;
            self.overload = Some(Overload {
                since: now,
                longest: waiting,
                was_full: full.is_some(),
                calm_since: None,
            });
            return Some(notice);
        };
        overload.longest = overload.longest.max(waiting);
        if let Some(full) = full.filter(|_| !overload.was_full) {
            overload.was_full = true;
            overload.calm_since = None;
            return Some(QueueNotice::Full(full));
        }
        if waiting > overload.longest / 2 {
            overload.calm_since = None;
            return None;
        }
        let calm_since = *overload.calm_since.get_or_insert(now);
        if now.saturating_duration_since(calm_since) < CALM {
            return None;
        }
        let notice = QueueNotice::Over {
            lasted: calm_since.saturating_duration_since(overload.since),
            longest: overload.longest,
        };
        self.overload = None;
        Some(notice)
    }
}

impl Growth {
    fn note(&mut self, waiting: u32, help: Help) -> bool {
        if waiting == 0 || help == Help::Possible {
            *self = Self::default();
            return false;
        }
        if waiting > self.longest {
            self.longest = waiting;
            self.rises += 1;
        }
        self.rises >= RISES
    }
}

impl QueueNotice {
    pub(crate) fn log(self, listener: &Listener) {
        let address = listener.address();
        match self {
            Self::Full(Backlog { waiting, capacity }) => warn!(
                %address, waiting, capacity,
                "connections are refused: all threads are busy, and as many connections wait in \
                 the kernel as may (nginx answers 502, or tries again over TCP): add --workers or \
                 --threads, or raise --backlog and net.core.somaxconn; scoter top shows what runs"
            ),
            Self::Growing(Backlog { waiting, capacity }) => warn!(
                %address, waiting, capacity,
                "more and more connections wait: there are as many workers as --workers allows, \
                 and all threads are busy: raise the maximum, or add --threads; scoter top shows \
                 what runs"
            ),
            Self::Over { lasted, longest } => {
                let lasted_ms = millis(lasted);
                info!(%address, lasted_ms, longest, "the overload is over: few connections wait");
            }
        }
    }
}

/// How often a queue is looked at. What is shorter may be missed.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a queue must be short before an overload counts as over, so that one that comes and
/// goes is one overload.
const CALM: Duration = Duration::from_secs(5);

/// How often a queue is longer than ever before it counts as growing.
const RISES: u32 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(waiting: u32) -> Option<Backlog> {
        let capacity = 10;
        (waiting > 0).then_some(Backlog { waiting, capacity })
    }

    /// Shows a watch these queues, one a second, and returns what it said at which of them.
    fn said(queues: &[u32], help: Help) -> Vec<(usize, QueueNotice)> {
        let (mut watch, start) = (QueueWatch::default(), Instant::now());
        let looks = queues.iter().enumerate().filter_map(|(second, waiting)| {
            let now = start + Duration::from_secs(second as u64);
            Some((second, watch.observe(of(*waiting), help, now)?))
        });
        looks.collect()
    }

    fn full(waiting: u32) -> QueueNotice {
        QueueNotice::Full(of(waiting).unwrap())
    }

    fn growing(waiting: u32) -> QueueNotice {
        QueueNotice::Growing(of(waiting).unwrap())
    }

    fn over(seconds: u64, longest: u32) -> QueueNotice {
        let lasted = Duration::from_secs(seconds);
        QueueNotice::Over { lasted, longest }
    }

    #[test]
    fn overload_has_a_line_at_its_beginning_and_one_at_its_end() {
        use Help::{Exhausted, Possible};
        for (name, help, queues, expected) in [
            ("short", Exhausted, &[0, 1, 1, 0, 2, 0][..], vec![]),
            ("long, but not full", Possible, &[1, 3, 6, 9, 9], vec![]),
            (
                "full",
                Possible,
                &[0, 10, 10, 4, 0, 0, 0, 0, 0, 0],
                vec![(1, full(10)), (8, over(2, 10))],
            ),
            (
                "full again before it is over",
                Possible,
                &[10, 0, 0, 10, 11, 0, 0, 0, 0, 0],
                vec![(0, full(10))],
            ),
            (
                "still long",
                Possible,
                &[10, 6, 6, 6, 6, 6, 6, 6],
                vec![(0, full(10))],
            ),
            (
                "grows without help",
                Exhausted,
                &[1, 2, 2, 3, 4, 2, 2, 1, 0, 0, 0],
                vec![(3, growing(3)), (10, over(2, 4))],
            ),
            (
                "grows until it is full",
                Exhausted,
                &[1, 2, 3, 10, 11, 10],
                vec![(2, growing(3)), (3, full(10))],
            ),
            ("grows with help to come", Possible, &[1, 2, 3, 4], vec![]),
        ] {
            assert_eq!(said(queues, help), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn log_is_not_flooded_and_no_overload_goes_unnoticed(
            queues in proptest::collection::vec(0_u32..12, 0..200),
            exhausted: bool,
        ) {
            let help = if exhausted { Help::Exhausted } else { Help::Possible };
            let notices = said(&queues, help);
            let is_end = |notice: &QueueNotice| matches!(notice, QueueNotice::Over { .. });
            prop_assert!(notices.len() <= 3 * (1 + queues.len() / CALM.as_secs() as usize));
            for pair in notices.windows(2) {
                prop_assert!(!(is_end(&pair[0].1) && is_end(&pair[1].1)));
            }
            for (second, _) in queues.iter().enumerate().filter(|(_, waiting)| **waiting >= 10) {
                let last = notices.iter().rev().find(|(at, notice)| {
                    *at <= second && !matches!(notice, QueueNotice::Growing(_))
                });
                let is_known = matches!(last, Some((_, QueueNotice::Full(_))));
                prop_assert!(is_known, "full at {}: {:?}", second, notices);
            }
        }
    }
}
