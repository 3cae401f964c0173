//! The state that one release passes to the next.

use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::backoff::BackoffState;
use super::child::Child;
use super::event::{Exit, Process};
use super::generation::{Departing, Generation, Launcher};
use super::lifecycle::Lifecycle;
use super::notice::Notice;
use super::origin::Origin;
use super::places::{PlaceState, Places};
use super::plan::Plan;
use super::restarts::Restarts;
use super::silence::Silence;
use super::worker::{Phase, Worker};
use super::worker_count::WorkerCount;

/// The state that one release passes to the next. Fields may be added, with a default, but not
/// removed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    current: u32,
    next_generation: u32,
    next_serial: u64,
    wanted: u32,
    crashed: u64,
    replaced: u64,
    #[serde(default)]
    restarts: Restarts,
    generations: Vec<GenerationState>,
    workers: Vec<WorkerState>,
    /// The worker that is being replaced, by its serial.
    #[serde(default)]
    recycling: Option<u64>,
    #[serde(default)]
    places: Vec<PlaceState>,
    #[serde(default)]
    departing: Vec<DepartingState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GenerationState {
    number: u32,
    launcher: Option<LauncherState>,
    /// Whether one of its workers has been ready.
    #[serde(default = "yes")]
    is_proven: bool,
    /// The history of its launchers.
    #[serde(default)]
    backoff: BackoffState,
}

/// A release that lacks this field upgrades only when a worker has been ready.
fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct DepartingState {
    pid: i32,
    /// The time until it must have ended.
    left: Duration,
    is_killed: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LauncherState {
    serial: u64,
    pid: i32,
    is_prepared: bool,
    /// How it ended, and how long ago, if that has not been handled yet.
    #[serde(default)]
    exit: Option<(Duration, Exit)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WorkerState {
    serial: u64,
    id: u32,
    generation: u32,
    pid: Option<i32>,
    phase: Phase,
    is_accepting: bool,
    age: Duration,
    /// The time until its deadline, and until the end of `--max-lifetime`.
    deadline: Option<Duration>,
    expires: Option<Duration>,
    replace: Option<String>,
    /// How long it has sent no heartbeat.
    #[serde(default)]
    silence: Silence,
    /// Requests started when it last made progress, and how long ago that was.
    #[serde(default)]
    progress: Option<(u64, Duration)>,
    #[serde(default)]
    exit: Option<(Duration, Exit)>,
}

impl Supervisor {
    /// The state for the next release.
    pub(crate) fn state(&self, now: Instant) -> State {
        let left = |at: Instant| at.saturating_duration_since(now);
        let launcher = |launcher: &Launcher| {
            Some(LauncherState {
                serial: launcher.serial,
                pid: launcher.child.pid?.as_raw(),
                is_prepared: launcher.is_prepared,
                exit: launcher.child.exit_state(now),
            })
        };
        State {
            current: self.current,
            next_generation: self.next_generation,
            next_serial: self.next_serial,
            wanted: self.worker_count.wanted(),
            crashed: self.crashed,
            replaced: self.replaced,
            restarts: self.restarts,
            generations: self
                .generations
                .iter()
                .map(|generation| GenerationState {
                    number: generation.number,
                    launcher: generation.launcher.as_ref().and_then(launcher),
                    is_proven: generation.is_proven,
                    backoff: generation.backoff.state(now),
                })
                .collect(),
            workers: self
                .workers
                .iter()
                .map(|worker| WorkerState {
                    serial: worker.serial,
                    id: worker.id,
                    generation: worker.generation,
                    pid: worker.child.pid.map(Pid::as_raw),
                    phase: worker.phase,
                    is_accepting: worker.is_accepting,
                    age: now.saturating_duration_since(worker.started),
                    deadline: worker.deadline.map(left),
                    expires: worker.expires.map(left),
                    replace: worker.replace.clone(),
                    exit: worker.child.exit_state(now),
                    silence: worker.child.silence.clone(),
                    progress: worker
                        .progress
                        .map(|(requests, at)| (requests, now.saturating_duration_since(at))),
                })
                .collect(),
            recycling: self.recycling,
            places: self.places.state(now),
            departing: self
                .departing
                .iter()
                .map(|launcher| DepartingState {
                    pid: launcher.pid.as_raw(),
                    left: left(launcher.deadline),
                    is_killed: launcher.is_killed,
                })
                .collect(),
        }
    }

    /// Takes over from an earlier release, and replaces its workers. `plan_of` returns the plan of
    /// each of its generations.
    pub(crate) fn resume(&mut self, state: State, plan_of: impl Fn(u32) -> Plan, now: Instant) {
        self.commands.clear();
        self.lifecycle = Lifecycle::Serving;
        self.current = state.current;
        self.next_generation = state.next_generation;
        self.next_serial = state.next_serial;
        self.worker_count = WorkerCount::new(&plan_of(state.current));
        self.worker_count.set(state.wanted);
        self.crashed = state.crashed;
        self.replaced = state.replaced;
        self.restarts = state.restarts;
        self.recycling = state.recycling;
        self.places = Places::resume(state.places, now);
        let departing = state.departing.into_iter();
        self.departing = departing.map(|state| state.resume(now)).collect();
        self.resumed = Some(now);
        let generations = state.generations.into_iter();
        self.generations = generations
            .map(|state| state.resume(&plan_of, now))
            .collect();
        let workers = state.workers.into_iter();
        self.workers = workers.map(|state| state.resume(now)).collect();
        self.log(Notice::TakenOver);
        self.reload(Origin::Upgrade, None, now);
    }
}

impl GenerationState {
    fn resume(self, plan_of: impl Fn(u32) -> Plan, now: Instant) -> Generation {
        let mut generation = Generation::new(self.number, plan_of(self.number));
        generation.is_proven = self.is_proven;
        generation.backoff = self.backoff.resume(now);
        generation.launcher = self.launcher.map(|state| {
            let mut launcher = Launcher::new(state.serial, now);
            launcher.child = Child::new(Some(Pid::from_raw(state.pid)));
            launcher.child.resume_exit(state.exit, now);
            launcher.is_prepared = state.is_prepared;
            launcher.said_hello = state.is_prepared;
            launcher
        });
        generation
    }
}

impl DepartingState {
    fn resume(self, now: Instant) -> Departing {
        Departing {
            pid: Pid::from_raw(self.pid),
            deadline: now + self.left,
            is_killed: self.is_killed,
        }
    }
}

impl WorkerState {
    fn resume(self, now: Instant) -> Worker {
        let started = now.checked_sub(self.age).unwrap_or(now);
        let mut worker = Worker::new(self.serial, self.id, self.generation, started);
        worker.child = Child::new(self.pid.map(Pid::from_raw));
        worker.child.resume_exit(self.exit, now);
        worker.child.silence = self.silence;
        worker.process = Process::Running;
        worker.phase = self.phase;
        worker.is_accepting = self.is_accepting;
        worker.ready = (self.phase != Phase::Starting).then_some(started);
        worker.deadline = self.deadline.map(|left| now + left);
        worker.expires = self.expires.map(|left| now + left);
        worker.replace = self.replace;
        worker.progress = self
            .progress
            .map(|(requests, since)| (requests, now.checked_sub(since).unwrap_or(now)));
        worker
    }
}
