//! Panics: each is a bug in scoter, and one line of the error log.

use std::any::Any;

use tracing::error;

/// Installs a hook that logs the panics of all threads.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // The kernel's name of the thread: Python's threads have no other.
        let thread = rustix::thread::name().unwrap_or_default();
        let thread = &*thread.to_string_lossy();
        let location = panic.location().map(tracing::field::display);
        let text = text_of(panic.payload());
        // Quoted, with its line ends escaped, because it may contain what a peer has sent.
        error!(thread, location, text = ?text, "bug in scoter: a thread panicked");
    }));
}

fn text_of(payload: &dyn Any) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
