//! A process's `/proc/PID/stat` (proc_pid_stat(5)).

use std::fs;
use std::io;

use nix::unistd::Pid;

/// A process that is there, though it may have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) name: String,
    /// Whether it is a zombie: its parent has not taken its status.
    pub(crate) has_ended: bool,
}

impl ProcessStat {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such process, or where it is nobody else's business
    /// (proc(5), hidepid); `InvalidData` for what is not understood.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&String::from_utf8_lossy(&stat))
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The name is in parentheses, and may have some itself.
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
