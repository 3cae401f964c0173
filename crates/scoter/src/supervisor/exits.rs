//! Processes that have ended: whose they were, why, and what follows from it.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait};
use tracing::{debug, error, warn};

use super::backoff::{Backoff, Service};
use super::generation::{Generation, Launcher};
use super::liveness::has_ended;
use super::supervisor::{KILL_PATIENCE, Supervisor, TICK};
use super::worker::{Phase, Worker};
use crate::crash_report::CrashReport;
use crate::line::Failed;
use crate::signals::ACTED_ON;

impl Supervisor {
    /// Takes the status of every child that has ended; as PID 1 also those of strangers,
    /// which are nobody's business.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.on_exit(Pid::from_raw(pid.as_raw_pid()), Some(status.as_raw()));
        }
    }

    pub(super) fn on_exit(&mut self, pid: Pid, status: Option<i32>) {
        if let Some(worker) = self.workers.iter_mut().find(|w| w.pid == Some(pid)) {
            worker
                .exited
                .get_or_insert_with(|| (Instant::now(), status));
            return self.judge_exits();
        }
        if let Some(preflight) = self.preflight.take_if(|preflight| preflight.pid == pid) {
            return self.after_preflight(preflight, status);
        }
        let generations = self.generations.iter_mut();
        let launcher = generations
            .filter_map(|generation| generation.launcher.as_mut())
            .find(|launcher| launcher.pid == pid);
        if let Some(launcher) = launcher {
            launcher
                .exited
                .get_or_insert_with(|| (Instant::now(), status));
            return self.judge_exits();
        }
        self.departing.retain(|launcher| launcher.pid != pid);
    }

    /// Deals with processes that have ended. One that was starting may have said why over
    /// its line, which is read on its own; a copy of the line that a child of it holds is
    /// not waited for.
    pub(super) fn judge_exits(&mut self) {
        let is_clear = |told: bool, exited: Option<(Instant, Option<i32>)>| {
            exited.is_some_and(|(at, _)| told || at.elapsed() > TICK)
        };
        while let Some(index) = self.workers.iter().position(|worker| {
            let told = worker.phase != Phase::Starting || worker.silent.is_some();
            is_clear(told, worker.exited)
        }) {
            let worker = self.workers.remove(index);
            let status = worker.exited.and_then(|(_, status)| status);
            self.on_worker_exit(worker, status);
        }
        let mut ended = Vec::new();
        let is_serving = self.is_anybody_ready();
        for generation in &mut self.generations {
            let launcher = &mut generation.launcher;
            if let Some(launcher) = launcher.take_if(|one| is_clear(one.silent, one.exited)) {
                generation.backoff.note(launcher.service());
                let pause = generation.backoff.pause(is_serving);
                ended.push((generation.number, launcher, pause));
            }
        }
        for (generation, launcher, pause) in ended {
            let status = launcher.exited.and_then(|(_, status)| status);
            self.on_launcher_exit(generation, &launcher, pause, status);
        }
    }

    fn on_worker_exit(&mut self, worker: Worker, status: Option<i32>) {
        self.bank(&worker);
        if self.recycling == Some(worker.serial) {
            self.recycling = None;
            self.gone.replaced += 1;
        }
        let (id, generation) = (worker.id, worker.generation);
        let pid = worker.pid.map(Pid::as_raw);
        let stack = worker.crash.as_ref().and_then(CrashReport::read);
        let crashed_late = |stack: String| {
            error!(worker = id, pid, %stack, "a worker that was ending crashed");
        };
        match worker.phase {
            Phase::Retiring | Phase::Stuck => {
                // One that ends by itself has said what it cuts.
                if is_killed(status) {
                    worker.report_lost();
                }
                stack.map(crashed_late);
                return debug!(worker = id, pid, "worker ended");
            }
            Phase::Starting | Phase::Ready => {}
        }
        if self.is_ending() {
            if is_killed(status) {
                worker.report_lost();
            }
            stack.map(crashed_late);
            return;
        }
        self.lose_place(worker.generation, worker.id, worker.service());
        if worker.phase == Phase::Ready {
            let reason = self.coroner.describe(status, worker.rss);
            self.gone.crashed += 1;
            error!(
                worker = id,
                pid,
                reason,
                stack = stack.as_ref().map(display),
                "worker died: a new one is started"
            );
            worker.report_lost();
            return self.give_up_loop(generation, id, &reason, code_of_failed_start(status));
        }
        let failed = worker.failed.clone().unwrap_or_else(|| {
            let reason = self.coroner.describe(status, worker.rss);
            let stack = stack.unwrap_or_default();
            let message = format!("a worker died while it was starting: {reason}{stack}");
            Failed::new(code_of_failed_load(status), &message)
        });
        self.on_failed_start(generation, &failed);
    }

    /// A start or a reload does not wait for workers that become ready only to die.
    pub(super) fn give_up_loop(&mut self, generation: u32, id: u32, reason: &str, code: u8) {
        let place = self.places.get(&(generation, id));
        let is_loading = !self.started || self.is_rolling_out(generation);
        if is_loading && place.is_some_and(Backoff::keeps_failing) {
            let message = format!("workers become ready and die before they serve: {reason}");
            self.on_failed_start(generation, &Failed::new(code, &message));
        }
    }

    /// A worker has not become ready, or not ended, in time. It is killed; if that is not
    /// enough, its launcher is, which has not told of its birth or its end: the worker
    /// then becomes the master's own child.
    pub(super) fn end_late_worker(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let (id, generation) = (worker.id, worker.generation);
        worker.kills += 1;
        worker.deadline = Some(Instant::now() + KILL_PATIENCE);
        if worker.kills == 1 {
            match worker.phase {
                Phase::Starting => {
                    let message = "the application was not ready within --start-timeout";
                    worker.failed = Some(Failed::new(3, message));
                }
                _ => warn!(
                    worker = id,
                    "worker does not end within --graceful-timeout: killed"
                ),
            }
            worker.signal(Signal::SIGKILL);
            if worker.pid.is_some() {
                return;
            }
        }
        // Of one that cannot be killed the launcher has nothing to tell.
        let is_told_of = self.workers[index].pid.is_some_and(|pid| !has_ended(pid));
        let launcher = self.generation(generation).filter(|_| !is_told_of);
        if let Some(launcher) = launcher.and_then(|generation| generation.launcher.as_ref()) {
            warn!(worker = id, generation, "launcher does not answer: killed");
            return launcher.signal(Signal::SIGKILL);
        }
        if self.workers[index].kills > MOST_KILLS || self.workers[index].pid.is_none() {
            error!(
                worker = id,
                "nothing is heard of the worker any more: given up"
            );
            let worker = self.workers.remove(index);
            self.on_worker_exit(worker, None);
        }
    }

    /// `--preload` takes too long.
    pub(super) fn give_up_launcher(&mut self, number: u32) {
        let Some(generation) = self.generation_mut(number) else {
            return;
        };
        if let Some(launcher) = generation.launcher.take() {
            generation.backoff.note_failed_start();
            launcher.signal(Signal::SIGKILL);
        }
        let message = "the application was not loaded within --start-timeout";
        self.on_failed_start(number, &Failed::new(3, message));
    }

    pub(super) fn lose_place(&mut self, generation: u32, worker: u32, service: Service) {
        let is_serving = self.is_anybody_ready();
        let place = self.places.entry((generation, worker)).or_default();
        place.note(service);
        let pause = place.pause(is_serving);
        if !pause.is_zero() {
            let pause_ms = pause.as_millis();
            warn!(
                worker,
                pause_ms, "it keeps dying: its place stays empty for a while"
            );
        }
    }

    fn on_launcher_exit(
        &mut self,
        generation: u32,
        launcher: &Launcher,
        pause: Duration,
        status: Option<i32>,
    ) {
        // Whom it was about to fork nobody knows of.
        let unborn = |worker: &Worker| worker.generation == generation && worker.pid.is_none();
        self.workers.retain(|worker| !unborn(worker));
        if self.is_ending() || self.failure.is_some() {
            return;
        }
        if !launcher.said_hello && is_stray(status) {
            return debug!(
                generation,
                "a signal met a launcher before it could survive it"
            );
        }
        let code = status
            .filter(|_| !is_killed(status))
            .map(|status| status >> 8 & 0xff);
        let reason = match code {
            Some(code) if !launcher.said_hello => format!(
                "Python ended with exit code {code} before it had loaded scoter, and has said why \
                 above"
            ),
            _ if !launcher.said_hello => {
                self.coroner.describe(status, 0) + ", before it had loaded scoter"
            }
            _ => self.coroner.describe(status, 0),
        };
        let pid = launcher.pid.as_raw();
        let stack = launcher.crash.as_ref().and_then(CrashReport::read);
        let told = format!(
            "the launcher died: {reason}{}",
            stack.as_deref().unwrap_or_default()
        );
        if !self.started {
            let message = format!("cannot start: {told}");
            let generation = self.generation(generation);
            let preloads = generation.is_some_and(|generation| generation.options.preload);
            let code = if launcher.said_hello && preloads {
                code_of_failed_load(status)
            } else {
                1
            };
            self.failure = Some(Failed::new(code, &message));
        } else if self.is_rolling_out(generation) && self.is_beyond_hope(launcher, generation) {
            self.fail_rollout(&told);
        } else {
            let pause_ms = pause.as_millis();
            error!(
                generation,
                pid,
                reason,
                pause_ms,
                stack = stack.as_ref().map(display),
                "launcher died: its workers serve on, a new one is started"
            );
        }
    }

    /// Whether another launcher of new code would hardly do better.
    fn is_beyond_hope(&self, launcher: &Launcher, generation: u32) -> bool {
        let keeps_failing = |one: &Generation| one.backoff.keeps_failing();
        !launcher.prepared
            || self.is_unproven(generation)
            || self.generation(generation).is_some_and(keeps_failing)
    }

    /// Keeps the counts of a worker that is gone.
    fn bank(&mut self, worker: &Worker) {
        for cell in worker.board.cells() {
            let cell = cell.read();
            self.gone.requests += cell.requests;
            self.gone.failed += cell.failed;
        }
        let (refused, timeouts, peers_gone) = worker.totals();
        self.gone.refused += refused;
        self.gone.timeouts += timeouts;
        self.gone.peers_gone += peers_gone;
    }

    /// Finds workers whose end nobody tells: their launcher was killed together with the news,
    /// or never forked them.
    pub(super) fn find_vanished(&mut self) {
        let is_vanished = |worker: &Worker| {
            let silent = worker.silent.is_some_and(|since| since.elapsed() > TICK);
            let gone = |pid: Pid| kill(pid, None).is_err();
            silent && worker.exited.is_none() && worker.pid.is_none_or(gone)
        };
        while let Some(index) = self.workers.iter().position(is_vanished) {
            let worker = self.workers.remove(index);
            self.on_worker_exit(worker, None);
        }
    }
}

/// The exit code of a start whose workers serve, and die of it: the application's doing, where
/// they end by themselves.
fn code_of_failed_start(status: Option<i32>) -> u8 {
    if is_killed(status) { 1 } else { 3 }
}

/// The exit code of a start whose process has ended like this while it loaded the
/// application: whatever ends it then, a crash, `os._exit()` or a kill for want of memory,
/// the application could not be loaded.
fn code_of_failed_load(status: Option<i32>) -> u8 {
    if status.is_some() { 3 } else { 1 }
}

/// Whether a process was killed by a signal that was meant for the master: whoever sends it
/// to all of them meets a launcher, too, that Python has not given control yet.
fn is_stray(status: Option<i32>) -> bool {
    let signal = status.map_or(0, |status| status & 0x7f);
    ACTED_ON.iter().any(|one| *one as i32 == signal)
}

/// How often a worker is killed before it is given up.
const MOST_KILLS: u32 = 3;

/// Whether a status of wait(2) is that of a process killed by a signal, or unknown.
fn is_killed(status: Option<i32>) -> bool {
    status.is_none_or(|status| status & 0x7f != 0)
}
