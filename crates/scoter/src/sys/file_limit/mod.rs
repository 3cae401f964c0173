//! The open file limit (RLIMIT_NOFILE): raised to what the configuration needs, restored in
//! children of the application, and divided among what a worker keeps open.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises the soft limit to what this many threads and waiting connections of a worker need, as far
/// as the hard limit allows. Never lowers it. The first call records the previous limit.
pub(crate) fn raise(threads: u16, max_pending: u32) {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(UNLIMITED);
    if before() == UNKNOWN {
        BEFORE.store(soft, Relaxed);
    }
    let raised = wanted(threads, max_pending).min(limit.maximum.unwrap_or(UNLIMITED));
    if raised > soft {
        let limit = Rlimit {
            current: Some(raised),
            ..limit
        };
        // If that fails, `warn_if_low` warns about the old limit.
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

/// Warns if the limit is too low for `--max-pending`.
pub(crate) fn warn_if_low(threads: u16, max_pending: u32) {
    let limit = soft_limit();
    let places = places(limit, usize::from(threads));
    if places < max_pending as usize {
        warn!(
            limit,
            places,
            max_pending,
            needed = wanted(threads, max_pending),
            "the open file limit is too low for --max-pending, so fewer connections can wait in \
             each worker: raise it (LimitNOFILE= in the systemd unit, or ulimit -n)"
        );
    }
}

/// How many connections of each kind may wait in a worker with this many threads.
pub(crate) fn most_waiting(threads: usize) -> usize {
    places(soft_limit(), threads)
}

/// Checks that a worker with this many threads will be able to accept connections. Call it when the
/// worker has opened all its descriptors except those of each thread.
///
/// # Errors
///
/// The error names the limit and the number needed.
pub(crate) fn check(threads: usize) -> io::Result<()> {
    let limit = soft_limit();
    // The directory itself is open while it is read.
    let open = match std::fs::read_dir("/proc/self/fd") {
        Ok(folder) => folder.count().saturating_sub(1) as u64,
        Err(_) => limit,
    };
    let needed = open.saturating_add(2 * threads as u64 + SPARE);
    if needed <= limit {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the open file limit is {limit}: the worker has {open} in use before its first request, \
         and needs at least {needed} for {threads} threads\nhint: raise the limit (LimitNOFILE= \
         in the systemd unit, or ulimit -n), or lower --threads"
    )))
}

fn soft_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED)
}

/// The limit that allows all the connections of the options to wait, and leaves high numbers for
/// own descriptors.
fn wanted(threads: u16, max_pending: u32) -> u64 {
    let waiting = KINDS * u64::from(max_pending);
    BASE + 2 * u64::from(threads) + waiting
}

/// Half of a low limit is kept for the threads, the application and the worker itself.
fn places(limit: u64, threads: usize) -> usize {
    let own = OWN + SPARE + 2 * threads as u64;
    let kept = (limit / 2).min(MAX_KEPT).max(own);
    let places = (limit.saturating_sub(kept) / KINDS).max(1);
    usize::try_from(places).unwrap_or(usize::MAX)
}

/// The soft limit that the server has been started with.
static BEFORE: AtomicU64 = AtomicU64::new(UNKNOWN);

/// The soft limit that the server has set.
static RAISED: AtomicU64 = AtomicU64::new(UNKNOWN);

const UNKNOWN: u64 = u64::MAX;
const UNLIMITED: u64 = u64::MAX;

/// Connections wait for their first bytes, before and after the reactor has received them; for the
/// rest of a request; and for the peer to read the response.
const KINDS: u64 = 4;

/// The numbers below own descriptors, and those of own descriptors with some for the application.
const BASE: u64 = 4_096 + 256;

/// Descriptors reserved for other uses than waiting connections, if the limit is high enough.
const MAX_KEPT: u64 = 1_024;

/// Descriptors that a worker keeps open, besides one for each thread.
const OWN: u64 = 40;

/// Descriptors that the application needs at least.
const SPARE: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_connections_fit_into_the_limit() {
        for (limit, threads, expected) in [
            (0, 1, 1),
            (64, 1, 3),
            (64, 32, 1),
            (256, 4, 32),
            (1_024, 4, 128),
            (2_048, 4, 256),
            (4_352 + 4 * 1_024, 4, 1_856),
            (2_048, 600, 200),
        ] {
            let places = places(limit, threads);
            assert_eq!(places, expected, "{limit} {threads}");
            if places > 1 {
                let used = OWN + 2 * threads as u64 + KINDS * places as u64;
                assert!(used <= limit, "{limit} {threads}");
            }
        }
        assert!(places(UNLIMITED, 4) > 1_000_000);
    }
}
