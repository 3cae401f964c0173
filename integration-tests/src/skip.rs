use std::env;
use std::io::{self, Write};
use std::thread;

/// Says that a test cannot run on this machine, and why, where nobody can miss it: libtest captures only what is
/// printed with macros.
///
/// # Panics
///
/// When `TESTS_COMPLETE` is set: there, every test has to run.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(
        env::var_os(COMPLETE).is_none(),
        "cannot run, and {COMPLETE} is set: {reason}"
    );
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {reason}");
}

/// An environment variable under which a skipped test is a failed one.
const COMPLETE: &str = "TESTS_COMPLETE";
