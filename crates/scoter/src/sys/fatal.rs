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

/// Sets what is done before the process ends. It receives the name of the lost part and returns the
/// exit code.
pub(crate) fn before_the_end(leave: impl Fn(&str) -> u8 + Send + Sync + 'static) {
    let _ = LEAVE.set(Box::new(leave));
}

/// Ends the process because it has lost `part`.
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

/// Ends the process if it has lost one of its descriptors.
pub(crate) fn check_descriptors() {
    // A child that the application has forked does not have them, and ends by itself.
    if fork::is_child() {
        return;
    }
    if let Some(loss) = find_loss() {
        end_for(&loss);
    }
}

/// Ends the process if an operation failed because one of its own descriptors is lost. The caller
/// handles other errors.
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

/// Ends the process because one of its own threads or tasks has ended.
pub(crate) fn end_of_thread(part: &str) -> ! {
    // If a lost descriptor ended the thread, its name says more.
    check_descriptors();
    end_process(part, &"it has ended unexpectedly")
}

/// Starts a task. If it ends, by a panic for instance, the process ends.
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
