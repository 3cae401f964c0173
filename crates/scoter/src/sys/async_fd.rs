//! Waiting for a descriptor that tokio has no type for.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::fork::Own;

/// A type whose descriptor stays open and never changes.
pub(crate) trait KeepsDescriptor: AsRawFd {}

impl KeepsDescriptor for OwnedFd {}

impl KeepsDescriptor for Own {}

impl KeepsDescriptor for Arc<Own> {}

/// Registers `fd` with the current runtime, to wait until it is readable.
///
/// # Errors
///
/// Those of epoll, which does not accept regular files.
pub(crate) fn readable<T: KeepsDescriptor>(fd: T) -> io::Result<AsyncFd<T>> {
    #[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays")]
    // SAFETY: these types own their descriptor, and none closes or exchanges it before it is
    // dropped. The AsyncFd keeps it until then.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
    Ok(registered)
}
