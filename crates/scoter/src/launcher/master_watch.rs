//! Watches for the end of the master while the application is imported.
//!
//! An import may never end, and nothing reads the channel meanwhile. This thread reads it only
//! once the other end has closed: the last message shows whether the master has dismissed the
//! launcher, because a reload has replaced its code, or has died. The thread ends before the
//! first fork.

use std::io;
use std::os::fd::AsFd;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, write};

use super::socket_cleanup::SocketCleanup;
use crate::ipc::channel::{Channel, Received};
use crate::ipc::messages::ToLauncher;
use crate::python::child_processes::terminate_children;
use crate::sys::descriptors::move_up;
use crate::sys::fork::Own;
use crate::sys::process::exit_now;

/// The watching thread.
#[derive(Debug)]
pub(super) struct MasterWatch {
    stop: Own,
    thread: JoinHandle<()>,
}

impl MasterWatch {
    /// Starts the thread. It exits the process when the channel closes; if the master is gone, it
    /// cleans up first.
    ///
    /// # Errors
    ///
    /// System errors, if no descriptors or threads are available.
    pub(super) fn start(channel: &Channel, cleanup: SocketCleanup) -> io::Result<Self> {
        let channel = channel.try_clone()?;
        let stop: Own = move_up(eventfd(0, EventfdFlags::CLOEXEC)?);
        let stopped = stop.try_clone()?;
        let thread = std::thread::Builder::new()
            .name("scoter-watch".to_owned())
            .spawn(move || {
                if !has_ended(&channel, &stopped) {
                    return;
                }
                if is_without_end(&channel) {
                    cleanup.clear();
                }
                // Processes that the import has started end with it, as at any other exit.
                terminate_children();
                exit_now(0)
            })?;
        Ok(Self { stop, thread })
    }

    /// Stops the thread and joins it.
    pub(super) fn stop(self) {
        let _ = write(&self.stop, &1u64.to_ne_bytes());
        let _ = self.thread.join();
    }
}

/// Waits for the channel to close or for the stop. Returns whether the channel has closed.
fn has_ended(channel: &Channel, stop: &Own) -> bool {
    loop {
        // poll(2) always reports a hang-up; messages are not requested.
        let mut fds = [
            PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::empty()),
            PollFd::new(stop, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => {
                let is_stopped = !fds[1].revents().is_empty();
                return !is_stopped && fds[0].revents().contains(PollFlags::HUP);
            }
        }
    }
}

/// Whether a channel has closed without [`ToLauncher::End`]. With it, the sockets still belong to
/// the master.
fn is_without_end(channel: &Channel) -> bool {
    loop {
        match channel.receive() {
            Ok(Received::Message(ToLauncher::End, _)) => return false,
            Ok(Received::Message(..)) => {}
            Ok(Received::End) => return true,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            // The master may be alive, and then keeps its sockets.
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fork(channel: &Channel) {
        let order = ToLauncher::Fork {
            worker: 1,
            serial: 1,
            multiprocess: false,
        };
        channel.send(&order, &[]).unwrap();
    }

    fn end(channel: &Channel) {
        channel.send(&ToLauncher::End, &[]).unwrap();
    }

    #[test]
    fn end_of_the_channel_shows_whether_the_master_is_gone() {
        type Say = fn(&Channel);
        let cases: [(&str, Say, bool); 4] = [
            ("without a word", |_| {}, true),
            ("after an order", fork, true),
            ("after the end", end, false),
            (
                "after an order and the end",
                |channel| {
                    fork(channel);
                    end(channel)
                },
                false,
            ),
        ];
        for (name, say, is_gone) in cases {
            let (master, launcher) = Channel::pair().unwrap();
            // The launcher's own unread messages must not count.
            launcher.send(&ToLauncher::Configure, &[]).unwrap();
            say(&master);
            drop(master);
            assert_eq!(is_without_end(&launcher), is_gone, "{name}");
        }
    }
}
