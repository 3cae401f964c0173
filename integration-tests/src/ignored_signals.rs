use std::fs;

use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Catches every signal that this process ignores, and does nothing then: it survives them as before, but the programs
/// that it starts have the default (execve(2)).
///
/// A shell without job control ignores SIGINT and SIGQUIT for what it starts in the background (POSIX, "Shell Command
/// Language", 2.11), and nohup ignores SIGHUP. A server that inherits that passes it on to the programs that its
/// applications start.
pub(crate) fn keep_from_children() {
    let ignored = ignored();
    // Rust ignores SIGPIPE itself, and gives children the default.
    let others = Signal::iterator().filter(|&signal| signal != Signal::SIGPIPE);
    for signal in others.filter(|&signal| ignored & 1 << (signal as c_int - 1) != 0) {
        let nothing = SigHandler::Handler(nothing);
        let action = SigAction::new(nothing, SaFlags::SA_RESTART, SigSet::empty());
        #[expect(unsafe_code, reason = "a handler may be anything")]
        // SAFETY: the handler does nothing, so it may run at any time.
        unsafe { sigaction(signal, &action) }.expect("an ignored signal can be caught");
    }
}

extern "C" fn nothing(_: c_int) {}

/// Returns the signals that this process ignores, the lowest number in the lowest bit.
fn ignored() -> u64 {
    ignored_in(&fs::read_to_string("/proc/self/status").expect("Linux"))
}

/// Reads `SigIgn` (proc_pid_status(5)).
fn ignored_in(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(mask.expect("Linux").trim(), 16).expect("hexadecimal")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;
    use crate::Process;

    #[test]
    fn what_the_tests_ignore_is_not_ignored_by_what_they_start() {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
            #[expect(unsafe_code, reason = "a handler may be anything")]
            // SAFETY: there is no handler.
            unsafe { sigaction(signal, &ignore) }.unwrap();
        }
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("grep");
        command.args(["SigIgn", "/proc/self/status"]);
        let mut process = Process::spawn("grep", &mut command, folder.path(), "install grep");
        // The C library has 32 for itself.
        let mask = ignored_in(&process.wait().stdout) & ((1 << 31) - 1);
        assert_eq!(mask, 0, "{mask:b}");
    }
}
