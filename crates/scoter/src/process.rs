//! What the standard library does not offer of the process: leaving at once, and signal
//! dispositions.

use std::mem::MaybeUninit;

use nix::libc;
use nix::sys::signal::Signal;

/// Ends the process now: no destructor, no exit handler, no other thread gets in the way.
pub(crate) fn exit_now(code: u8) -> ! {
    #[expect(unsafe_code, reason = "the standard library only has exit(3)")]
    // SAFETY: _exit(2) has no preconditions.
    unsafe {
        libc::_exit(i32::from(code))
    }
}

/// What a process does on a signal, as it was at some moment.
pub(crate) struct Disposition {
    signal: Signal,
    action: libc::sigaction,
}

impl Disposition {
    /// Reads what `signal` does now.
    pub(crate) fn of(signal: Signal) -> Self {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        #[expect(unsafe_code, reason = "nix replaces a disposition, but cannot read it")]
        // SAFETY: `action` is valid for writing, and zeroes are a valid sigaction, should
        // the call leave it alone.
        let action = unsafe {
            libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        Self { signal, action }
    }

    /// Puts it back if something else has been set meanwhile, and says whether it had.
    pub(crate) fn restore(&self) -> bool {
        if Self::of(self.signal).action.sa_sigaction == self.action.sa_sigaction {
            return false;
        }
        #[expect(
            unsafe_code,
            reason = "nix cannot install a disposition it did not make"
        )]
        // SAFETY: the action was in force before, so its handler may run at any time.
        unsafe {
            libc::sigaction(self.signal as i32, &self.action, std::ptr::null_mut());
        }
        true
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }
}
