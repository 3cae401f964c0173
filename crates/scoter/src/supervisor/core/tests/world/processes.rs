//! The processes of the world: what they do by themselves, what is done to them, and how they
//! end.

use std::collections::VecDeque;
use std::time::Instant;

use super::World;
use super::requests::GRACEFUL_TIMEOUT;
use crate::control::{Phase, WorkerPhase};
use crate::ipc::messages::{Failed, FromLauncher, FromWorker, LeaveReason, ToWorker};
use crate::supervisor::core::{Activity, Event};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Good,
    /// It cannot be imported.
    Broken,
    /// It kills the process that imports it.
    Crashes,
    /// Its import never ends.
    Hangs,
    /// It ends its process as soon as the worker is ready.
    EndsWhenReady,
}

/// A simulated launcher.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) pid: i32,
    pub(super) generation: u32,
    pub(super) is_alive: bool,
    pub(super) is_frozen: bool,
    pub(super) is_prepared: bool,
    /// Whether it has been dismissed.
    pub(super) is_dismissed: bool,
    /// Workers that it has been ordered to fork.
    pub(super) orders: VecDeque<u64>,
}

/// A simulated worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: u32,
    pub(super) generation: u32,
    pub(super) launcher: u64,
    pub(super) pid: Option<i32>,
    pub(super) state: State,
    pub(super) is_frozen: bool,
    /// Whether it worked correctly until the supervisor acted on it.
    pub(super) is_blameless: bool,
    /// Whether it has been told that it is no longer supervised, and so follows no more orders.
    pub(super) is_let_go: bool,
    /// When each of its requests ends.
    pub(super) requests: Vec<Instant>,
    /// When it cuts them, after it has been told to end.
    pub(super) leave_by: Option<Instant>,
    pub(super) activity: Activity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The order to fork it has been sent.
    Ordered,
    Importing,
    Serving,
    /// It has been told to end.
    Ending,
    /// It has ended, but its launcher has not reaped it.
    Zombie(i32),
    Gone,
}

impl World {
    /// The generations of the workers that serve.
    pub(crate) fn serving_generations(&self) -> Vec<u32> {
        let serving = self.workers.values();
        let serving = serving.filter(|worker| worker.state == State::Serving);
        serving.map(|worker| worker.generation).collect()
    }

    pub(crate) fn alive(&self) -> usize {
        let launchers = self.launchers.values().filter(|it| it.is_alive).count();
        launchers + self.alive_workers()
    }

    pub(crate) fn alive_workers(&self) -> usize {
        let workers = self.workers.values();
        let is_alive = |worker: &&Worker| {
            matches!(
                worker.state,
                State::Importing | State::Serving | State::Ending
            )
        };
        workers.filter(is_alive).count()
    }

    /// The serials of the processes that are alive.
    pub(super) fn processes(&self) -> Vec<u64> {
        let launchers = self.launchers.iter();
        let launchers = launchers.filter(|(_, it)| it.is_alive).map(|(key, _)| *key);
        let workers = self.workers.iter();
        let workers = workers.filter(|(_, it)| {
            matches!(it.state, State::Importing | State::Serving | State::Ending)
        });
        launchers.chain(workers.map(|(key, _)| *key)).collect()
    }

    /// Lets a process take its next step. Returns whether it had one.
    pub(crate) fn progress(&mut self, index: usize) -> bool {
        let processes = self.processes();
        let Some(serial) = processes.get(index % processes.len().max(1)).copied() else {
            return false;
        };
        if self.launchers.contains_key(&serial) {
            self.progress_launcher(serial)
        } else {
            self.progress_worker(serial)
        }
    }

    fn progress_launcher(&mut self, serial: u64) -> bool {
        let code = self.code;
        let has_workers = self
            .workers
            .values()
            .any(|it| it.launcher == serial && !matches!(it.state, State::Gone | State::Ordered));
        let Some(launcher) = self.launchers.get_mut(&serial) else {
            return false;
        };
        if launcher.is_frozen {
            return false;
        }
        if !launcher.is_prepared {
            launcher.is_prepared = true;
            let version = self.version.to_owned();
            self.send(
                serial,
                Event::Launcher(serial, FromLauncher::Hello { version }),
            );
            self.send(serial, Event::Launcher(serial, FromLauncher::Prepared));
            return true;
        }
        if let Some(worker) = launcher.orders.pop_front() {
            if self.forks_fail {
                self.workers.remove(&worker);
                let message = FromLauncher::ForkFailed {
                    serial: worker,
                    error: "no memory".to_owned(),
                };
                self.send(serial, Event::Launcher(serial, message));
                return true;
            }
            let pid = self.new_pid();
            if let Some(worker) = self.workers.get_mut(&worker) {
                worker.pid = Some(pid);
                worker.state = State::Importing;
                worker.is_blameless = code == Code::Good;
            }
            let message = FromLauncher::Forked {
                serial: worker,
                pid,
            };
            self.send(serial, Event::Launcher(serial, message));
            return true;
        }
        let zombie = self
            .workers
            .iter()
            .find_map(|(key, worker)| match worker.state {
                State::Zombie(status) if worker.launcher == serial => Some((*key, status)),
                _ => None,
            });
        if let Some((key, status)) = zombie {
            self.take_status(key, status);
            return true;
        }
        if launcher.is_dismissed && !has_workers {
            self.end_launcher(serial, 0);
            return true;
        }
        false
    }

    fn progress_worker(&mut self, serial: u64) -> bool {
        let code = self.code;
        let Some(worker) = self.workers.get_mut(&serial) else {
            return false;
        };
        if worker.is_frozen {
            return false;
        }
        if worker.finish_requests(self.now) {
            self.watchdog.note_progress(self.now);
            return true;
        }
        match (worker.state, code) {
            (State::Importing, Code::Hangs) => false,
            (State::Importing, Code::Crashes) => {
                self.end_worker(serial, 11);
                true
            }
            (State::Importing, Code::Broken) => {
                let failed = Failed::new(3, "broken");
                self.send(serial, Event::Worker(serial, FromWorker::Failed(failed)));
                self.end_worker(serial, 3 << 8);
                true
            }
            (State::Importing, Code::Good | Code::EndsWhenReady) => {
                worker.state = State::Serving;
                self.watchdog.note_progress(self.now);
                let pid = worker.pid.unwrap_or_default();
                let ready = FromWorker::Ready {
                    pid,
                    application: "app:application".to_owned(),
                    import_ms: 1,
                };
                self.send(serial, Event::Worker(serial, ready));
                if code == Code::EndsWhenReady {
                    self.end_worker(serial, 7 << 8);
                }
                true
            }
            (State::Ending, _) => {
                let is_late = worker.leave_by.is_none_or(|at| at <= self.now);
                let is_over = worker.requests.is_empty() || is_late;
                if is_over {
                    self.end_worker(serial, 0);
                }
                is_over
            }
            _ => false,
        }
    }

    /// Kills a process without the supervisor's involvement.
    pub(crate) fn kill_any(&mut self, index: usize) {
        let processes = self.processes();
        if let Some(serial) = processes.get(index % processes.len().max(1)).copied() {
            if self.launchers.contains_key(&serial) {
                self.end_launcher(serial, 9);
            } else {
                self.end_worker(serial, 9);
            }
        }
    }

    /// Kills the launchers.
    pub(crate) fn kill_launchers(&mut self) {
        let all: Vec<_> = self.launchers.keys().copied().collect();
        for serial in all {
            self.end_launcher(serial, 9);
        }
    }

    /// Stops a process, as SIGSTOP does.
    pub(crate) fn freeze(&mut self, index: usize) {
        let processes = self.processes();
        let Some(serial) = processes.get(index % processes.len().max(1)) else {
            return;
        };
        if let Some(launcher) = self.launchers.get_mut(serial) {
            launcher.is_frozen = true;
        } else if let Some(worker) = self.workers.get_mut(serial) {
            worker.is_frozen = true;
            worker.is_blameless = false;
        }
    }

    /// Makes a serving worker send a message.
    pub(crate) fn say(&mut self, index: usize, message: FromWorker) {
        self.say_all(index, [message]);
    }

    /// Makes a serving worker send several.
    pub(crate) fn say_all(&mut self, index: usize, messages: impl IntoIterator<Item = FromWorker>) {
        let serving = self.workers.iter();
        let serving = serving.filter(|(_, it)| it.state == State::Serving && !it.is_frozen);
        let serving: Vec<_> = serving.map(|(key, _)| *key).collect();
        let Some(serial) = serving.get(index % serving.len().max(1)).copied() else {
            return;
        };
        for message in messages {
            if let (FromWorker::Stuck { .. }, Some(worker)) =
                (&message, self.workers.get_mut(&serial))
            {
                worker.leave(self.now + GRACEFUL_TIMEOUT);
                worker.is_blameless = false;
            }
            self.send(serial, Event::Worker(serial, message));
        }
    }

    pub(super) fn new_pid(&mut self) -> i32 {
        self.next_pid += 1;
        self.next_pid
    }

    pub(super) fn send(&mut self, serial: u64, event: Event) {
        if let Some(queue) = self.channels.get_mut(&serial) {
            queue.push_back(event);
        }
    }

    pub(super) fn end_worker(&mut self, serial: u64, status: i32) {
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        if matches!(
            worker.state,
            State::Gone | State::Zombie(_) | State::Ordered
        ) {
            return;
        }
        let (generation, id) = (worker.generation, worker.id);
        let is_failed_start = worker.state == State::Importing;
        worker.state = State::Zombie(status);
        let launcher = worker.launcher;
        self.note_start(generation, id, is_failed_start);
        self.send(serial, Event::ChannelClosed(serial));
        if self.launchers.get(&launcher).is_none_or(|it| !it.is_alive) {
            self.take_status(serial, status);
        }
    }

    /// A worker's parent, its launcher or the master, reaps it.
    pub(super) fn take_status(&mut self, serial: u64, status: i32) {
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        worker.state = State::Gone;
        let (pid, launcher) = (worker.pid.unwrap_or_default(), worker.launcher);
        self.workers.remove(&serial);
        if self.launchers.get(&launcher).is_some_and(|it| it.is_alive) {
            let message = FromLauncher::Exited { pid, status };
            self.send(launcher, Event::Launcher(launcher, message));
        } else {
            self.unreaped.push_back((pid, status));
        }
    }

    pub(super) fn end_launcher(&mut self, serial: u64, status: i32) {
        let Some(launcher) = self.launchers.get_mut(&serial) else {
            return;
        };
        if !std::mem::take(&mut launcher.is_alive) {
            return;
        }
        let pid = launcher.pid;
        self.send(serial, Event::ChannelClosed(serial));
        self.unreaped.push_back((pid, status));
        let orphans = self
            .workers
            .iter()
            .filter_map(|(key, worker)| match worker.state {
                State::Zombie(status) if worker.launcher == serial => Some((*key, status)),
                _ => None,
            });
        let orphans: Vec<_> = orphans.collect();
        for (worker, status) in orphans {
            self.take_status(worker, status);
        }
    }

    pub(super) fn tell_worker(&mut self, serial: u64, message: ToWorker) {
        let view = self.supervisor.view(self.now);
        let is_stopping = matches!(view.phase, Phase::Draining | Phase::Stopping);
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        match message {
            ToWorker::ErrorLog
            | ToWorker::ReopenLogs
            | ToWorker::Stacks
            | ToWorker::NewCodeFailed { .. } => {}
            _ if worker.is_let_go => {}
            _ if worker.state == State::Ordered => worker.state = State::Gone,
            ToWorker::Retire | ToWorker::Drain | ToWorker::Leave(_) => {
                let known = view.workers.iter().find(|it| it.serial == serial);
                let is_responsive = known.is_some_and(|it| it.phase == WorkerPhase::Retiring);
                // The message that it is ready may still be in transit.
                let is_ready =
                    |event: &Event| matches!(event, Event::Worker(_, FromWorker::Ready { .. }));
                let queue = self.channels.get(&serial);
                let is_known = queue.is_none_or(|queue| !queue.iter().any(is_ready));
                let was_serving = worker.state == State::Serving && is_responsive && is_known;
                let reason = match message {
                    ToWorker::Leave(reason) => Some(reason),
                    _ => None,
                };
                worker.is_let_go = reason == Some(LeaveReason::NotNeeded);
                let cuts = reason.is_some() && !worker.is_let_go;
                if cuts && !worker.has_ended() {
                    worker.requests.clear();
                }
                if matches!(worker.state, State::Importing | State::Serving) {
                    worker.leave(self.now + GRACEFUL_TIMEOUT);
                }
                if message == ToWorker::Retire && !worker.is_frozen {
                    self.send(serial, Event::Worker(serial, FromWorker::NotAccepting));
                }
                if was_serving && !is_stopping {
                    self.check_service();
                }
            }
        }
    }

    /// The master has ended: every process that can ends when its channel is closed. Others must
    /// have been killed, unless the report that they were forked was still in transit.
    pub(super) fn close_channels(&mut self) {
        let known: Vec<_> = self.supervisor.processes().map(|(it, _)| it).collect();
        for serial in self.processes() {
            let worker = self.workers.get(&serial);
            let launcher = self.launchers.get(&serial);
            if worker.is_some_and(|it| !it.is_frozen || !known.contains(&serial)) {
                self.end_worker(serial, 0);
            } else if launcher.is_some_and(|it| !it.is_frozen) {
                self.end_launcher(serial, 0);
            }
        }
    }
}
