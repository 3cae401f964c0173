//! The end of a process that has lost a descriptor or a thread of its own.
//!
//! A worker without its reactor, or a slot without its epoll instance, would seem to run but
//! serve nobody. It cannot be repaired: it logs what it has lost and exits at once, so that its
//! supervisor can start another one.

use std::fmt::Display;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use tracing::error;

use crate::sys::descriptors::{Loss, find_loss};
use crate::sys::fork;
use crate::sys::process::exit_now;

/// What has to be done before the process ends, given the name of what it has lost. It returns
/// the exit code.
pub(crate) fn before_the_end(leave: impl Fn(&str) -> u8 + Send + Sync + 'static) {
    let _ = LEAVE.set(Box::new(leave));
}

/// Ends the process: `part` is gone.
pub(crate) fn end_process(part: &str, reason: &dyn Display) -> ! {
    if ENDING.swap(true, Ordering::AcqRel) {
        loop {
            std::thread::park();
        }
    }
    error!(part, %reason, "the process has lost a descriptor or a thread of its own: exiting at \
                           once");
    exit_now(LEAVE.get().map_or(1, |leave| leave(part)))
}

/// Ends the process if one of its descriptors is gone.
pub(crate) fn check_descriptors() {
    // A child that the application has forked has none, and is to come to its own end.
    if fork::is_child() {
        return;
    }
    if let Some(loss) = find_loss() {
        end_for(&loss);
    }
}

/// Ends the process if an operation on a descriptor of its own has failed because that is
/// gone. What else an operation fails for is the caller's affair.
pub(crate) fn examine(part: &str, error: impl Into<io::Error>) {
    let error = error.into();
    if fork::is_child() {
        return;
    }
    check_descriptors();
    let is_gone = [Errno::BADF, Errno::NOTSOCK]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if is_gone {
        end_process(part, &error);
    }
}

/// Ends the process because a thread or a task of its own has ended.
pub(crate) fn end_of_thread(part: &str) -> ! {
    // Which of them the thread missed says more.
    check_descriptors();
    end_process(part, &"it has ended unexpectedly")
}

/// Starts a task whose end, by a panic for instance, is the end of the process.
pub(crate) fn never_ending(part: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let task = tokio::spawn(task);
    tokio::spawn(async move {
        let _ended = task.await;
        end_of_thread(part);
    });
}

fn end_for(loss: &Loss) -> ! {
    end_process(&loss.name, loss)
}

type Leave = dyn Fn(&str) -> u8 + Send + Sync;

static LEAVE: OnceLock<Box<Leave>> = OnceLock::new();

static ENDING: AtomicBool = AtomicBool::new(false);
