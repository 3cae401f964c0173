//! Forking workers and reaping them.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use pyo3::prelude::*;
use rustix::process::{Pid, WaitOptions, waitpid};
use tracing::{error, warn};

use super::forked_worker::ForkedWorker;
use super::prepared::Prepared;
use super::wait::wait;
use crate::ipc::channel::{Channel, Received};
use crate::ipc::messages::{Failed, FromLauncher, ToLauncher};
use crate::log;
use crate::python::child_processes::{Deadline, terminate_children};
use crate::python::exit_handlers::run_exit_handlers;
use crate::python::limit_hint::hint_for_fork;
use crate::python::traceback::traceback;
use crate::sys::disposition::{Disposition, survive};
use crate::sys::fork::{self, Own};
use crate::sys::process::exit_now;

/// The process that forks.
pub(super) struct Launcher {
    channel: Channel,
    given: Prepared,
    workers: HashSet<Pid>,
}

impl Launcher {
    pub(super) fn new(channel: Channel, given: Prepared) -> Self {
        Self {
            channel,
            given,
            workers: HashSet::new(),
        }
    }

    /// Forks and reaps until the master is done with this generation, then ends the process.
    pub(super) fn run(mut self, py: Python<'_>) -> ! {
        // The application's handler is for the workers' children, not for the workers.
        let before = Disposition::of(Signal::SIGCHLD as i32);
        // CHLD is unblocked only during the wait, so that a worker that ends before it still
        // interrupts it.
        fork::replace(&[Signal::SIGCHLD as i32], || survive(Signal::SIGCHLD));
        let children = SigSet::from_iter([Signal::SIGCHLD]);
        let mask = children
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .unwrap_or_else(|_| SigSet::empty());
        self.tell(&FromLauncher::Prepared);
        let mut open = true;
        while open || !self.workers.is_empty() {
            self.reap();
            let waited = py.detach(|| wait(open.then_some(&self.channel), mask));
            if let Err(error) = waited {
                error!(%error, "the launcher cannot wait for orders");
                break;
            }
            while open {
                match self.channel.receive() {
                    Ok(Received::Message(
                        ToLauncher::Fork {
                            worker,
                            serial,
                            multiprocess,
                        },
                        fds,
                    )) => {
                        let forked = self.fork(py, worker, serial, fds);
                        if let Some(forked) = forked {
                            before.restore();
                            let _ = mask.thread_set_mask();
                            // The worker must not keep the launcher's channel open.
                            drop(self.channel);
                            forked.serve(py, self.given, multiprocess);
                        }
                    }
                    Ok(Received::Message(ToLauncher::Configure, _)) => {}
                    Ok(Received::Message(ToLauncher::ErrorLog, fds)) => {
                        fds.iter().for_each(log::take_error_log);
                    }
                    Ok(Received::Message(ToLauncher::End, _)) => open = false,
                    Ok(Received::End) => {
                        open = false;
                        // Workers have their own channels, and remove the sockets themselves.
                        if self.workers.is_empty() {
                            if let Ok(cleanup) = self.given.cleanup() {
                                cleanup.clear();
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        error!(%error, "invalid message from the master");
                    }
                    // The application has closed a descriptor that is not its own.
                    Err(error) => {
                        error!(%error, "the launcher's channel to the master is broken");
                        exit_now(1);
                    }
                }
            }
        }
        if self.given.preloaded.is_some() {
            let deadline = Deadline::set(py, EXIT_TIMEOUT);
            end_after(HANDLERS_TIMEOUT);
            run_exit_handlers(py, EXIT_TIMEOUT);
            drop(deadline);
            terminate_children();
        }
        exit_now(0)
    }

    /// Forks a worker. Returns in the worker's process with what it needs.
    fn fork(
        &mut self,
        py: Python<'_>,
        worker: u32,
        serial: u64,
        fds: Vec<Own>,
    ) -> Option<ForkedWorker> {
        let Ok([channel, board, crash]) = <[Own; 3]>::try_from(fds) else {
            self.tell(&FromLauncher::ForkFailed {
                serial,
                error: "its descriptors did not arrive".to_owned(),
            });
            return None;
        };
        self.warn_of_threads(py, worker);
        // CPython's own fork, which repairs locks and thread states, and runs the hooks that
        // libraries registered with os.register_at_fork().
        let fork = || py.import("os")?.call_method0("fork")?.extract::<i32>();
        let message = match fork::of_our_own(fork).map(Pid::from_raw) {
            Ok(None) => {
                return Some(ForkedWorker {
                    worker,
                    channel,
                    board,
                    crash,
                });
            }
            Ok(Some(pid)) => {
                self.workers.insert(pid);
                // The first has loaded the code, or the generation has been given up: it is what
                // there is.
                if let Some(development) = &mut self.given.development {
                    development.serves_failure = true;
                }
                FromLauncher::Forked {
                    serial,
                    pid: pid.as_raw_pid(),
                }
            }
            Err(error) => FromLauncher::ForkFailed {
                serial,
                error: Failed::new(1, &(traceback(py, &error) + &hint_for_fork(py, &error)))
                    .message,
            },
        };
        self.tell(&message);
        None
    }

    /// Warns because a lock that another thread holds during a fork stays locked in the child
    /// forever.
    fn warn_of_threads(&self, py: Python<'_>, worker: u32) {
        if self.given.preloaded.is_none() {
            return;
        }
        let names = live_threads(py).unwrap_or_default();
        if !names.is_empty() {
            let threads = names.join(", ");
            warn!(
                worker,
                threads,
                "--preload forks while application threads are running: the worker does not have \
                 them, and the locks they hold stay locked (start them in scoter.hooks.post_fork)"
            );
        }
    }

    fn reap(&mut self) {
        let ended: Vec<_> = self
            .workers
            .iter()
            .filter_map(|&pid| match waitpid(Some(pid), WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => Some((pid, status.as_raw())),
                _ => None,
            })
            .collect();
        for (pid, status) in ended {
            self.workers.remove(&pid);
            self.tell(&FromLauncher::Exited {
                pid: pid.as_raw_pid(),
                status,
            });
        }
    }

    fn tell(&self, message: &FromLauncher) {
        // If the master is gone, the end of the channel shows it.
        let _ = self.channel.send(message, &[]);
    }
}

fn live_threads(py: Python<'_>) -> PyResult<Vec<String>> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?;
    let mut names = Vec::new();
    for thread in threading.call_method0("enumerate")?.try_iter()? {
        let thread = thread?;
        if !thread.is(&main) {
            names.push(thread.getattr("name")?.to_string());
        }
    }
    Ok(names)
}

/// Ends the process after `timeout`. A master would kill it earlier, but may be gone.
fn end_after(timeout: Duration) {
    let end = move || {
        std::thread::sleep(timeout);
        error!("the exit handlers of the application do not end: the launcher ends without them");
        terminate_children();
        exit_now(1)
    };
    // Without a thread there is the master's patience.
    let _ = std::thread::Builder::new()
        .name("scoter-exit".to_owned())
        .spawn(end);
}

/// How long the exit handlers of a preloaded application may take.
const HANDLERS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long threads and processes of a preloaded application may take to end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);
