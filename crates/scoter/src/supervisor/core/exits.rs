//! Handles the end of processes.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Supervisor;
use super::command::Command;
use super::event::{Exit, Process};
use super::generation::Launcher;
use super::notice::Notice;
use super::worker::{Phase, Worker};
use super::{KILL_TIMEOUT, generation::Departing};
use crate::ipc::messages::Failed;
use crate::sys::process::STUCK;
use crate::sys::signals::ACTED_ON;

impl Supervisor {
    pub(super) fn on_exit(&mut self, pid: i32, exit: Exit, now: Instant) {
        let pid = Pid::from_raw(pid);
        let worker = self.workers.iter_mut().map(|worker| &mut worker.child);
        let launchers = self.generations.iter_mut();
        let launchers = launchers.filter_map(|generation| generation.launcher.as_mut());
        let mut children = worker.chain(launchers.map(|launcher| &mut launcher.child));
        if let Some(child) = children.find(|child| child.pid == Some(pid)) {
            child.note_exit(exit, now);
        }
        drop(children);
        self.departing.retain(|launcher| launcher.pid != pid);
        self.judge_exits(now);
    }

    /// Handles processes that have ended, once no more messages are expected from them.
    pub(super) fn judge_exits(&mut self, now: Instant) {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        while let Some(index) = self
            .workers
            .iter()
            .position(|worker| is_over(worker.over_at()))
        {
            let exit = self.workers[index].child.take_exit();
            self.end_worker(index, &exit, now);
        }
        let mut ended = Vec::new();
        let is_serving = self.is_anybody_ready();
        for generation in &mut self.generations {
            let launcher = &mut generation.launcher;
            let over = launcher.take_if(|launcher| is_over(launcher.child.over_at(true)));
            if let Some(launcher) = over {
                generation.backoff.note(launcher.service(now), now);
                ended.push((
                    generation.number,
                    launcher,
                    generation.backoff.pause(is_serving),
                ));
            }
        }
        for (generation, mut launcher, pause) in ended {
            let exit = launcher.child.take_exit();
            self.command(Command::Release(launcher.serial));
            self.on_launcher_exit(generation, &launcher, pause, &exit, now);
        }
    }

    fn end_worker(&mut self, index: usize, exit: &Exit, now: Instant) {
        let worker = self.workers.remove(index);
        self.on_worker_exit(&worker, exit, now);
        self.command(Command::Release(worker.serial));
    }

    fn on_worker_exit(&mut self, worker: &Worker, exit: &Exit, now: Instant) {
        if self.recycling == Some(worker.serial) {
            self.recycling = None;
            // A stuck worker has already been counted.
            if worker.phase != Phase::Stuck {
                self.replaced += 1;
                let reason = worker.replace.as_deref().unwrap_or_default();
                self.restarts.note_limit(reason);
            }
        }
        let (id, generation, pid) = (worker.id, worker.generation, worker.child.pid);
        if !worker.counts() || self.lifecycle.is_ending() {
            if !has_logged_cuts(exit) {
                self.command(Command::ReportLost(worker.serial));
            }
            return self.log(match exit.stack.clone() {
                Some(stack) => Notice::WorkerCrashedAtItsEnd {
                    worker: id,
                    pid,
                    stack,
                },
                None => Notice::WorkerEnded { worker: id, pid },
            });
        }
        self.lose_place(generation, id, worker.service(now), now);
        if worker.phase == Phase::Ready {
            self.crashed += 1;
            self.restarts.crash += 1;
            self.log(Notice::WorkerDied {
                worker: id,
                pid,
                reason: exit.reason.clone(),
                stack: exit.stack.clone(),
            });
            self.command(Command::ReportLost(worker.serial));
            return self.give_up_loop(
                generation,
                id,
                &exit.reason,
                code_of_failed_start(exit),
                now,
            );
        }
        let failed = worker.failed.clone().unwrap_or_else(|| {
            let stack = exit.stack.as_deref().unwrap_or_default();
            let reason = &exit.reason;
            let message = format!("a worker died while it was starting: {reason}{stack}");
            Failed::new(code_of_failed_load(exit), &message)
        });
        self.on_failed_start(generation, &failed, now);
    }

    /// Gives up a start or a reload whose workers keep failing.
    pub(super) fn give_up_loop(
        &mut self,
        generation: u32,
        id: u32,
        reason: &str,
        code: u8,
        now: Instant,
    ) {
        let is_loading = !self.lifecycle.is_started() || self.is_rolling_out(generation);
        if is_loading && self.places.keeps_failing(generation, id) {
            let message =
                format!("workers become ready, but die before they have served: {reason}");
            self.on_failed_start(generation, &Failed::new(code, &message), now);
        }
    }

    /// Kills a worker that has not become ready, or has not ended, in time. If that is not enough,
    /// kills its launcher, which has not reported the worker's start or end: the worker then
    /// becomes the master's own child.
    pub(super) fn end_late_worker(&mut self, index: usize, now: Instant) {
        let worker = &mut self.workers[index];
        let (id, generation, pid) = (worker.id, worker.generation, worker.child.pid);
        worker.kills += 1;
        worker.deadline = Some(now + KILL_TIMEOUT);
        let kills = worker.kills;
        // The launcher cannot report the end of a worker that cannot be killed.
        let is_told_of = pid.is_some() && worker.process == Process::Running;
        if kills == 1 {
            if worker.phase == Phase::Starting {
                let message = "the application was not ready within --start-timeout";
                worker.failed = Some(Failed::new(3, message));
            } else {
                self.log(Notice::WorkerLate(id));
            }
            self.kill(pid);
            if pid.is_some() {
                return;
            }
        }
        let launcher = self.generation(generation).filter(|_| !is_told_of);
        let launcher = launcher.and_then(|generation| generation.launcher.as_ref());
        if let Some(launcher) = launcher.map(|launcher| launcher.child.pid) {
            self.log(Notice::LauncherSilent {
                worker: id,
                generation,
            });
            return self.kill(launcher);
        }
        if kills > MAX_KILLS || pid.is_none() {
            self.log(Notice::WorkerGivenUp(id));
            self.end_worker(index, &Exit::unseen(), now);
        }
    }

    /// Gives up a launcher whose `--preload` takes too long.
    pub(super) fn give_up_launcher(&mut self, number: u32, now: Instant) {
        self.dismiss_launcher(number, now);
        let message = "the application was not loaded within --start-timeout";
        self.on_failed_start(number, &Failed::new(3, message), now);
    }

    /// Ends the launcher of a generation because it is unusable.
    pub(super) fn dismiss_launcher(&mut self, generation: u32, now: Instant) {
        let Some(generation) = self.generation_mut(generation) else {
            return;
        };
        if let Some(launcher) = generation.launcher.take() {
            generation.backoff.note_failed_start(now);
            // The process ID of a reaped process may be reused.
            let pid = launcher.child.pid.filter(|_| !launcher.child.has_exited());
            self.kill(pid);
            self.command(Command::Release(launcher.serial));
            self.departing
                .extend(pid.map(|pid| Departing::killed(pid, now)));
        }
    }

    fn on_launcher_exit(
        &mut self,
        generation: u32,
        launcher: &Launcher,
        pause: Duration,
        exit: &Exit,
        now: Instant,
    ) {
        // The workers that it was about to fork are lost.
        let is_unborn =
            |worker: &&Worker| worker.generation == generation && worker.child.pid.is_none();
        let unborn: Vec<_> = self.workers.iter().filter(is_unborn).collect();
        let unborn: Vec<_> = unborn.iter().map(|worker| worker.serial).collect();
        for serial in unborn {
            self.remove_worker(serial);
        }
        if self.lifecycle.is_ending() || self.failure.is_some() {
            return;
        }
        if !launcher.said_hello && is_stray(exit) {
            return self.log(Notice::LauncherSignalled { generation });
        }
        let reason = match exit.code() {
            _ if launcher.said_hello => exit.reason.clone(),
            Some(code) => format!(
                "Python ended with exit code {code} before it had loaded scoter; see its output \
                 above"
            ),
            None => format!("{}, before it had loaded scoter", exit.reason),
        };
        let stack = exit.stack.clone();
        let told = format!(
            "the launcher died: {reason}{}",
            stack.as_deref().unwrap_or_default()
        );
        if !self.lifecycle.is_started() {
            let preloads = self
                .generation(generation)
                .is_some_and(|it| it.plan.preload);
            let code = if launcher.said_hello && preloads {
                code_of_failed_load(exit)
            } else {
                1
            };
            let message = format!("cannot start: {told}");
            self.failure = Some(Failed::new(code, &message));
        } else if self.is_rolling_out(generation) && self.is_beyond_hope(launcher, generation) {
            self.fail_rollout(&told, now);
        } else {
            self.log(Notice::LauncherDied {
                generation,
                pid: launcher.child.pid,
                reason,
                pause,
                stack,
            });
        }
    }

    /// Whether another launcher of new code would probably fail, too.
    fn is_beyond_hope(&self, launcher: &Launcher, generation: u32) -> bool {
        let generation = self.generation(generation);
        !launcher.is_prepared
            || generation.is_none_or(|it| !it.is_proven || it.backoff.keeps_failing())
    }

    /// Finds workers whose end is not reported, because their launcher was killed before it could,
    /// or never forked them.
    pub(super) fn find_missing(&mut self, now: Instant) {
        let is_missing = |worker: &Worker| {
            let is_gone = worker.child.pid.is_none() || worker.process == Process::Gone;
            worker.child.is_missing(now) && is_gone
        };
        while let Some(index) = self.workers.iter().position(is_missing) {
            self.end_worker(index, &Exit::unseen(), now);
        }
    }

    /// Kills all processes.
    pub(super) fn kill_all(&mut self) {
        let children = self.children().map(|child| child.pid);
        let departing = self.departing.iter().map(|launcher| Some(launcher.pid));
        let all: Vec<_> = children.chain(departing).collect();
        for pid in all {
            self.kill(pid);
        }
    }
}

/// The exit code of a start whose workers become ready and then end: that of a failed application
/// if they end by themselves.
fn code_of_failed_start(exit: &Exit) -> u8 {
    if exit.is_killed() { 1 } else { 3 }
}

/// The exit code of a start whose process ended while it loaded the application. Whether by a
/// crash, `os._exit()` or a kill for lack of memory, the application could not be loaded.
fn code_of_failed_load(exit: &Exit) -> u8 {
    if exit.status.is_some() { 3 } else { 1 }
}

/// Whether a worker that was to end has ended as it does by itself, and so has logged the requests
/// that it cuts. Application code may end it in another way.
fn has_logged_cuts(exit: &Exit) -> bool {
    [0, STUCK]
        .map(|code| Some(i32::from(code)))
        .contains(&exit.code())
}

/// Whether a process was killed by a signal meant for the master. A signal to all processes also
/// reaches a launcher in which Python is still starting.
fn is_stray(exit: &Exit) -> bool {
    let signal = exit.status.map_or(0, |status| status & 0x7f);
    ACTED_ON.iter().any(|one| *one as i32 == signal)
}

/// How many times a worker is killed before it is given up.
const MAX_KILLS: u32 = 3;
