//! The signal dispositions before this server, for children that are not part of it.

use std::ptr::null_mut;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicUsize};

use crate::sys::disposition::Disposition;

/// Lets `install` replace the dispositions of `signals`, and records the old and new ones. A child
/// gets the old ones back, unless the application has replaced the server's.
///
/// If the server then replaces the application's disposition again, that one is recorded, and a
/// child gets it back.
pub(crate) fn replace<R>(signals: &[i32], install: impl FnOnce() -> R) -> R {
    let replaced = || {
        let numbers = signals
            .iter()
            .map(|&signal| (signal, usize::try_from(signal)));
        numbers.filter_map(|(signal, index)| Some((signal, REPLACED.get(index.ok()?)?)))
    };
    for (signal, replaced) in replaced() {
        replaced.note_before(Disposition::of(signal));
    }
    let result = install();
    for (signal, replaced) in replaced() {
        replaced.note_ours(Disposition::of(signal).handler());
    }
    result
}

/// Restores all dispositions, in a child.
pub(super) fn give_back() {
    for (signal, replaced) in (0..).zip(&REPLACED) {
        let Some(before) = replaced.before() else {
            continue;
        };
        if replaced.is_ours(Disposition::of(signal).handler()) {
            before.restore();
        }
    }
}

/// A signal whose disposition has been replaced, possibly several times: a launcher survives the
/// signal, then Python's handler runs the application's, and finally the server's is installed.
struct Replaced {
    /// Null, or a pointer that is never freed, because a child may read it at any moment.
    before: AtomicPtr<Disposition>,
    ours: [AtomicUsize; 3],
}

impl Replaced {
    fn note_before(&self, now: Disposition) {
        let is_noted = self
            .before()
            .is_some_and(|it| it.handler() == now.handler());
        if !is_noted && !self.is_ours(now.handler()) {
            self.before.store(Box::into_raw(Box::new(now)), Release);
        }
    }

    fn note_ours(&self, handler: usize) {
        if !self.is_ours(handler) {
            let free = self.ours.iter().find(|ours| ours.load(Relaxed) == NONE);
            free.unwrap_or(&self.ours[2]).store(handler, Release);
        }
    }

    fn before(&self) -> Option<&'static Disposition> {
        #[expect(unsafe_code, reason = "a child can take no lock")]
        // SAFETY: it is null, or comes from a box that is never freed and never changed.
        unsafe {
            self.before.load(Acquire).as_ref()
        }
    }

    fn is_ours(&self, handler: usize) -> bool {
        self.ours.iter().any(|ours| ours.load(Acquire) == handler)
    }
}

/// By signal number; 0 is unused.
static REPLACED: [Replaced; 65] = [const {
    Replaced {
        before: AtomicPtr::new(null_mut()),
        ours: [const { AtomicUsize::new(NONE) }; 3],
    }
}; 65];

/// SIG_ERR: no handler.
const NONE: usize = usize::MAX;
