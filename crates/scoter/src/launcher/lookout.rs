//! A look-out for the end of the master while the application is imported.
//!
//! An import may take for ever, and nobody reads the line meanwhile. This thread does not
//! either, it only sees whether there is anybody at the other end. It is gone before the
//! first fork.

use std::io;
use std::os::fd::AsFd;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, write};

use super::Estate;
use crate::descriptors::move_up;
use crate::fork::Own;
use crate::line::Line;
use crate::process::exit_now;

/// A thread on the look-out.
#[derive(Debug)]
pub(super) struct Lookout {
    relief: Own,
    thread: JoinHandle<()>,
}

impl Lookout {
    /// Posts it. If the master goes, it clears up and ends the process.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors or threads to give.
    pub(super) fn post(line: &Line, estate: Estate) -> io::Result<Self> {
        let line = line.try_clone()?;
        let relief: Own = move_up(eventfd(0, EventfdFlags::CLOEXEC)?);
        let relieved = relief.try_clone()?;
        let thread = std::thread::Builder::new()
            .name("scoter-lookout".to_owned())
            .spawn(move || {
                if is_gone(&line, &relieved) {
                    estate.clear();
                    exit_now(0)
                }
            })?;
        Ok(Self { relief, thread })
    }

    /// Ends it, and waits until it is gone.
    pub(super) fn relieve(self) {
        let _ = write(&self.relief, &1u64.to_ne_bytes());
        let _ = self.thread.join();
    }
}

/// Waits for whatever comes first: the end of the line, or the relief.
fn is_gone(line: &Line, relief: &Own) -> bool {
    loop {
        // The end is reported without being asked for (poll(2)), messages are not.
        let mut fds = [
            PollFd::from_borrowed_fd(line.as_fd(), PollFlags::empty()),
            PollFd::new(relief, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => {
                let is_relieved = !fds[1].revents().is_empty();
                return !is_relieved && fds[0].revents().contains(PollFlags::HUP);
            }
        }
    }
}
