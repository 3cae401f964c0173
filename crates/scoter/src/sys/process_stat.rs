//! A process's `/proc/PID/stat` (proc_pid_stat(5)).

use std::fs;
use std::io;

use nix::unistd::Pid;

/// An existing process, which may be a zombie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) name: String,
    /// Whether it is a zombie, which its parent has not reaped yet.
    pub(crate) has_ended: bool,
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_may_have_parentheses() {
        for (stat, expected) in [
            ("7 (python) S 1 7", Some(("python", false))),
            ("7 (a) Z (b)) Z 1 7", Some(("a) Z (b)", true))),
            ("7 (b) X 1", Some(("b", true))),
            ("7", None),
        ] {
            let expected = expected.map(|(name, has_ended)| ProcessStat {
                name: name.to_owned(),
                has_ended,
            });
            assert_eq!(ProcessStat::parse(stat), expected, "{stat}");
        }
    }
}
