//! The one thing about descriptors that the standard library leaves unsafe.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Duplicates a descriptor that a Python file says it has.
///
/// # Errors
///
/// Those of `fcntl`; `EBADF` for a number that is not an open descriptor.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is not -1, which is the value BorrowedFd may not have. That it
    // stays open is not needed: it is used once, by fcntl(F_DUPFD_CLOEXEC), which
    // only reads the number and says EBADF when it is closed.
    #[expect(unsafe_code, reason = "the number comes from Python")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}
