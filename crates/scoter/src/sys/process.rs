//! Process functions that the standard library does not offer: immediate exit, inherited
//! descriptors, memory, and signals.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Ends the process now: no destructor, no exit handler, no other thread gets in the way.
pub(crate) fn exit_now(code: u8) -> ! {
    #[expect(unsafe_code, reason = "the standard library only has exit(3)")]
    // SAFETY: _exit(2) has no preconditions.
    unsafe {
        libc::_exit(i32::from(code))
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
#[derive(Clone, Copy)]
pub(crate) struct Disposition {
    number: i32,
    action: libc::sigaction,
}

impl Disposition {
    /// Reads what the signal of this number does now. It is async-signal-safe.
    pub(crate) fn of(number: i32) -> Self {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        #[expect(unsafe_code, reason = "nix replaces a disposition, but cannot read it")]
        // SAFETY: `action` is valid for writing, and zeroes are a valid sigaction, should
        // the call leave it alone.
        let action = unsafe {
            libc::sigaction(number, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        Self { number, action }
    }

    /// Whether nothing else has been set meanwhile.
    pub(crate) fn is_in_force(&self) -> bool {
        Self::of(self.number).handler() == self.handler()
    }

    /// Puts it back. It is async-signal-safe.
    pub(crate) fn restore(&self) {
        #[expect(
            unsafe_code,
            reason = "nix cannot install a disposition it did not make"
        )]
        // SAFETY: the action was in force before, so its handler may run at any time.
        unsafe {
            libc::sigaction(self.number, &self.action, std::ptr::null_mut());
        }
    }

    /// The address of the code that runs, or SIG_DFL or SIG_IGN.
    pub(crate) fn handler(&self) -> libc::sighandler_t {
        self.action.sa_sigaction
    }

    /// Whether it is code, and not that of [`survive`].
    pub(crate) fn is_foreign(&self) -> bool {
        let survives = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        ![libc::SIG_DFL, libc::SIG_IGN, survives].contains(&self.handler())
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }
}
