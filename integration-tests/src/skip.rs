use std::io::{self, Write};
use std::thread;

/// Says that a test is skipped, and why, where nobody can miss it: libtest captures only what is printed with
/// macros.
pub fn skip(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {reason}");
}
