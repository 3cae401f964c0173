//! Compares the actual with the wanted state: starts missing launchers and workers, and
//! retires surplus ones.

use std::time::Instant;

use super::command::{Command, NewWorker, Notification};
use super::generation::{Departing, Generation, LAST_WORDS, Launcher};
use super::lifecycle::Lifecycle;
use super::notice::Notice;
use super::worker::{Phase, Worker};
use super::{OVERTIME, Supervisor};
use crate::ipc::messages::ToWorker;

impl Supervisor {
    /// Brings the actual state closer to the wanted one.
    pub(super) fn reconcile(&mut self, now: Instant) {
        if let Some(failed) = self.failure.take() {
            self.log(Notice::StartFailed(failed.message));
            self.kill_all();
            return self.exit(failed.code);
        }
        self.end_draining(now);
        if self.lifecycle.is_ending() {
            return self.advance_stop(now);
        }
        self.drop_generations(now);
        self.begin_recycling();
        self.start_launchers(now);
        self.start_workers(now);
        self.retire_surplus(now);
        self.finish_rollout(now);
        self.announce_start(now);
    }

    pub(super) fn exit(&mut self, code: u8) {
        self.lifecycle = Lifecycle::Over;
        self.command(Command::Exit(code));
    }

    /// The generation that workers are started for.
    pub(super) fn target(&self) -> u32 {
        let rollout = self.lifecycle.rollout();
        rollout.map_or(self.current, |rollout| rollout.generation)
    }

    fn drop_generations(&mut self, now: Instant) {
        let (current, target) = (self.current, self.target());
        let workers = &self.workers;
        let is_over = |generation: &Generation| {
            let number = generation.number;
            let is_used = workers.iter().any(|worker| worker.generation == number);
            !is_used && number != current && number != target
        };
        let all = std::mem::take(&mut self.generations);
        let (over, left): (Vec<_>, _) = all.into_iter().partition(is_over);
        self.generations = left;
        for generation in over {
            self.let_go(generation, now);
        }
        let generations = &self.generations;
        let exists = |number: u32| generations.iter().any(|one| one.number == number);
        self.places.retain(exists);
    }

    /// Ends a generation without workers. Its launcher ends by itself, or is killed later.
    pub(super) fn let_go(&mut self, generation: Generation, now: Instant) {
        if let Some(launcher) = generation.launcher {
            self.command(Command::Release(launcher.serial));
            if !launcher.child.has_exited() {
                let departing = launcher.child.pid.map(|pid| Departing::new(pid, now));
                self.departing.extend(departing);
            }
        }
        self.command(Command::DropGeneration(generation.number));
    }

    fn start_launchers(&mut self, now: Instant) {
        // New launchers would be of the release that may be about to take over.
        if self.lifecycle.is_upgrading() {
            return;
        }
        let (current, target) = (self.current, self.target());
        let is_serving = self.is_anybody_ready();
        for index in 0..self.generations.len() {
            let generation = &mut self.generations[index];
            let number = generation.number;
            let is_needed = number == current || number == target;
            let waits = generation.backoff.until(is_serving, now).is_some();
            if !is_needed || waits || generation.launcher.is_some() {
                continue;
            }
            let serial = self.next_serial;
            self.next_serial += 1;
            generation.launcher = Some(Launcher::new(serial, now));
            self.command(Command::StartLauncher {
                serial,
                generation: number,
            });
        }
    }

    fn start_workers(&mut self, now: Instant) {
        let wanted = self.worker_count.wanted() + u32::from(self.is_replacement_due());
        let target = self.target();
        // The first worker shows whether the code works, and alone does what the application does
        // only once, such as creating its tables. Until it is ready nothing else changes.
        if self.generation(target).is_some_and(|it| it.is_proven) {
            return self.fill(target, wanted, now);
        }
        if target != self.current {
            self.fill(self.current, wanted, now);
        }
        self.fill(target, 1, now);
    }

    fn fill(&mut self, generation: u32, wanted: u32, now: Instant) {
        let is_serving = self.is_anybody_ready();
        let held = self.places.held(generation, is_serving, now);
        let there = self
            .workers
            .iter()
            .filter(|worker| worker.generation == generation && worker.counts())
            .count();
        let missing = (wanted as usize).saturating_sub(there + held);
        for _ in 0..missing {
            if self.is_surge_over(generation) || !self.start_worker(generation, now) {
                return;
            }
        }
    }

    fn start_worker(&mut self, number: u32, now: Instant) -> bool {
        let is_serving = self.is_anybody_ready();
        let id = self.free_id(number, now);
        let is_multiprocess = self.worker_count_of(number).is_multiprocess();
        let Some(generation) = self.generation(number) else {
            return false;
        };
        let launcher = generation.launcher.as_ref();
        let can_fork = |launcher: &&Launcher| {
            let child = &launcher.child;
            launcher.is_prepared && child.has_channel() && !child.has_exited()
        };
        let Some(launcher) = launcher
            .filter(can_fork)
            .filter(|_| generation.backoff.until(is_serving, now).is_none())
        else {
            return false;
        };
        let (launcher, plan) = (launcher.serial, &generation.plan);
        let (slots, deadline) = (plan.slots, now + plan.start_timeout + LAST_WORDS);
        let serial = self.next_serial;
        self.next_serial += 1;
        let mut worker = Worker::new(serial, id, number, now);
        worker.deadline = Some(deadline);
        self.workers.push(worker);
        self.command(Command::Fork(NewWorker {
            launcher,
            serial,
            id,
            slots,
            is_multiprocess,
        }));
        true
    }

    /// The lowest number that no running worker has, and whose place is not kept empty.
    fn free_id(&self, generation: u32, now: Instant) -> u32 {
        let is_serving = self.is_anybody_ready();
        let is_taken = |id: u32| {
            self.places.is_held(generation, id, is_serving, now)
                || self.workers.iter().any(|worker| worker.id == id)
        };
        (1..).find(|id| !is_taken(*id)).unwrap_or(u32::MAX)
    }

    fn retire_surplus(&mut self, now: Instant) {
        let surplus = self
            .ready(None)
            .saturating_sub(self.worker_count.wanted() as usize);
        let (target, recycling) = (self.target(), self.recycling);
        for _ in 0..surplus {
            // The order: unresponsive workers, old code, the worker being replaced, idle workers,
            // and the last one.
            let workers = self.workers.iter().enumerate();
            let victim = workers
                .filter(|(_, worker)| worker.is_serving())
                .max_by_key(|(_, worker)| {
                    (
                        !worker.is_ready(),
                        worker.generation != target,
                        Some(worker.serial) == recycling,
                        worker.activity.is_idle(),
                        worker.id,
                    )
                })
                .map(|(index, _)| index);
            if let Some(index) = victim {
                self.retire(index, now);
            }
        }
    }

    pub(super) fn retire(&mut self, index: usize, now: Instant) {
        let deadline = now + self.graceful_timeout_of(self.workers[index].generation) + OVERTIME;
        let worker = &mut self.workers[index];
        worker.phase = Phase::Retiring;
        worker.deadline = Some(deadline);
        let (serial, id, generation) = (worker.serial, worker.id, worker.generation);
        self.log(Notice::WorkerRetires {
            worker: id,
            generation,
        });
        self.tell(serial, ToWorker::Retire);
    }

    fn announce_start(&mut self, now: Instant) {
        let wanted = self.worker_count.wanted();
        let Lifecycle::Starting { next } = &self.lifecycle else {
            return;
        };
        let next = *next;
        if self.ready(None) < wanted as usize {
            return;
        }
        self.lifecycle = Lifecycle::Serving;
        let threads = self.generation(self.current).map_or(0, |it| it.plan.slots);
        self.log(Notice::Ready {
            workers: wanted,
            threads,
        });
        self.notify(Notification::Ready(self.summary()));
        self.follow(next, now);
    }
}
