//! What signals did before this server, for children that are no part of it.

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use nix::libc;

/// Has `install` replace what `signals` do, and notes what that was and is: a child gets it
/// back, unless the application has put something of its own in the place of the server's.
pub(crate) fn replace<R>(signals: &[i32], install: impl FnOnce() -> R) -> R {
    let replaced = || {
        let numbers = signals
            .iter()
            .map(|&signal| (signal, usize::try_from(signal)));
        numbers.filter_map(|(signal, index)| Some((signal, REPLACED.get(index.ok()?)?)))
    };
    for (signal, replaced) in replaced() {
        replaced.before.get_or_init(|| current(signal));
    }
    let result = install();
    for (signal, replaced) in replaced() {
        replaced.note(current(signal).sa_sigaction);
    }
    result
}

/// Puts everything back, in a child.
pub(super) fn give_back() {
    for (signal, replaced) in (0..).zip(&REPLACED) {
        let Some(before) = replaced.before.get() else {
            continue;
        };
        if replaced.is_ours(current(signal).sa_sigaction) {
            #[expect(
                unsafe_code,
                reason = "nix cannot install a disposition it did not make"
            )]
            // SAFETY: the action was in force before, so its handler may run at any time.
            // sigaction(2) is async-signal-safe.
            unsafe {
                libc::sigaction(signal, before, null_mut());
            }
        }
    }
}

/// A signal whose disposition has been replaced, more than once perhaps: a launcher survives
/// it, Python runs the application's handler beside the server's, and that is the last one.
struct Replaced {
    before: OnceLock<libc::sigaction>,
    ours: [AtomicUsize; 3],
}

impl Replaced {
    fn note(&self, handler: usize) {
        if !self.is_ours(handler) {
            let free = self.ours.iter().find(|ours| ours.load(Relaxed) == NONE);
            free.unwrap_or(&self.ours[2]).store(handler, Release);
        }
    }

    fn is_ours(&self, handler: usize) -> bool {
        self.ours.iter().any(|ours| ours.load(Acquire) == handler)
    }
}

fn current(signal: i32) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    #[expect(unsafe_code, reason = "nix replaces a disposition, but cannot read it")]
    // SAFETY: `action` is valid for writing, and zeroes are a valid sigaction, should the
    // call leave it alone. It is async-signal-safe.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

/// By number; 0 is no signal.
static REPLACED: [Replaced; 65] = [const {
    Replaced {
        before: OnceLock::new(),
        ours: [const { AtomicUsize::new(NONE) }; 3],
    }
}; 65];

/// SIG_ERR: no handler.
const NONE: usize = usize::MAX;
