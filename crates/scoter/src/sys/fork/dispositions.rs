//! The signal dispositions before this server, for children that are not part of it.

use std::ptr::null_mut;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicUsize};

use crate::sys::disposition::Disposition;

/// Has `install` replace what `signals` do, and notes what that was and is: a child gets it
/// back, unless the application has put something of its own in the place of the server's.
///
/// What the application has put there is noted as well, and a child gets that back, once the
/// server's comes to its place again.
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

/// Puts everything back, in a child.
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

/// A signal whose disposition has been replaced, more than once perhaps: a launcher survives
/// it, Python runs the application's handler beside the server's, and that is the last one.
struct Replaced {
    /// Null, or what is never freed: a child may read it at any moment.
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

/// By number; 0 is no signal.
static REPLACED: [Replaced; 65] = [const {
    Replaced {
        before: AtomicPtr::new(null_mut()),
        ours: [const { AtomicUsize::new(NONE) }; 3],
    }
}; 65];

/// SIG_ERR: no handler.
const NONE: usize = usize::MAX;
