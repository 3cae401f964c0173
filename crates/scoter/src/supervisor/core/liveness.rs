//! Detects workers and launchers that no longer respond, and replaces them.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::child::Child;
use super::command::Command;
use super::event::Process;
use super::notice::Notice;
use super::silence::{LOST, Liveness, step};
use super::worker::{Phase, Worker};
use super::{KILL_TIMEOUT, Supervisor};
use crate::ipc::messages::Failed;

impl Supervisor {
    /// Replaces workers and launchers that do not respond.
    pub(super) fn look_for_lost(&mut self, now: Instant) {
        let looked = std::mem::replace(&mut self.looked, now);
        let step = step(now.saturating_duration_since(looked));
        for worker in &mut self.workers {
            worker.note_heartbeat(step);
        }
        self.look_for_lost_launchers(step);
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            let is_watched = match worker.phase {
                Phase::Ready => true,
                // It has a deadline, but without a channel it could not report that it is ready.
                Phase::Starting => !worker.child.has_channel(),
                Phase::Retiring | Phase::Stuck => false,
            };
            let is_lost = is_watched && worker.liveness() == Liveness::Lost;
            // Ended processes are handled elsewhere.
            let is_there = worker.child.pid.is_some() && worker.process == Process::Running;
            if is_lost && is_there && !worker.child.has_exited() {
                self.kill_lost_worker(index, now);
            }
        }
    }

    fn kill_lost_worker(&mut self, index: usize, now: Instant) {
        let worker = &mut self.workers[index];
        let reason = if worker.child.has_channel() {
            "its reactor has sent no heartbeat for ten seconds: the process is stopped, traced or \
             blocked"
        } else {
            "its channel to the master has closed: the application has probably closed \
             descriptors that are not its own"
        };
        worker.kills = 1;
        worker.deadline = Some(now + KILL_TIMEOUT);
        let (id, generation, pid) = (worker.id, worker.generation, worker.child.pid);
        if worker.phase == Phase::Starting {
            let message = format!("a worker was lost while it was starting: {reason}");
            worker.failed = Some(Failed::new(3, &message));
            return self.kill(pid);
        }
        let service = worker.service(now);
        worker.phase = Phase::Stuck;
        self.kill(pid);
        self.replaced += 1;
        self.restarts.unresponsive += 1;
        self.log(Notice::WorkerUnresponsive {
            worker: id,
            pid,
            reason,
        });
        self.lose_place(generation, id, service, now);
        self.give_up_loop(generation, id, reason, 3, now);
    }

    /// A launcher answers every fork order and reports every end.
    fn look_for_lost_launchers(&mut self, step: Duration) {
        let mut lost: Vec<(u32, Option<Pid>)> = Vec::new();
        for generation in &mut self.generations {
            let number = generation.number;
            let launcher = generation.launcher.as_mut();
            let Some(launcher) = launcher.filter(|launcher| launcher.is_prepared) else {
                continue;
            };
            let owes_news = |worker: &Worker| {
                let Child { pid, .. } = &worker.child;
                let is_over = !worker.child.has_channel() && worker.process != Process::Running;
                worker.generation == number
                    && !worker.child.has_exited()
                    && (pid.is_none() || is_over)
            };
            if !self.workers.iter().any(owes_news) {
                launcher.child.silence.restart();
                continue;
            }
            launcher.child.silence.note(launcher.messages, step);
            if launcher.child.silence.lasted() >= LOST {
                launcher.child.silence.restart();
                lost.push((number, launcher.child.pid));
            }
        }
        for (generation, pid) in lost {
            self.log(Notice::LauncherUnresponsive { generation, pid });
            self.kill(pid);
        }
    }

    /// Kills a process, unless it has ended, because its process ID may be reused.
    pub(super) fn kill(&mut self, pid: Option<Pid>) {
        let mut children = self.children();
        let has_exited = children.any(|child| child.pid == pid && child.has_exited());
        drop(children);
        if let Some(pid) = pid.filter(|_| !has_exited) {
            self.command(Command::Kill(pid));
        }
    }
}
