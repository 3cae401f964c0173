//! How a launcher, which has one thread, waits.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

use crate::ipc::channel::Channel;

/// Waits for a message or the end of a worker, for at most [`MAX_WAIT`].
pub(super) fn wait(channel: Option<&Channel>, mask: SigSet) -> io::Result<()> {
    let mut fds: Vec<_> = channel
        .iter()
        .map(|channel| PollFd::new(channel.as_fd(), PollFlags::POLLIN))
        .collect();
    // A thread of the application may receive CHLD instead.
    let timeout = Some(TimeSpec::from_duration(MAX_WAIT));
    match ppoll(&mut fds, timeout, Some(mask)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// How long a worker's end can go unnoticed.
const MAX_WAIT: Duration = Duration::from_secs(1);
