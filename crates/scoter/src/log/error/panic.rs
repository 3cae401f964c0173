//! Panics: each is a bug in scoter, and one line of the error log.

use std::any::Any;

use tracing::error;

/// Has panics logged as what they are, whichever thread they end.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // The kernel's name: threads of Python's have no other.
        let thread = rustix::thread::name().unwrap_or_default();
        let thread = &*thread.to_string_lossy();
        let location = panic.location().map(tracing::field::display);
        let text = text_of(panic.payload());
        // In quotes, with its line ends escaped: it may quote what a peer has sent.
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
