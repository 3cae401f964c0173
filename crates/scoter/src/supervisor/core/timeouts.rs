//! Handles timeouts.

use std::time::Instant;

use super::generation::Generation;
use super::lifecycle::Lifecycle;
use super::notice::Notice;
use super::worker::Worker;
use super::{Command, KILL_TIMEOUT, Supervisor};

impl Supervisor {
    /// When to call [`Supervisor::handle_timeout`], unless an event comes first.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let is_serving = self.is_anybody_ready();
        let workers = self.workers.iter();
        let late_workers = workers.clone().filter_map(|worker| worker.deadline);
        let ended_workers = workers.filter_map(Worker::over_at);
        let places = self.places.times(is_serving, now);
        let generations = self.generations.iter();
        let late_launchers = generations.clone().filter_map(Generation::deadline);
        let backoffs = generations
            .clone()
            .filter_map(|generation| generation.backoff.until(is_serving, now));
        let ended_launchers =
            generations.filter_map(|generation| generation.launcher.as_ref()?.child.over_at(true));
        let departing = self.departing.iter().map(|launcher| launcher.deadline);
        late_workers
            .chain(ended_workers)
            .chain(places)
            .chain(late_launchers)
            .chain(backoffs)
            .chain(ended_launchers)
            .chain(departing)
            .chain(self.lifecycle.deadline())
            .min()
    }

    pub(super) fn note_timeouts(&mut self, now: Instant) {
        self.judge_exits(now);
        if self.lifecycle.deadline().is_some_and(|at| at <= now) {
            match &self.lifecycle {
                Lifecycle::Reading(_) => self.end_late_reading(now),
                Lifecycle::Upgrading(_) => self.end_late_preflight(now),
                // The stages of a stop follow each other in `reconcile`.
                _ => {}
            }
        }
        let is_late = |generation: &&Generation| generation.deadline().is_some_and(|at| at <= now);
        let late: Vec<_> = self.generations.iter().filter(is_late).collect();
        let late: Vec<_> = late.iter().map(|generation| generation.number).collect();
        for generation in late {
            self.give_up_launcher(generation, now);
        }
        for index in (0..self.workers.len()).rev() {
            let worker = self.workers.get(index);
            if worker.is_some_and(|it| it.deadline.is_some_and(|at| at <= now)) {
                self.end_late_worker(index, now);
            }
        }
        self.end_late_launchers(now);
    }

    fn end_late_launchers(&mut self, now: Instant) {
        let mut late = Vec::new();
        for launcher in &mut self.departing {
            if launcher.deadline <= now && !launcher.is_killed {
                launcher.is_killed = true;
                launcher.deadline = now + KILL_TIMEOUT;
                late.push(launcher.pid);
            }
        }
        for pid in late {
            self.log(Notice::LauncherLate(pid));
            self.command(Command::Kill(pid));
        }
        // Processes that cannot be killed are not waited for.
        self.departing.retain(|launcher| launcher.deadline > now);
    }
}
