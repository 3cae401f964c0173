//! Waiting for a descriptor that tokio has no type for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers `fd` with the runtime, to wait until it can be read.
///
/// # Errors
///
/// Those of epoll, which takes no regular file.
pub(super) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays")]
    // SAFETY: an OwnedFd is open, and the same descriptor, until it is dropped, and the
    // AsyncFd keeps it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
    Ok(registered)
}
