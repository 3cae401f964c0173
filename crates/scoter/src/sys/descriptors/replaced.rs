use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

/// Makes a descriptor refer to the open file of another one. Whoever uses it meanwhile reaches the
/// one or the other.
///
/// # Errors
///
/// Those of dup3(2).
pub(crate) fn replace(descriptor: impl AsFd, by: impl AsFd) -> io::Result<()> {
    let (number, by) = (descriptor.as_fd(), by.as_fd());
    #[expect(unsafe_code, reason = "safe interfaces want an exclusive reference")]
    // SAFETY: both are open, because they are borrowed, and the first one stays open: the kernel
    // replaces its file in one step.
    let result = unsafe { libc::dup3(by.as_raw_fd(), number.as_raw_fd(), libc::O_CLOEXEC) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
