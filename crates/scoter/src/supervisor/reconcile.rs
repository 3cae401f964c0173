//! What is compared with what should be: launchers and workers that are missing are started,
//! and what is too much is retired.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::io::Errno;
use tracing::{debug, error, info};

use super::generation::{Departing, Generation, LAST_WORDS, Launcher};
use super::supervisor::{OVERTIME, Supervisor};
use super::worker::{Phase, Worker};
use crate::crash_report::CrashReport;
use crate::line::{Failed, Line, ToWorker};
use crate::scoreboard::Scoreboard;

impl Supervisor {
    /// Brings what is closer to what should be. Returns the exit code when all is over.
    pub(super) fn reconcile(&mut self) -> Option<u8> {
        if let Some(failed) = self.failure.take() {
            error!("{}", failed.message);
            self.kill_all();
            return Some(failed.code);
        }
        self.end_draining();
        if self.is_ending() {
            return self.advance_stop();
        }
        self.bury_generations();
        self.start_launchers();
        self.start_workers();
        self.retire_surplus();
        if self.stopping.is_some() {
            return None;
        }
        self.finish_rollout();
        self.begin_recycling();
        self.announce_start();
        None
    }

    /// The generation that workers are started for.
    pub(super) fn target(&self) -> u32 {
        self.rollout
            .as_ref()
            .map_or(self.current, |rollout| rollout.generation)
    }

    fn bury_generations(&mut self) {
        let (current, target) = (self.current, self.target());
        let workers = &self.workers;
        let is_over = |generation: &Generation| {
            let number = generation.number;
            let used = workers.iter().any(|worker| worker.generation == number);
            !used && number != current && number != target
        };
        let all = std::mem::take(&mut self.generations);
        let (over, left): (Vec<_>, _) = all.into_iter().partition(is_over);
        self.generations = left;
        for generation in over {
            self.let_go(generation);
        }
        let generations = &self.generations;
        let exists = |number: u32| generations.iter().any(|one| one.number == number);
        self.places.retain(|(generation, _), _| exists(*generation));
    }

    /// Ends a generation that has no workers any more. Its launcher ends by itself, or is
    /// ended later.
    pub(super) fn let_go(&mut self, generation: Generation) {
        // The number of one that has been reaped may be another process's by now.
        let launcher = generation.launcher.filter(|one| one.exited.is_none());
        if let Some(launcher) = launcher {
            self.departing.push(Departing::new(launcher.pid));
        }
    }

    fn start_launchers(&mut self) {
        let (current, target) = (self.current, self.target());
        let control = self.control.as_ref().and_then(|control| control.file());
        let is_serving = self.is_anybody_ready();
        let mut failed = Vec::new();
        for generation in &mut self.generations {
            let number = generation.number;
            let needed = number == current || number == target;
            let waits = generation.backoff.until(is_serving).is_some();
            if !needed || waits || generation.launcher.is_some() {
                continue;
            }
            let launcher = Launcher::start(
                generation,
                &self.program,
                &self.listeners,
                control,
                self.events.clone(),
            );
            match launcher {
                Ok(launcher) => {
                    debug!(
                        generation = number,
                        pid = launcher.pid.as_raw(),
                        "launcher started"
                    );
                    generation.launcher = Some(launcher);
                }
                Err(error) => {
                    generation.backoff.note_failed_start();
                    failed.push((number, error));
                }
            }
        }
        for (generation, error) in failed {
            let message = format!("cannot start a launcher: {error}");
            self.on_failed_start(generation, &Failed::new(1, &message));
        }
    }

    fn start_workers(&mut self) {
        let wanted = self.scale.wanted() + u32::from(self.replacement_is_due());
        let target = self.target();
        // One worker shows whether the code is any good, and does alone what the application
        // does only once, such as to create its tables; until it is ready nothing else changes.
        let is_proven = match &self.rollout {
            Some(rollout) => rollout.proven,
            None => self.proven,
        };
        if is_proven {
            return self.fill(target, wanted);
        }
        if target != self.current {
            self.fill(self.current, wanted);
        }
        self.fill(target, 1);
    }

    fn fill(&mut self, generation: u32, wanted: u32) {
        let is_serving = self.is_anybody_ready();
        let places = self.places.iter();
        let held = places
            .filter(|((of, _), place)| *of == generation && place.until(is_serving).is_some())
            .count();
        let there = self
            .workers
            .iter()
            .filter(|worker| worker.generation == generation && worker.counts())
            .count();
        let missing = (wanted as usize).saturating_sub(there + held);
        for _ in 0..missing {
            // The one that shows what new code is good for waits for nobody.
            let proven = self.rollout.as_ref().is_some_and(|rollout| rollout.proven);
            if proven && self.workers.len() >= self.most_processes() {
                return;
            }
            if !self.start_worker(generation) {
                return;
            }
        }
    }

    /// While one generation replaces another there are more processes than otherwise, but
    /// not twice as many: memory has its limits.
    fn most_processes(&self) -> usize {
        let wanted = self.scale.wanted() as usize;
        wanted + wanted.div_ceil(2)
    }

    fn start_worker(&mut self, generation: u32) -> bool {
        let is_serving = self.is_anybody_ready();
        let id = self.free_id(generation);
        let Some(found) = self.generation(generation) else {
            return false;
        };
        let ready = found.launcher.as_ref().filter(|launcher| launcher.prepared);
        let Some(launcher) = ready.filter(|_| found.backoff.until(is_serving).is_none()) else {
            return false;
        };
        let slots = usize::from(found.options.threads);
        let timeout = found.options.start_timeout.0 + LAST_WORDS;
        let serial = self.next_serial;
        let multiprocess = self.scale_of(generation).is_multiprocess();
        let fork = || {
            let (ours, theirs) = Line::pair()?;
            let board = Scoreboard::create(slots)?;
            let crash = CrashReport::create()?;
            // First of all: once a worker is ordered, what goes wrong has to end it with a word.
            let events = self.events.clone();
            let mut worker = Worker::new(serial, id, generation, ours, board, events)?;
            let fds = [theirs.as_fd(), worker.board.as_fd(), crash.as_fd()];
            launcher.fork(id, serial, multiprocess, fds)?;
            worker.crash = Some(crash);
            Ok(worker)
        };
        match fork() {
            Ok::<_, io::Error>(mut worker) => {
                worker.deadline = Some(Instant::now() + timeout);
                self.workers.push(worker);
                self.next_serial += 1;
                true
            }
            Err(error) => {
                if let Some(generation) = self.generation_mut(generation) {
                    generation.backoff.note_failed_start();
                }
                let hint = hint(&error);
                let message = format!("cannot start a worker: {error}{hint}");
                self.on_failed_start(generation, &Failed::new(1, &message));
                false
            }
        }
    }

    /// The lowest number that no living worker has, and whose place is not kept empty.
    fn free_id(&self, generation: u32) -> u32 {
        let is_serving = self.is_anybody_ready();
        let taken = |id: u32| {
            let held = self
                .places
                .get(&(generation, id))
                .is_some_and(|place| place.until(is_serving).is_some());
            held || self.workers.iter().any(|worker| worker.id == id)
        };
        (1..).find(|id| !taken(*id)).unwrap_or(u32::MAX)
    }

    fn retire_surplus(&mut self) {
        let is_ready = |worker: &&Worker| worker.phase == Phase::Ready;
        let ready = self.workers.iter().filter(is_ready).count();
        let surplus = ready.saturating_sub(self.scale.wanted() as usize);
        let (target, recycling) = (self.target(), self.recycling);
        for _ in 0..surplus {
            // Old code goes first, then what is being replaced, then the idle, then the last.
            let victim = self
                .workers
                .iter()
                .enumerate()
                .filter(|(_, worker)| worker.phase == Phase::Ready)
                .max_by_key(|(_, worker)| {
                    (
                        worker.generation != target,
                        Some(worker.serial) == recycling,
                        worker.is_idle(),
                        worker.id,
                    )
                })
                .map(|(index, _)| index);
            if let Some(index) = victim {
                self.retire(index);
            }
        }
    }

    /// Has it finish what it has begun; one that is not ready yet ends at once.
    pub(super) fn retire(&mut self, index: usize) {
        let patience = self.options.graceful_timeout.0 + OVERTIME;
        let worker = &mut self.workers[index];
        debug!(
            worker = worker.id,
            generation = worker.generation,
            "worker retires"
        );
        worker.tell(ToWorker::Retire);
        worker.phase = Phase::Retiring;
        worker.deadline = Some(Instant::now() + patience);
    }

    fn announce_start(&mut self) {
        let wanted = self.scale.wanted() as usize;
        let ready = self.workers.iter().filter(|w| w.phase == Phase::Ready);
        if self.started || ready.count() < wanted {
            return;
        }
        self.started = true;
        let (workers, threads) = (wanted, self.options.threads);
        info!(workers, threads, "ready");
        self.systemd.ready(&self.summary());
        let early = self.early.take();
        self.follow(early);
    }
}

/// What may help against an error of the system.
fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => {
            "\nhint: more descriptors (ulimit -n, LimitNOFILE=) may be needed"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_spoken_of_where_there_are_none_left() {
        for (errno, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::PIPE, false),
            (Errno::AGAIN, false),
            (Errno::NOMEM, false),
        ] {
            let hint = hint(&errno.into());
            assert_eq!(hint.contains("descriptors"), expected, "{errno}");
        }
        assert_eq!(hint(&io::Error::other("descriptors")), "");
    }
}
