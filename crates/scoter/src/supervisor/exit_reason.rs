//! Why a process has died, as far as that can be known.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use super::cgroup::Cgroup;
use crate::sys::process::DAMAGED;

/// Distinguishes kills by the kernel for lack of memory from others.
#[derive(Debug)]
pub(super) struct ExitReasons {
    cgroup: Option<Cgroup>,
    oom_kills: u64,
}

impl ExitReasons {
    pub(super) fn new() -> Self {
        let cgroup = Cgroup::of_this_process();
        Self {
            oom_kills: cgroup.as_ref().and_then(Cgroup::oom_kills).unwrap_or(0),
            cgroup,
        }
    }

    /// The memory that the server may use, if there is a limit.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.cgroup.as_ref()?.memory_limit()
    }

    /// Describes the end of a process that used `rss` bytes a moment before. The status is that of
    /// wait(2).
    pub(super) fn describe(&mut self, status: i32, rss: u64) -> String {
        let status = ExitStatus::from_raw(status);
        let Some(number) = status.signal() else {
            let code = status.code().unwrap_or_default();
            if code == i32::from(DAMAGED) {
                return "it had lost a descriptor or a thread of its own, which its last log line \
                        names if it could still write one: application code probably closes \
                        descriptors that are not its own"
                    .to_owned();
            }
            return format!(
                "it ended with exit code {code}: os._exit(), or a fatal error in an extension"
            );
        };
        let name = Signal::try_from(number).map_or_else(
            |_| format!("signal {number}"),
            |signal| signal.as_str().to_owned(),
        );
        if number == Signal::SIGKILL as i32 {
            if let Some(text) = self.out_of_memory(rss) {
                return text;
            }
        }
        let core = if status.core_dumped() {
            ", core dumped"
        } else {
            ""
        };
        let hint = match Signal::try_from(number) {
            Ok(Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGABRT) => {
                ": probably a fault in an extension module"
            }
            _ => "",
        };
        format!("it was killed by {name}{core}{hint}")
    }

    /// The counter belongs to the whole group, so a kill of another process at the same moment
    /// cannot be distinguished.
    fn out_of_memory(&mut self, rss: u64) -> Option<String> {
        let kills = self.cgroup.as_ref()?.oom_kills()?;
        if kills <= std::mem::replace(&mut self.oom_kills, kills) {
            return None;
        }
        let limit = self
            .memory_limit()
            .map_or_else(String::new, |limit| format!(" of {} MiB", limit >> 20));
        let held = rss >> 20;
        Some(format!(
            "the kernel killed it: the cgroup's memory{limit} was exhausted (oom_kill in \
             memory.events); it used {held} MiB"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_distinguished() {
        let mut reasons = ExitReasons {
            cgroup: None,
            oom_kills: 0,
        };
        for (status, expected) in [
            (9, "it was killed by SIGKILL"),
            (
                11,
                "it was killed by SIGSEGV: probably a fault in an extension module",
            ),
            (
                11 | 0x80,
                "it was killed by SIGSEGV, core dumped: probably a fault in an extension module",
            ),
            (
                7 << 8,
                "it ended with exit code 7: os._exit(), or a fatal error in an extension",
            ),
            (
                71 << 8,
                "it had lost a descriptor or a thread of its own, which its last log line names if \
                 it could still write one: application code probably closes descriptors that are \
                 not its own",
            ),
        ] {
            assert_eq!(reasons.describe(status, 0), expected);
        }
    }
}
