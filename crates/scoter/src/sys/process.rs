//! Process functions that the standard library does not offer: immediate exit, and memory.

use nix::libc;

/// Ends the process immediately, without destructors or exit handlers.
pub(crate) fn exit_now(code: u8) -> ! {
    #[expect(unsafe_code, reason = "the standard library only has exit(3)")]
    // SAFETY: _exit(2) has no preconditions.
    unsafe {
        libc::_exit(i32::from(code))
    }
}

/// Waits until another thread ends the process, which it is about to: it never returns.
pub(crate) fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}

/// Returns freed memory to the system, which the allocator might otherwise keep as long as the
/// process lives (malloc_trim(3)).
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no library that is here has this call")]
    // SAFETY: malloc_trim(3) is MT-Safe and takes no pointer.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The exit code of a worker with a request that cannot be ended (EX_SOFTWARE of sysexits.h). It
/// has reported that to the master before.
pub(crate) const STUCK: u8 = 70;

/// The exit code of a worker that has lost and logged a part of its own, such as its epoll instance
/// (EX_OSERR of sysexits.h).
pub(crate) const DAMAGED: u8 = 71;
