//! Descriptors of which only the number is known.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_setfd};

/// Runs `operation` with the descriptor of this number. Async-signal-safe if `operation` is.
///
/// It need not be open: `operation` must consist of system calls, which then fail with EBADF.
pub(crate) fn with_borrowed<R>(number: RawFd, operation: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
    assert_ne!(number, -1, "no descriptor has this number");
    #[expect(unsafe_code, reason = "only the number is known")]
    // SAFETY: the number is not -1, and is borrowed for system calls that check it.
    operation(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes a descriptor that another program has left open for this one.
///
/// # Errors
///
/// EBADF if it is not open.
pub(crate) fn own(number: RawFd) -> io::Result<OwnedFd> {
    if number == -1 {
        return Err(rustix::io::Errno::BADF.into());
    }
    with_borrowed(number, |left| fcntl_setfd(left, FdFlags::CLOEXEC))?;
    #[expect(unsafe_code, reason = "the descriptor comes from outside")]
    // SAFETY: it is open, and was left to this program: nobody else here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes a descriptor over from an owner that is shared, and cannot give it away.
///
/// # Safety
///
/// It is open, and its owner neither uses nor closes it from now on.
#[expect(unsafe_code, reason = "only the caller knows what the owner does")]
pub(crate) unsafe fn take_over(owner: &impl AsRawFd) -> OwnedFd {
    // SAFETY: the caller's part.
    unsafe { OwnedFd::from_raw_fd(owner.as_raw_fd()) }
}
