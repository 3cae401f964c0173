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
    /// Queues that hold a connection of one of them.
    pub(crate) queues: usize,
    /// The most workers that are wanted; `None` without a master.
    pub(crate) workers: Option<u32>,
}

/// How many connections may wait in a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// Connections of each kind.
    pub(crate) waiting: usize,
    /// Kept connections, those in use included; at most `--keep-alive`.
    pub(crate) kept: usize,
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
        let waiting = KINDS * self.most_of_a_kind() + u64::from(self.keep_alive);
        let high = BASE + 2 * u64::from(self.threads) + waiting;
        let worker = self.worker().max(MAX_RESERVED) + waiting;
        let master = self.master().unwrap_or(0);
        high.max(inherited + worker.max(master))
    }

    /// Whether a higher limit is wanted for it than for the other.
    pub(crate) fn needs_more_than(&self, other: &Self) -> bool {
        self.wanted(0) > other.wanted(0)
    }

    /// How many connections may wait in a worker. Half of what a low limit leaves free is reserved
    /// for the threads, the application and the worker itself. If the rest is too little for all,
    /// none has to do with less than an equal share so that another has more.
    pub(super) fn places(&self, limit: u64, inherited: u64) -> Places {
        let free = limit.saturating_sub(inherited);
        let reserved = (free / 2)
            .min(MAX_RESERVED)
            .max(self.worker() - self.least());
        let rest = free.saturating_sub(reserved);
        let share = rest / (KINDS + 1);
        let beyond_others = rest.saturating_sub(KINDS * self.most_of_a_kind());
        let kept = share.max(beyond_others).max(1);
        let kept = kept.min(self.keep_alive.into());
        let waiting = (rest.saturating_sub(kept) / KINDS).max(1);
        let number = |places| usize::try_from(places).unwrap_or(usize::MAX);
        Places {
            waiting: number(waiting),
            kept: number(kept),
        }
    }

    /// The options of which `places` fall short.
    pub(super) fn short_of(&self, places: Places) -> Option<&'static str> {
        let few_waiting = places.waiting < self.max_pending as usize;
        let few_kept = places.kept < self.keep_alive as usize;
        match (few_waiting, few_kept) {
            (true, true) => Some("--max-pending and --keep-alive"),
            (true, false) => Some("--max-pending"),
            (false, true) => Some("--keep-alive"),
            (false, false) => None,
        }
    }

    /// The most connections of one kind, kept connections excluded.
    fn most_of_a_kind(&self) -> u64 {
        self.max_pending.max(MIN_NEWCOMERS).into()
    }

    /// One place for each kind, and one for a kept connection if any may be kept.
    fn least(&self) -> u64 {
        KINDS + u64::from(self.keep_alive > 0)
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
        WORKER + self.shared() + self.requests() + self.least()
    }

    /// What master and workers share: the sockets, and both ends of each queue.
    fn shared(&self) -> u64 {
        (self.sockets + 2 * self.queues) as u64
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
        Some(MASTER + self.shared() + PER_WORKER * most)
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
/// rest of a request; and for the peer to read the response. Kept connections are not among these.
const KINDS: u64 = 4;

/// Connections without a byte that slots may leave before the reactor comes to them, whatever
/// `--max-pending` is.
pub(crate) const MIN_NEWCOMERS: u32 = 64;

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
/// of a process takes. At rest 24 have been seen, with one launcher. And the queue between workers,
/// and the sockets of `--metrics` and `--uwsgi-stats`, twice each.
const MASTER: u64 = 46;

/// Descriptors of a master for each worker: its channel, its scoreboard, the report of its crash.
const PER_WORKER: u64 = 3;

/// Descriptors that the application needs at least.
const APPLICATION: u64 = 8;

#[cfg(test)]
mod tests;
