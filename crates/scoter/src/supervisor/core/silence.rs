//! How long a process has sent no heartbeat, and what follows from that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TICK;

/// How long a process has sent no heartbeat, in the master's own running time: while the machine
/// was suspended or the container frozen, no process could send one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Silence {
    sign: u64,
    lasted: Duration,
}

impl Silence {
    /// Compares a heartbeat with the last one, `step` after the last check.
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

/// How long the master has been running since the last check. If a check is late, the master was
/// not running.
pub(super) fn step(since: Duration) -> Duration {
    since.min(TICK)
}

/// The state of a process according to its heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Responsive,
    /// It may recover, but is not relied on.
    Unresponsive,
    /// It is given up.
    Lost,
}

impl Liveness {
    /// Judges a worker. If its channel is closed it has usually ended, and the report of its end
    /// will follow.
    pub(super) fn of_worker(has_channel: bool, silence: Duration) -> Self {
        match has_channel {
            true if silence < UNRESPONSIVE => Self::Responsive,
            true if silence < LOST => Self::Unresponsive,
            false if silence < NEWS => Self::Unresponsive,
            _ => Self::Lost,
        }
    }
}

/// After this silence a worker is not ready. Its reactor sends about two heartbeats a second,
/// whatever Python does.
const UNRESPONSIVE: Duration = Duration::from_secs(3);

/// After this silence a worker or a launcher is replaced.
pub(super) const LOST: Duration = Duration::from_secs(10);

/// How long to wait for the report of an end after the channel has been closed.
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
    fn silence_is_measured_from_the_last_heartbeat_while_the_master_runs() {
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
}
