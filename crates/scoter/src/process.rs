//! What the standard library does not offer of the process: leaving at once, and signal
//! dispositions.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::fs::{Mode, OFlags, open};

/// Ends the process now: no destructor, no exit handler, no other thread gets in the way.
pub(crate) fn exit_now(code: u8) -> ! {
    #[expect(unsafe_code, reason = "the standard library only has exit(3)")]
    // SAFETY: _exit(2) has no preconditions.
    unsafe {
        libc::_exit(i32::from(code))
    }
}

/// Puts `/dev/null` in the place of standard streams that are closed. Files that are opened
/// later would have their numbers, and a connection get what is printed.
pub(crate) fn fill_standard_streams() {
    // The lowest number that is free is taken (open(2)). Programs that are started have it, too.
    while let Ok(null) = open("/dev/null", OFlags::RDWR, Mode::empty()) {
        if null.as_raw_fd() > LAST_STANDARD_STREAM {
            return;
        }
        let _ = null.into_raw_fd();
    }
}

/// Takes a descriptor that another program has left open for this one.
///
/// # Errors
///
/// EBADF where there is none.
pub(crate) fn own(number: RawFd) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "the descriptor comes from outside")]
    // SAFETY: it is borrowed for one call, which fails where nothing is open.
    let left = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(left, rustix::io::FdFlags::CLOEXEC)?;
    #[expect(unsafe_code, reason = "the descriptor comes from outside")]
    // SAFETY: it is open, and was left to this program: nobody else here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes the process survive `signal` without ignoring it: programs that it starts get the
/// default, as they would not if it were ignored (execve(2)).
pub(crate) fn survive(signal: Signal) {
    let action = SigAction::new(
        SigHandler::Handler(nothing),
        SaFlags::empty(),
        SigSet::empty(),
    );
    #[expect(unsafe_code, reason = "a handler runs at any time")]
    // SAFETY: it does nothing.
    let _ = unsafe { sigaction(signal, &action) };
}

extern "C" fn nothing(_: libc::c_int) {}

/// Gives `signal` its default back.
pub(crate) fn reset(signal: Signal) {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    #[expect(unsafe_code, reason = "nix cannot know what a handler does")]
    // SAFETY: there is no handler.
    let _ = unsafe { sigaction(signal, &action) };
}

/// Standard error.
const LAST_STANDARD_STREAM: RawFd = 2;

/// Gives the system back what the allocator keeps of freed memory, which it otherwise may for as
/// long as the process lives (malloc_trim(3)).
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no library that is here has this call")]
    // SAFETY: malloc_trim(3) is MT-Safe and takes no pointer.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The exit code of a worker that leaves a request behind which cannot be ended (EX_SOFTWARE
/// of sysexits.h). The master has been told before.
pub(crate) const STUCK: u8 = 70;

/// The exit code of a worker that has lost a part of its own, such as its epoll instance, and
/// has said which (EX_OSERR of sysexits.h).
pub(crate) const DAMAGED: u8 = 71;

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

    /// Whether it is code, and not that of [`survive`].
    pub(crate) fn is_foreign(&self) -> bool {
        let survives = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        ![libc::SIG_DFL, libc::SIG_IGN, survives].contains(&self.action.sa_sigaction)
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }
}
