//! A process's `/proc/PID/stat` (proc_pid_stat(5)).

use std::fs;
use std::io;
use std::time::Duration;

use nix::unistd::Pid;

/// An existing process, which may be a zombie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) name: String,
    /// Whether it is a zombie, which its parent has not reaped yet.
    pub(crate) has_ended: bool,
    /// CPU time of all its threads; those that have ended included.
    pub(crate) cpu: Option<Duration>,
    /// Whether a signal or a debugger has stopped it.
    pub(crate) is_stopped: bool,
}

impl ProcessStat {
    /// Reads it from `/proc`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such process, or it is hidden (proc(5), hidepid); `InvalidData` if
    /// the text cannot be parsed.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&String::from_utf8_lossy(&stat))
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The name is in parentheses, and may contain some itself.
    fn parse(stat: &str) -> Option<Self> {
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
        Some(Self {
            name: name.to_owned(),
            has_ended: fields.starts_with(['Z', 'X']),
            cpu: cpu(fields),
            is_stopped: fields.starts_with(['T', 't']),
        })
    }
}

/// The sum of utime and stime, fields 14 and 15 of which the name is the second.
fn cpu(fields: &str) -> Option<Duration> {
    let mut times = fields.split(' ').skip(11);
    let mut next = || times.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_may_have_parentheses() {
        for (stat, expected) in [
            ("7 (python) S 1 7", Some(("python", false, false))),
            ("7 (a) Z (b)) Z 1 7", Some(("a) Z (b)", true, false))),
            ("7 (b) X 1", Some(("b", true, false))),
            ("7 (c) T 1", Some(("c", false, true))),
            ("7 (c) t 1", Some(("c", false, true))),
            ("7", None),
        ] {
            let expected = expected.map(|(name, has_ended, is_stopped)| ProcessStat {
                name: name.to_owned(),
                has_ended,
                cpu: None,
                is_stopped,
            });
            assert_eq!(ProcessStat::parse(stat), expected, "{stat}");
        }
    }

    #[test]
    fn cpu_time_is_that_of_user_and_system() {
        let per_second = rustix::param::clock_ticks_per_second();
        let (user, system) = (3 * per_second, per_second / 2);
        let stat = format!("7 (a 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 {user} {system} 9 9 20");
        let stat = ProcessStat::parse(&stat).unwrap();
        assert_eq!(stat.cpu, Some(Duration::from_millis(3_500)));
        assert!(ProcessStat::of(Pid::this()).unwrap().cpu.is_some());
    }
}
