//! How many descriptors a configuration needs.
//!
//! The numbers are bounds: what scoter has open at the same time, rounded up. A limit that leaves
//! as many free is enough to start, to serve and to reload.

use thiserror::Error;

/// The parts of a configuration that need descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Per worker.
    pub(crate) threads: u16,
    /// Per worker.
    pub(crate) max_pending: u32,
    /// Per worker.
    pub(crate) keep_alive: u32,
    /// Sockets that accept connections.
    pub(crate) sockets: usize,
    /// The most workers that are wanted; `None` without a master.
    pub(crate) workers: Option<u32>,
}

/// A limit that leaves too few descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the open file limit is {limit}: {in_use} {state}, and {process} needs {needed} more for \
     {purpose}\nhint: raise the limit to at least {} (LimitNOFILE= in the systemd unit, or ulimit \
     -n), or lower {option}",
    in_use + needed
)]
pub(crate) struct TooLow {
    limit: u64,
    in_use: u64,
    state: &'static str,
    process: &'static str,
    needed: u64,
    purpose: String,
    option: &'static str,
}

impl Demand {
    /// Checks whether every process can serve under a `limit` of which this many are inherited.
    ///
    /// # Errors
    ///
    /// [`TooLow`] names the process that needs most.
    pub(super) fn check(&self, limit: u64, inherited: u64) -> Result<(), TooLow> {
        self.check_with(limit, inherited, "inherited descriptors are in use")
    }

    /// The same once the application has been imported before a fork, and has opened files.
    pub(super) fn check_preloaded(&self, limit: u64, in_use: u64) -> Result<(), TooLow> {
        self.check_with(limit, in_use, "descriptors are in use after the import")
    }

    /// Checks whether a worker that has loaded the application can begin to serve.
    pub(super) fn check_loaded(&self, limit: u64, open: u64) -> Result<(), TooLow> {
        let too_low = TooLow {
            limit,
            in_use: open,
            state: "descriptors are in use before the first request",
            process: "the worker",
            needed: self.requests(),
            purpose: counted(self.threads.into(), "thread"),
            option: "--threads",
        };
        too_low.unless_enough()
    }

    /// The limit with which all connections that may wait can wait, and own descriptors have high
    /// numbers.
    pub(super) fn wanted(&self, inherited: u64) -> u64 {
        let waiting = KINDS * u64::from(self.max_pending.max(self.keep_alive));
        let high = BASE + 2 * u64::from(self.threads) + waiting;
        let worker = self.worker().max(MAX_RESERVED) + waiting;
        let master = self.master().unwrap_or(0);
        high.max(inherited + worker.max(master))
    }

    /// Whether a higher limit is wanted for it than for the other.
    pub(crate) fn needs_more_than(&self, other: &Self) -> bool {
        self.wanted(0) > other.wanted(0)
    }

    /// How many connections of each kind may wait in a worker. Half of what a low limit leaves free
    /// is reserved for the threads, the application and the worker itself.
    pub(super) fn places(&self, limit: u64, inherited: u64) -> usize {
        let free = limit.saturating_sub(inherited);
        let reserved = (free / 2).min(MAX_RESERVED).max(self.worker() - KINDS);
        let places = (free.saturating_sub(reserved) / KINDS).max(1);
        usize::try_from(places).unwrap_or(usize::MAX)
    }

    fn check_with(&self, limit: u64, in_use: u64, state: &'static str) -> Result<(), TooLow> {
        let sockets = counted(self.sockets as u64, "socket");
        let worker = TooLow {
            limit,
            in_use,
            state,
            process: match self.workers {
                Some(_) => "a worker",
                None => "the server",
            },
            needed: self.worker(),
            purpose: format!("{} and {sockets}", counted(self.threads.into(), "thread")),
            option: "--threads",
        };
        match (self.workers, self.master()) {
            (Some(workers), Some(needed)) if needed > worker.needed => TooLow {
                process: "the master",
                needed,
                purpose: format!("{} and {sockets}", counted(workers.into(), "worker")),
                option: "--workers",
                ..worker
            },
            _ => worker,
        }
        .unless_enough()
    }

    /// What a worker opens: also with `--no-master`, and more than its launcher.
    fn worker(&self) -> u64 {
        WORKER + self.sockets as u64 + self.requests() + KINDS
    }

    /// What requests take: an epoll instance and a connection for each thread, and some for the
    /// application.
    fn requests(&self) -> u64 {
        2 * u64::from(self.threads) + APPLICATION
    }

    /// What a master opens. During a reload there may be half as many workers again
    /// (`supervisor/core/surge.rs`).
    fn master(&self) -> Option<u64> {
        let workers = u64::from(self.workers?);
        let most = workers + workers.div_ceil(2) + 1;
        Some(MASTER + self.sockets as u64 + PER_WORKER * most)
    }
}

impl TooLow {
    fn unless_enough(self) -> Result<(), Self> {
        if self.in_use.saturating_add(self.needed) <= self.limit {
            return Ok(());
        }
        Err(self)
    }
}

fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Connections wait for their first bytes, before and after the reactor has received them; for the
/// rest of a request; for the peer to read the response; and for the next request.
const KINDS: u64 = 5;

/// The numbers below own descriptors, and those of own descriptors with some for the application.
const BASE: u64 = 4_096 + 256;

/// Descriptors reserved for other uses than waiting connections, if the limit is high enough.
const MAX_RESERVED: u64 = 1_024;

/// Descriptors of a worker that do not depend on its options: tokio's, eventfds, its channel, its
/// scoreboard, its logs. At most 32 have been seen at the same time. And three for kept connections:
/// the queue between workers, and the reactor's epoll instance.
const WORKER: u64 = 39;

/// Descriptors of a master that depend neither on its workers nor on its sockets: tokio's, two
/// launchers, their directories, the control socket with some connections, and those that the start
/// of a process takes. At rest 24 have been seen, with one launcher. And the queue between workers.
const MASTER: u64 = 42;

/// Descriptors of a master for each worker: its channel, its scoreboard, the report of its crash.
const PER_WORKER: u64 = 3;

/// Descriptors that the application needs at least.
const APPLICATION: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(threads: u16, workers: Option<u32>) -> Demand {
        Demand {
            threads,
            max_pending: 1_024,
            keep_alive: 512,
            sockets: 1,
            workers,
        }
    }

    #[test]
    fn waiting_connections_fit_into_the_limit() {
        for (limit, threads, inherited, expected) in [
            (0, 1, 3, 1),
            (64, 1, 3, 2),
            (64, 32, 3, 1),
            (256, 4, 3, 25),
            (256, 4, 203, 1),
            (1_024, 4, 3, 102),
            (1_024, 4, 600, 42),
            (2_048, 4, 3, 204),
            (4_352 + 5 * 1_024, 4, 3, 1_689),
            (2_048, 600, 3, 159),
        ] {
            let demand = demand(threads, None);
            let places = demand.places(limit, inherited);
            assert_eq!(places, expected, "{limit} {threads} {inherited}");
            if places > 1 {
                let own = inherited + demand.worker() - KINDS;
                assert!(own + KINDS * places as u64 <= limit, "{limit} {threads}");
            }
        }
        assert!(demand(4, None).places(u64::MAX, 3) > 1_000_000);
    }

    #[test]
    fn limit_is_enough_for_what_is_in_use_and_for_what_is_needed() {
        for (threads, workers, needed) in [
            (1, None, 55),
            (4, None, 61),
            (4, Some(1), 61),
            (4, Some(8), 82),
            (100, Some(8), 253),
        ] {
            let demand = demand(threads, workers);
            for inherited in [3, 20] {
                let lowest = inherited + needed;
                assert_eq!(demand.check(lowest, inherited), Ok(()));
                let refused = demand.check(lowest - 1, inherited).unwrap_err();
                assert_eq!(refused.in_use + refused.needed, lowest);
                assert!(demand.wanted(inherited) >= lowest);
            }
        }
    }

    #[test]
    fn message_names_the_process_that_needs_most_and_what_it_needs_them_for() {
        for (threads, workers, expected) in [
            (
                1,
                Some(1),
                "the open file limit is 20: 3 inherited descriptors are in use, and a worker needs \
                 55 more for 1 thread and 1 socket\nhint: raise the limit to at least 58 \
                 (LimitNOFILE= in the systemd unit, or ulimit -n), or lower --threads",
            ),
            (4, None, "the server needs 61 more for 4 threads"),
            (
                4,
                Some(8),
                "the master needs 82 more for 8 workers and 1 socket",
            ),
            (4, Some(8), "or lower --workers"),
        ] {
            let message = demand(threads, workers).check(20, 3).unwrap_err();
            let message = message.to_string();
            assert!(message.contains(expected), "{expected} in {message}");
        }
    }

    #[test]
    fn wanted_limit_has_a_place_for_all_connections_that_may_wait() {
        for inherited in [3, 1_000, 4_000, 100_000] {
            for threads in [1, 4, 1_000] {
                let demand = demand(threads, Some(4));
                let limit = demand.wanted(inherited);
                assert!(demand.places(limit, inherited) >= 1_024, "{inherited}");
                assert_eq!(demand.check(limit, inherited), Ok(()));
            }
        }
    }

    #[test]
    fn most_workers_raise_the_limit_beyond_that_of_waiting_connections() {
        let few = Demand {
            max_pending: 1,
            ..demand(1, Some(1_024))
        };
        assert!(few.wanted(3) > BASE + 2 + KINDS);
        assert_eq!(demand(4, Some(4)).wanted(3), BASE + 8 + KINDS * 1_024);
    }
}
