//! Measures processes through the kernel.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use nix::unistd::Pid;

use super::core::Process;
use crate::control::Memory;
use crate::sys::process_stat::ProcessStat;

/// Whether a process exists.
pub(super) fn process(pid: Pid) -> Process {
    match ProcessStat::of(pid) {
        Ok(stat) if stat.has_ended => Process::Zombie,
        Ok(_) => Process::Running,
        Err(error) if error.kind() == ErrorKind::NotFound => Process::Gone,
        Err(_) => Process::Running,
    }
}

/// The CPU time that a process has taken.
pub(super) fn cpu(pid: Pid) -> Option<Duration> {
    ProcessStat::of(pid).ok()?.cpu
}

/// The resident memory of a process in bytes.
pub(super) fn rss(pid: Pid) -> Option<u64> {
    Some(memory(pid)?.resident)
}

/// The memory of a process: the first two numbers of `/proc/PID/statm`, in pages (proc(5)).
pub(super) fn memory(pid: Pid) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split(' ').map(|pages| pages.parse::<u64>().ok());
    let mut next = || Some(pages.next()?? * rustix::param::page_size() as u64);
    Some(Memory {
        virtual_size: next()?,
        resident: next()?,
    })
}

/// The memory of the machine in bytes.
pub(super) fn installed_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_that_has_not_been_reaped_is_a_zombie() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        while process(pid) == Process::Running {
            std::thread::yield_now();
        }
        assert_eq!(process(pid), Process::Zombie);
        child.wait().unwrap();
        assert_eq!(process(pid), Process::Gone);
        assert_eq!(process(Pid::this()), Process::Running);
    }
}
