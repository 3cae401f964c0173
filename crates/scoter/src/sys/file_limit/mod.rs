//! The open file limit (RLIMIT_NOFILE): raised to what the configuration needs, restored in
//! children of the application, and divided among what a worker keeps open.

mod demand;
mod in_use;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

pub(crate) use demand::{Demand, MIN_NEWCOMERS, Places, TooLow};
pub(crate) use in_use::{inherited, open};

/// Raises the soft limit to what the configuration needs, as far as the hard limit allows. Never
/// lowers it. The first call records the previous limit.
pub(crate) fn raise(demand: &Demand) {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(UNLIMITED);
    if before() == UNKNOWN {
        BEFORE.store(soft, Relaxed);
    }
    let wanted = demand.wanted(inherited());
    let raised = wanted.min(limit.maximum.unwrap_or(UNLIMITED));
    if raised > soft {
        let limit = Rlimit {
            current: Some(raised),
            ..limit
        };
        // If that fails, `check` and `warn_if_low` report the old limit.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    RAISED.store(soft_limit(), Relaxed);
}

/// The soft limit before the server raised it, for processes that inherit the raised one.
pub(crate) fn before() -> u64 {
    BEFORE.load(Relaxed)
}

/// Records the soft limit from before an earlier process of the server raised it.
pub(crate) fn inherit(before: u64) {
    BEFORE.store(before, Relaxed);
    RAISED.store(soft_limit(), Relaxed);
}

/// Restores the soft limit in a child of the application, unless the application has changed it.
/// Async-signal-safe.
pub(crate) fn give_back() {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(UNLIMITED);
    let before = before();
    if before < soft && soft == RAISED.load(Relaxed) {
        let limit = Rlimit {
            current: Some(before),
            ..limit
        };
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Checks that processes with this configuration can be started and can serve. Without this check,
/// what fails depends on which descriptor happens to be the first too many.
///
/// # Errors
///
/// The error names the limit and the number needed.
pub(crate) fn check(demand: &Demand) -> Result<(), TooLow> {
    demand.check(soft_limit(), inherited())
}

/// Checks the same in a launcher that has imported the application. `in_use` are the descriptors
/// that it had inherited, and those that the application has opened.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn check_preloaded(demand: &Demand, in_use: u64) -> Result<(), TooLow> {
    demand.check_preloaded(soft_limit(), in_use)
}

/// Checks that a worker will be able to accept connections. Call it when the worker has opened all
/// its descriptors except those of each thread.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn check_loaded(demand: &Demand) -> Result<(), TooLow> {
    demand.check_loaded(soft_limit(), open())
}

/// Warns if the limit is too low for `--max-pending` or `--keep-alive`.
pub(crate) fn warn_if_low(demand: &Demand) {
    let (limit, inherited) = (soft_limit(), inherited());
    let places = demand.places(limit, inherited);
    if let Some(options) = demand.short_of(places) {
        warn!(
            limit,
            places = places.waiting,
            max_pending = demand.max_pending,
            kept = places.kept,
            keep_alive = demand.keep_alive,
            needed = demand.wanted(inherited),
            "the open file limit is too low for {options}, so fewer connections can wait in each \
             worker: raise it (LimitNOFILE= in the systemd unit, or ulimit -n)"
        );
    }
}

/// How many connections may wait in a worker.
pub(crate) fn places(demand: &Demand) -> Places {
    demand.places(soft_limit(), inherited())
}

fn soft_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED)
}

/// The soft limit that the server has been started with.
static BEFORE: AtomicU64 = AtomicU64::new(UNKNOWN);

/// The soft limit that the server has set.
static RAISED: AtomicU64 = AtomicU64::new(UNKNOWN);

const UNKNOWN: u64 = u64::MAX;
const UNLIMITED: u64 = u64::MAX;
