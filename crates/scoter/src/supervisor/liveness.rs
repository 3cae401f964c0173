//! Whether workers and launchers still respond, and what follows if they do not.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::error;

use super::supervisor::{KILL_PATIENCE, Supervisor, TICK};
use super::worker::{Phase, Worker};
use crate::line::Failed;

/// For how long a process has shown no sign of life, in time that the master has been running
/// itself: while the machine was suspended or the container frozen, nobody could show any.
#[derive(Debug, Default)]
pub(super) struct Silence {
    sign: u64,
    lasted: Duration,
}

impl Silence {
    /// Compares a sign of life with the last one, `step` after the last look.
    pub(super) fn note(&mut self, sign: u64, step: Duration) {
        if sign == self.sign {
            self.lasted += step;
        } else {
            *self = Self {
                sign,
                lasted: Duration::ZERO,
            };
        }
    }

    pub(super) fn restart(&mut self) {
        self.lasted = Duration::ZERO;
    }

    pub(super) fn lasted(&self) -> Duration {
        self.lasted
    }
}

/// How much of the time since the last look the master has been running: one that comes late
/// was kept from it.
pub(super) fn step(since: Duration) -> Duration {
    since.min(TICK)
}

/// What the signs of life of a process say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liveness {
    Responsive,
    /// It may come back, and is not relied upon.
    Unresponsive,
    /// It is not waited for any longer.
    Lost,
}

impl Liveness {
    /// Judges a worker. One whose channel has ended is ending, mostly, and the news of that is
    /// on its way.
    pub(super) fn of_worker(has_channel: bool, silence: Duration) -> Self {
        match has_channel {
            true if silence < UNRESPONSIVE => Self::Responsive,
            true if silence < LOST => Self::Unresponsive,
            false if silence < NEWS => Self::Unresponsive,
            _ => Self::Lost,
        }
    }
}

impl Supervisor {
    /// Replaces workers and launchers that do not respond.
    pub(super) fn look_for_lost(&mut self) {
        let step = step(std::mem::replace(&mut self.looked, Instant::now()).elapsed());
        for worker in &mut self.workers {
            worker.note_heartbeat(step);
        }
        self.look_for_lost_launchers(step);
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            let is_watched = match worker.phase {
                Phase::Ready => true,
                // There is a deadline, but without a channel nobody would hear that it is ready.
                Phase::Starting => worker.silent.is_some(),
                Phase::Retiring | Phase::Stuck => false,
            };
            let is_lost = is_watched && worker.liveness() == Liveness::Lost;
            // Whoever is dead is buried elsewhere.
            if is_lost && worker.exited.is_none() && !worker.pid.is_none_or(has_ended) {
                self.kill_lost_worker(index);
            }
        }
    }

    fn kill_lost_worker(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let reason = if worker.silent.is_some() {
            "its channel to the master has ended: the application has closed descriptors that \
             are not its own, most likely"
        } else {
            "its reactor has shown no sign of life for ten seconds: it is stopped, traced or \
             blocked"
        };
        worker.signal(Signal::SIGKILL);
        worker.kills = 1;
        worker.deadline = Some(Instant::now() + KILL_PATIENCE);
        if worker.phase == Phase::Starting {
            let message = format!("a worker was lost while it was starting: {reason}");
            worker.failed = Some(Failed::new(3, &message));
            return;
        }
        let (id, generation, service) = (worker.id, worker.generation, worker.service());
        let pid = worker.pid.map(Pid::as_raw);
        worker.phase = Phase::Stuck;
        self.gone.replaced += 1;
        error!(
            worker = id,
            pid, reason, "worker does not respond: killed, a new one is started"
        );
        self.lose_place(generation, id, service);
        self.give_up_loop(generation, id, reason, 3);
    }

    /// A launcher answers each order to fork, and tells of each end.
    fn look_for_lost_launchers(&mut self, step: Duration) {
        for generation in &mut self.generations {
            let number = generation.number;
            let Some(launcher) = generation.launcher.as_mut().filter(|one| one.prepared) else {
                continue;
            };
            let owes_news = |worker: &Worker| {
                let is_over = || worker.silent.is_some() && worker.pid.is_some_and(has_ended);
                worker.generation == number
                    && worker.exited.is_none()
                    && (worker.pid.is_none() || is_over())
            };
            if !self.workers.iter().any(owes_news) {
                launcher.silence.restart();
                continue;
            }
            launcher.silence.note(launcher.messages, step);
            if launcher.silence.lasted() >= LOST {
                launcher.silence.restart();
                let pid = launcher.pid.as_raw();
                error!(
                    generation = number,
                    pid, "launcher does not respond: killed, a new one is started"
                );
                launcher.signal(Signal::SIGKILL);
            }
        }
    }
}

/// Whether a process has ended, though nobody may have taken note of it: the third field of
/// `/proc/PID/stat` (proc(5)). The second one is in parentheses, and may contain any.
pub(super) fn has_ended(pid: Pid) -> bool {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => {
            let name_end = stat.iter().rposition(|byte| *byte == b')');
            let state = name_end.and_then(|end| stat.get(end + 2));
            matches!(state, Some(b'Z' | b'X'))
        }
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// From then on a worker is not ready. Its reactor shows about twice in a second that it runs,
/// whatever Python does.
const UNRESPONSIVE: Duration = Duration::from_secs(3);

/// From then on a worker or a launcher is replaced.
const LOST: Duration = Duration::from_secs(10);

/// For the news of an end, which comes another way than the end of the channel.
const NEWS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_is_judged_by_its_channel_and_its_silence() {
        for (has_channel, silence_ms, expected) in [
            (true, 0, Liveness::Responsive),
            (true, 2_999, Liveness::Responsive),
            (true, 3_000, Liveness::Unresponsive),
            (true, 9_999, Liveness::Unresponsive),
            (true, 10_000, Liveness::Lost),
            (false, 0, Liveness::Unresponsive),
            (false, 1_999, Liveness::Unresponsive),
            (false, 2_000, Liveness::Lost),
        ] {
            let silence = Duration::from_millis(silence_ms);
            let liveness = Liveness::of_worker(has_channel, silence);
            assert_eq!(liveness, expected, "{has_channel}, {silence:?}");
        }
    }

    #[test]
    fn silence_lasts_from_the_last_sign_on_and_only_while_the_master_runs() {
        let second = Duration::from_secs(1);
        let mut silence = Silence::default();
        for (name, sign, since, expected) in [
            ("first sign", 1, second, 0),
            ("none", 1, second, 1),
            ("none", 1, second, 2),
            ("sign", 2, second, 0),
            ("none, after a night", 2, 30_000 * second, 1),
            ("none", 2, second / 2, 1),
            ("none", 2, second / 2, 2),
        ] {
            silence.note(sign, step(since));
            assert_eq!(silence.lasted().as_secs(), expected, "{name}");
        }
        silence.restart();
        assert_eq!(silence.lasted(), Duration::ZERO);
    }

    #[test]
    fn process_that_nobody_has_waited_for_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        while !has_ended(pid) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(has_ended(pid));
        assert!(!has_ended(Pid::this()));
    }
}
