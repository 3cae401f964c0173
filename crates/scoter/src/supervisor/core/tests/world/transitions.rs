//! Which transitions the supervisor goes through: those of the server as a whole, of its
//! workers and of its generations.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::supervisor::core::Supervisor;
use crate::supervisor::core::command::Action;
use crate::supervisor::core::generation::Generation;
use crate::supervisor::core::lifecycle::{Lifecycle, Stage};
use crate::supervisor::core::worker::{Phase, Worker};

/// The states of something before and after an event: `("worker", "ready", "retiring")`.
pub(crate) type Transition = (&'static str, &'static str, &'static str);

/// Transitions that have been seen.
pub(crate) type Seen = BTreeSet<Transition>;

thread_local! {
    static SEEN: RefCell<Seen> = const { RefCell::new(BTreeSet::new()) };
}

/// Takes the transitions that the worlds of this thread have seen since the last call.
pub(crate) fn seen() -> Seen {
    SEEN.take()
}

/// The states after the last event.
#[derive(Debug, Default)]
pub(super) struct Transitions {
    server: BTreeMap<u32, &'static str>,
    workers: BTreeMap<u64, &'static str>,
    generations: BTreeMap<u32, &'static str>,
}

impl Transitions {
    pub(super) fn note(&mut self, supervisor: &Supervisor) {
        let server = server(&supervisor.lifecycle);
        // A stop without processes is complete at once.
        let is_direct = |before| matches!(before, "starting" | "leaving" | "killed" | "over");
        let is_stop = self.server.get(&0).is_some_and(|it| !is_direct(*it));
        if server == "over" && is_stop {
            note("server", &mut self.server, [(0, "finishing")].into_iter());
        }
        note("server", &mut self.server, [(0, server)].into_iter());
        let workers = supervisor.workers.iter();
        let workers = workers.map(|it| (it.serial, worker(it)));
        note("worker", &mut self.workers, workers);
        let generations = supervisor.generations.iter();
        let generations = generations.map(|it| (it.number, generation(it)));
        note("generation", &mut self.generations, generations);
    }
}

fn note<K: Ord + Copy>(
    of: &'static str,
    before: &mut BTreeMap<K, &'static str>,
    now: impl Iterator<Item = (K, &'static str)>,
) {
    let now: BTreeMap<K, &'static str> = now.collect();
    if now == *before {
        return;
    }
    let gone = before.iter().filter(|(key, _)| !now.contains_key(key));
    let gone = gone.map(|(_, from)| (of, *from, NONE));
    let there = now.iter().map(|(key, to)| {
        let from = before.get(key).copied().unwrap_or(NONE);
        (of, from, *to)
    });
    let changed = gone.chain(there).filter(|(_, from, to)| from != to);
    SEEN.with_borrow_mut(|seen| seen.extend(changed));
    *before = now;
}

fn server(lifecycle: &Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Starting { .. } => "starting",
        Lifecycle::Serving => "serving",
        Lifecycle::Reading(reading) => match reading.action {
            Action::Reload => "reading for a reload",
            Action::Upgrade => "reading for an upgrade",
        },
        Lifecycle::RollingOut(_) => "rolling out",
        Lifecycle::Upgrading(_) => "upgrading",
        Lifecycle::Stopping(stopping) => match stopping.stage {
            Stage::Draining { .. } => "draining",
            Stage::Finishing => "finishing",
            Stage::Leaving { .. } => "leaving",
            Stage::Killed { .. } => "killed",
        },
        Lifecycle::Over => "over",
    }
}

fn worker(worker: &Worker) -> &'static str {
    match worker.phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Retiring => "retiring",
        Phase::Stuck => "stuck",
    }
}

fn generation(generation: &Generation) -> &'static str {
    let is_prepared = generation.launcher.as_ref().map(|it| it.is_prepared);
    match (generation.is_proven, is_prepared) {
        (false, None) => "new, without launcher",
        (false, Some(false)) => "new, loading",
        (false, Some(true)) => "new, prepared",
        (true, None) => "proven, without launcher",
        (true, Some(false)) => "proven, loading",
        (true, Some(true)) => "proven, prepared",
    }
}

/// The state of something that does not exist yet, or no longer exists.
pub(crate) const NONE: &str = "none";
