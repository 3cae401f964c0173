//! A hint for applications that are not thread-safe, logged once per worker: they come from
//! servers where a process runs one request at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

/// Has the hint given when there is a reason, if requests run in threads at all.
pub(crate) fn expect(threads: u16) {
    DUE.store(threads > 1, Ordering::Relaxed);
}

/// Gives the hint if this text holds what Python says when something is used outside its thread:
/// a traceback, or what goes to `wsgi.errors`, where frameworks log the exceptions they catch.
pub(crate) fn hint_at(text: &str) {
    if DUE.load(Ordering::Relaxed)
        && is_bound_to_a_thread(text)
        && DUE.swap(false, Ordering::Relaxed)
    {
        warn!(
            "part of the application works in one thread only, but requests run in --threads \
             threads: use --threads 1 with more --workers, so that each process runs one request \
             at a time, in its main thread (logged once)"
        );
    }
}

/// Whether a text has one of these exceptions in it; what other threads could not do either
/// is none.
fn is_bound_to_a_thread(text: &str) -> bool {
    // Most text has nothing to do with threads, and is read once only.
    text.contains(COMMON)
        && SAID_BY_PYTHON.iter().any(|said| {
            text.match_indices(said)
                .any(|(at, _)| !text[at + said.len()..].starts_with(" 'MainThread'"))
        })
}

/// Whether there is a hint to be given.
static DUE: AtomicBool = AtomicBool::new(false);

/// `Modules/_sqlite/connection.c`, `Modules/signalmodule.c`, `Lib/asyncio/events.py`.
const SAID_BY_PYTHON: [&str; 4] = [
    "SQLite objects created in a thread can only be used in that same thread",
    "signal only works in main thread",
    "set_wakeup_fd only works in main thread",
    "There is no current event loop in thread",
];

/// What all of them have in common.
const COMMON: &str = " thread";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_exceptions_have_in_common_what_is_looked_for_first() {
        assert!(SAID_BY_PYTHON.iter().all(|said| said.contains(COMMON)));
    }

    #[test]
    fn exceptions_of_other_threads_are_known() {
        for (text, expected) in [
            (
                "sqlite3.ProgrammingError: SQLite objects created in a thread can only be used in \
                 that same thread. The object was created in thread id 1 and this is thread id 2.",
                true,
            ),
            ("ValueError: signal only works in main thread", true),
            (
                "ValueError: signal only works in main thread of the main interpreter",
                true,
            ),
            (
                "ValueError: set_wakeup_fd only works in main thread of the main interpreter",
                true,
            ),
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\n\
                 RuntimeError: There is no current event loop in thread 'scoter-slot-1'.\n",
                true,
            ),
            // Python 3.14 has none there either.
            (
                "RuntimeError: There is no current event loop in thread 'MainThread'.",
                false,
            ),
            (
                "sqlite3.ProgrammingError: Cannot operate on a closed database.",
                false,
            ),
            ("RuntimeError: no running event loop", false),
            ("ValueError: signal number out of range", false),
            ("", false),
        ] {
            assert_eq!(is_bound_to_a_thread(text), expected, "{text}");
        }
    }
}
