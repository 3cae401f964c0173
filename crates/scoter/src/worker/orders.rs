//! Orders to a worker: from the master over its channel, or by signals if there is no master.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{self, Duration};

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::ipc::channel::{AsyncChannel, Received};
use crate::ipc::messages::{FromWorker, LeaveReason, ToWorker};
use crate::ipc::scoreboard::Snapshot;
use crate::log::{self, in_background, say};
use crate::net::{Listener, SocketFile};
use crate::python::faulthandler;
use crate::sys::descriptors::move_up;
use crate::sys::fatal;
use crate::sys::fork::Own;
use crate::sys::process::exit_now;
use crate::sys::signals::{Arrived, FirstStop, Quiet, Signal, Signals};
use crate::worker::Ending;
use crate::worker::MASTER_GONE;
use crate::worker::MasterLink;
use crate::worker::Shared;
use crate::worker::is_first_to_miss_master;
use crate::worker::master_link;
use crate::worker::stacks::answer::answer;

/// Where a worker's orders come from.
#[derive(Debug)]
pub(crate) enum Orders {
    Master {
        channel: MasterChannel,
        /// The files of the master's own sockets.
        files: Vec<SocketFile>,
        quiet: Quiet,
    },
    Signals {
        signals: Signals,
        error_log: Option<PathBuf>,
        /// The one that has begun the stop.
        first_stop: Option<FirstStop>,
    },
}

/// The channel to the master. It stays open when the master is gone: scoter closes no descriptor
/// that the process cannot do without.
#[derive(Debug)]
pub(crate) struct MasterChannel {
    channel: AsyncChannel,
    has_ended: bool,
}

/// An order, wherever it came from.
#[derive(Debug)]
enum Order {
    /// End in this way.
    End(Ending, &'static str),
    /// End now.
    Leave(&'static str),
}

impl Orders {
    /// Begins to listen. To be called within a runtime.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors to give.
    pub(crate) fn of(
        master: &MasterLink,
        files: Vec<SocketFile>,
        error_log: Option<PathBuf>,
    ) -> io::Result<Self> {
        Ok(match master {
            MasterLink::Channel(channel) => Self::Master {
                channel: MasterChannel {
                    channel: channel.try_clone()?.watch()?,
                    has_ended: false,
                },
                files,
                quiet: Quiet::install()?,
            },
            MasterLink::None => Self::Signals {
                signals: Signals::install()?,
                error_log,
                first_stop: None,
            },
        })
    }

    /// Follows the orders until one is to end, and enforces the deadline of the end.
    ///
    /// It acts first and logs then, and never waits for the log for long: a standard error
    /// that nobody reads must not keep the server from its end.
    pub(crate) async fn follow(mut self, shared: Arc<Shared>, graceful_timeout: Duration) {
        let (ending, reason) = match self.next(&shared).await {
            Order::End(ending, reason) => (ending, reason),
            Order::Leave(reason) => match leave(&shared, reason).await {},
        };
        if ending == Ending::Drain {
            shared.end_with_all();
        }
        if shared.start.cancel() {
            let is_signal = matches!(self, Self::Signals { .. });
            say(move || match is_signal {
                true => info!(origin = reason, "stopped before it was ready"),
                false => info!(reason, "stopped before it was ready"),
            })
            .await;
            exit(&shared);
        }
        let deadline = Instant::now() + graceful_timeout;
        if ending == Ending::Drain && shared.listeners.iter().any(Listener::has_handshakes) {
            // The slots serve as before until everybody is in the queue.
            tokio::time::sleep(HANDSHAKES).await;
        }
        let running = shared.running();
        shared.stop.begin(ending);
        // All of them may be busy.
        shared.report_not_accepting();
        match self {
            Self::Master { .. } => {
                say(move || debug!(reason, running, "ending: finishing running requests")).await;
            }
            Self::Signals { .. } => {
                say(move || {
                    info!(
                        origin = reason,
                        running, "stopping: finishing running requests"
                    )
                })
                .await;
            }
        }
        let reason = tokio::select! {
            reason = self.until_leave(&shared) => reason,
            () = tokio::time::sleep_until(deadline) => "--graceful-timeout is over",
        };
        match leave(&shared, reason).await {}
    }

    async fn until_leave(&mut self, shared: &Arc<Shared>) -> &'static str {
        loop {
            match self.next(shared).await {
                Order::Leave(reason) => return reason,
                Order::End(..) if matches!(self, Self::Signals { .. }) => {
                    return "a second signal came";
                }
                // Those whose sockets they were have gone meanwhile.
                Order::End(Ending::Drain, reason) => {
                    shared.end_with_all();
                    say(move || debug!(reason, "ending: so do all other workers")).await;
                }
                Order::End(Ending::Retire, _) => {}
            }
        }
    }

    async fn next(&mut self, shared: &Arc<Shared>) -> Order {
        match self {
            Self::Master {
                channel,
                files,
                quiet,
            } => loop {
                tokio::select! {
                    message = channel.next_message() => match message {
                        Some((ToWorker::Stacks, mut fds)) => {
                            if let Some(stream) = fds.pop() {
                                tokio::spawn(answer(Arc::clone(shared), move_up(stream)));
                            }
                        }
                        None => {
                            let first = is_first_to_miss_master(&shared.listeners);
                            for file in files {
                                let _ = file.unlink();
                            }
                            shared.close_to_newcomers();
                            if first {
                                say(|| error!("{MASTER_GONE}")).await;
                            }
                            return Order::End(Ending::Drain, "the master is gone");
                        }
                        Some((ToWorker::Retire, _)) => return Order::End(Ending::Retire, "retired"),
                        Some((ToWorker::Drain, _)) => return Order::End(Ending::Drain, "stopped"),
                        // It may serve already. Nobody waits for it any more, and the channel's end
                        // does not mean that the master is gone.
                        Some((ToWorker::Leave(reason @ LeaveReason::NotNeeded), _)) => {
                            channel.has_ended = true;
                            return Order::End(Ending::Retire, reason.as_str());
                        }
                        Some((ToWorker::Leave(reason), _)) => return Order::Leave(reason.as_str()),
                        Some((ToWorker::ErrorLog, fds)) => {
                            fds.iter().for_each(log::take_error_log);
                        }
                        Some((ToWorker::ReopenLogs, _)) => shared.access_log.reopen(),
                        Some((ToWorker::NewCodeFailed { problem }, _)) => {
                            if let Some(dev) = &shared.dev {
                                dev.note_new_code(problem);
                            }
                        }
                    },
                    // systemd and people signal processes one by one: the master replaces it.
                    signal = quiet.terminated() => shared.master.send(&FromWorker::Replace {
                        reason: signal.name().to_owned(),
                    }),
                }
            },
            Self::Signals {
                signals,
                error_log,
                first_stop,
            } => loop {
                let Arrived { signal, is_own } = signals.next().await;
                match signal {
                    // A handler of the application wants the process to end, as it does.
                    _ if signal.is_stop() && is_own && shared.stop.begun_for().is_some() => {}
                    _ if signal.is_stop() => {
                        let now = time::Instant::now();
                        let repeats = |first: FirstStop| first.is_repeated_by(Some(signal), now);
                        if !first_stop.is_some_and(repeats) {
                            first_stop.get_or_insert(FirstStop::new(Some(signal), now));
                            return Order::End(Ending::Drain, signal.name());
                        }
                        say(|| debug!("already stopping: the same signal again within a second"))
                            .await;
                    }
                    Signal::Usr1 => {
                        let (path, shared) = (error_log.clone(), Arc::clone(shared));
                        in_background(move || reopen_logs(path.as_deref(), &shared));
                    }
                    _ => {
                        let signal = signal.name();
                        let ignored =
                            move || warn!(origin = signal, "signal ignored: --no-master is set");
                        say(ignored).await;
                    }
                }
            },
        }
    }
}

impl MasterChannel {
    /// Waits for a message, with the descriptors that come with it. `None`, once, says that the master is gone: nobody else is there to
    /// stop the worker, to end it, or to remove the sockets.
    async fn next_message(&mut self) -> Option<(ToWorker, Vec<Own>)> {
        if self.has_ended {
            return std::future::pending().await;
        }
        loop {
            match self.channel.receive().await {
                Ok(Received::Message(message, fds)) => return Some((message, fds)),
                Ok(Received::End) => {
                    self.has_ended = true;
                    return None;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    error!(%error, "invalid message from the master");
                }
                Err(error) => fatal::end_process(master_link::NAME, &error),
            }
        }
    }
}

/// Reopens the logs of a process without a master.
fn reopen_logs(error_log: Option<&Path>, shared: &Shared) {
    if error_log.and_then(log::reopen_error_log).is_some() {
        faulthandler::follow_standard_error();
    }
    // Afterwards, because it may go to standard error.
    shared.access_log.reopen();
}

/// Ends the process now, and says which requests it costs.
async fn leave(shared: &Shared, reason: &'static str) -> Infallible {
    // Whatever runs from now on would be cut without a word.
    let _ = shared.start.cancel();
    shared.stop.forbid_requests();
    let running = shared.board.running();
    let cut = running.len();
    say(move || {
        if cut > 0 {
            warn!(reason, cut, "stopping at once");
        } else {
            debug!(reason, "stopping at once");
        }
        running.iter().for_each(report_cut);
    })
    .await;
    exit(shared)
}

fn report_cut(request: &Snapshot) {
    let Snapshot {
        method,
        uri,
        request_id,
        ..
    } = request;
    let age_ms = request.age.as_millis();
    warn!(method, uri, request_id, age_ms, "request cut");
}

fn exit(shared: &Shared) -> ! {
    // Under a master the sockets are everybody's, unless it has said that they are not.
    let are_ours = match shared.master {
        MasterLink::Channel(_) => shared.stop.ending() == Some(Ending::Drain),
        MasterLink::None => true,
    };
    if are_ours {
        shared.close_to_newcomers();
    }
    shared.access_log.close();
    exit_now(0)
}

/// How long a TCP handshake takes that had begun before newcomers were refused.
const HANDSHAKES: Duration = Duration::from_millis(100);
