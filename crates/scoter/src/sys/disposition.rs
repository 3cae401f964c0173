//! What signals do to this process (sigaction(2)).

use std::mem::MaybeUninit;
use std::ptr::null;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};

/// A signal's disposition at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Disposition {
    number: i32,
    action: libc::sigaction,
}

impl Disposition {
    /// Reads the current disposition of the signal with this number. Async-signal-safe.
    pub(crate) fn of(number: i32) -> Self {
        let action = sigaction(number, None);
        Self { number, action }
    }

    /// Whether it has not been changed since.
    pub(crate) fn is_in_force(&self) -> bool {
        Self::of(self.number).handler() == self.handler()
    }

    /// Restores it. Async-signal-safe.
    pub(crate) fn restore(&self) {
        // The action was in force before, so its handler may run at any time.
        sigaction(self.number, Some(&self.action));
    }

    /// The address of the handler, or SIG_DFL or SIG_IGN.
    pub(crate) fn handler(&self) -> libc::sighandler_t {
        self.action.sa_sigaction
    }

    /// Whether it is a handler other than that of [`survive`].
    pub(crate) fn is_foreign(&self) -> bool {
        let survives = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        ![libc::SIG_DFL, libc::SIG_IGN, survives].contains(&self.handler())
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }
}

/// Makes the process survive `signal` without ignoring it: programs that it starts get the default,
/// whereas an ignored signal would stay ignored (execve(2)).
pub(crate) fn survive(signal: Signal) {
    let survives = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    set_handler(signal, survives);
}

extern "C" fn nothing(_: libc::c_int) {}

/// Restores the default of `signal`.
pub(crate) fn reset(signal: Signal) {
    set_handler(signal, libc::SIG_DFL);
}

/// The handler is a function without preconditions, or none.
fn set_handler(signal: Signal, handler: libc::sighandler_t) {
    let mut action = Disposition::of(signal as i32).action;
    action.sa_sigaction = handler;
    action.sa_flags = 0;
    action.sa_mask = *SigSet::empty().as_ref();
    sigaction(signal as i32, Some(&action));
}

/// Reads a signal's disposition, and changes it to `new`, whose handler may run at any time.
/// Async-signal-safe.
fn sigaction(number: i32, new: Option<&libc::sigaction>) -> libc::sigaction {
    let new = new.map_or(null(), |new| new as *const libc::sigaction);
    let mut old = MaybeUninit::zeroed();
    #[expect(
        unsafe_code,
        reason = "nix neither reads a disposition nor puts back what it read"
    )]
    // SAFETY: `new` is null or valid for reading, `old` is valid for writing, and zeroes are a
    // valid sigaction, should the call leave it alone.
    unsafe {
        libc::sigaction(number, new, old.as_mut_ptr());
        old.assume_init()
    }
}

/// The real-time signal with the highest number.
pub(crate) fn highest_signal() -> i32 {
    libc::SIGRTMAX()
}

/// Runs the handler of `signal` on the calling thread, now.
pub(crate) fn raise_here(signal: i32) {
    #[expect(unsafe_code, reason = "nix does not know real-time signals")]
    // SAFETY: raise(3) has no preconditions.
    unsafe {
        libc::raise(signal);
    }
}
